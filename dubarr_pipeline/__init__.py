"""dubarr: dub a media library, each in their own voice, over the untouched bed."""

__version__ = "0.1.0"
