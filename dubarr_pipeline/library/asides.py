"""Folders and files of a library that are no films: recycle bins, discs, extras."""

import re
from pathlib import PurePath

from dubarr_pipeline.config.libraries import Rules
from dubarr_pipeline.text.tables import read_table

_TABLES = read_table("dubarr_pipeline.library", "asides")
_BINS, _DISCS = frozenset(_TABLES["bins"]), frozenset(_TABLES["discs"])
_DISC_FILES = re.compile(_TABLES["disc_files"], re.IGNORECASE)
_EXTRAS = _TABLES["extras"]
_FOLDERS = frozenset(_EXTRAS["folders"])
_INNER_FOLDERS = _FOLDERS | frozenset(_EXTRAS["inner_folders"])
_SERIES, _FILES = re.compile(_EXTRAS["series"]), re.compile(_EXTRAS["files"])


def aside_reason(below: PurePath, rules: Rules) -> str | None:
    """Return the reason why a video is no film, by its path below its library, or None."""
    top, *_ = folders = below.parts[:-1] or ("",)
    for depth, name in enumerate(folders):
        if reason := folder_reason(name, depth, rules):
            return reason
    if rules.with_discs < bool(_DISC_FILES.fullmatch(below.name)):
        return "it is part of a disc: rip it to one file (rules.with_discs)"
    if rules.with_extras:
        return None
    if top.casefold() in _FOLDERS and not _SERIES.search(str(below.relative_to(top))):
        return _extras(top)
    if _FILES.fullmatch(below.stem):
        return "it is named like a film's extra, a trailer or sample (rules.with_extras)"
    return None


def folder_reason(name: str, depth: int, rules: Rules) -> str | None:
    """Return the reason why a whole folder holds no films, or None.

    `depth` counts the folders above it within the library: one named "Extras" at the top may be a
    series, of which only the files tell.
    """
    plain = name.casefold()
    if plain in _BINS:
        return f"{name!r} is a recycle bin, or a system's own folder"
    if plain in _DISCS and not rules.with_discs:
        return f"{name!r} is part of a disc: rip it to one file (rules.with_discs)"
    if depth and plain in _INNER_FOLDERS and not rules.with_extras:
        return _extras(name)
    return None


def _extras(name: str) -> str:
    return f"{name!r} holds the extras of a film (rules.with_extras)"
