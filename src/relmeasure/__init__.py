"""relmeasure: a typed instrument goes in, trustworthy scores and evidence come out."""

from relmeasure._version import __version__

__all__ = ["__version__"]
