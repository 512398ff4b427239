"""The version of fer-tl, which runs, datasets and caches keep."""

__version__ = "0.1.0"
