"""The dataframe boundary: anything a user may hand in becomes bound responses or a sample statistic.

``bind(instrument, data)``            a frame bound to its instrument: columns found, codes checked, missing classified
``Responses``, ``KeyedResponses``     raw and keyed answers: different types, so that nothing is reversed twice
``moments(data)``                     means and covariances, additive
"""

from __future__ import annotations

from relmeasure.responses.binding import KeyedResponses, Responses, bind
from relmeasure.responses.intake import moments

__all__ = ["KeyedResponses", "Responses", "bind", "moments"]
