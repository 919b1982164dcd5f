"""dubarr: dub a media library, each speaker in their own voice, over the untouched music and effects."""

__version__ = "0.1.0"
