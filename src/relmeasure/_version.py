"""The version, in one place: read by the build, by ``relmeasure.__version__`` and by every provenance."""

__version__ = "0.1.0"
