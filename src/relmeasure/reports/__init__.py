"""Render what is known: forms to hand out, files for answers, pages about instruments. Nothing is estimated here.

``form_html(instrument)``        a printable page that is an offline web form as well
``answer_rows(instrument)``      an empty table of answers
``codebook(instrument)``         what each column and code of it means
``instrument_page(instrument)``  a page of documentation, in Markdown
``render(result, kind)``         the figure or the page of a result
"""

from __future__ import annotations

from relmeasure.reports.answer_files import answer_rows, codebook
from relmeasure.reports.forms import form_html
from relmeasure.reports.pages import instrument_page
from relmeasure.reports.rendering import render

__all__ = ["answer_rows", "codebook", "form_html", "instrument_page", "render"]
