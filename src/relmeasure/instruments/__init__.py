"""What is measured: typed, versioned, licensed definitions of instruments. Pydantic only; no numbers, no frames.

``load_instrument(id_or_path)``   an instrument by its id, from the library or a plug-in, or from a file
``list_instruments()``            what is installed: id, version, status, licence, source
``read_instrument(path)``         an instrument from a TOML or JSON file
``parse_instrument(mapping)``     the same from a mapping
``write_instrument(inst, path)``  an instrument as JSON, whole or not at all
``json_schema()``                 the JSON Schema of the files
``Instrument``                    the type of them all; its parts are in ``relmeasure.instruments.definition``
"""

from __future__ import annotations

from relmeasure.instruments.catalog import InstrumentInfo, list_instruments, load_instrument
from relmeasure.instruments.definition import Instrument
from relmeasure.instruments.files import json_schema, parse_instrument, read_instrument, write_instrument

__all__ = [
    "Instrument",
    "InstrumentInfo",
    "json_schema",
    "list_instruments",
    "load_instrument",
    "parse_instrument",
    "read_instrument",
    "write_instrument",
]
