"""Originals of films whose dub took their place: where they are kept, and where they lay.

Their subtitles still lie at that place.
"""

from pathlib import Path

ORIGINALS = ".dubarr-originals"
"""Folder in a library that holds the originals of films that were published in their place."""


def kept_path(root: Path, below: Path, key: str) -> Path:
    """Return the path at which an original is kept.

    `root` is the folder of its library, `below` the film's path in it; `key` is the video's.
    """
    kept = root / ORIGINALS / below
    return kept.with_name(f"{kept.stem}.{key[-8:]}{kept.suffix}")


def place_before(path: Path) -> Path:
    """Return the path at which a kept original lay; that of any other film is its own."""
    parts = path.parts
    if ORIGINALS not in parts[:-1]:
        return path
    at = parts.index(ORIGINALS)
    name = f"{Path(path.stem).stem}{path.suffix}"
    return Path(*parts[:at], *parts[at + 1 : -1], name)
