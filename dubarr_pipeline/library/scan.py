"""Scan of a library: its new films that are no longer being written.

A film is known by a short signature of its path, size, date and subtitles beside it, and of the
library's settings for it; so a scan costs a listing of the folders, and its state stays small: 8
characters per film.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dubarr_pipeline.config.libraries import SKIP_MARK, Library, Listed, listed_reason
from dubarr_pipeline.library.asides import aside_reason
from dubarr_pipeline.library.walk import LEADS_OUT, VIDEO_SUFFIXES, Walk

_KEPT_BEYOND = 1_000
_LETTERS = 8
"""48 bits: among 100,000 films, a new one is mistaken for a known one once in 3 billion."""


@dataclass(frozen=True, slots=True)
class ScanState:
    """Knowledge of a library that is kept between two scans.

    Attributes:
        handled: signatures of films that were registered, or refused.
        waiting: signatures that the last scan saw for the first time.
    """

    handled: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, *texts: str) -> ScanState:
        """Read the strings of `text`."""
        sets = (
            frozenset(text[start : start + _LETTERS] for start in range(0, len(text), _LETTERS))
            for text in texts
        )
        return cls(*sets)

    def text(self) -> tuple[str, str]:
        """Return both sets as strings."""
        return "".join(sorted(self.handled)), "".join(sorted(self.waiting))


@dataclass(frozen=True, slots=True)
class Scan:
    """Result of one scan of a library.

    Attributes:
        videos: every film's signature and path; one under several names (hard links, symbolic
            links) once, under the first of them.
        left_out: films that the library's rules keep out (for now), and the reasons.
        faults: links and folders that could not be read, and the reasons.
        gone: the reason why the whole library seems to be away, or None.
    """

    videos: dict[str, Path]
    before: ScanState
    left_out: dict[Path, str] = field(default_factory=dict[Path, str])
    faults: dict[Path, str] = field(default_factory=dict[Path, str])
    gone: str | None = None

    @property
    def gaps(self) -> tuple[str, ...]:
        """The faults, in words for people."""
        return tuple(f"{str(path)!r}: {reason}" for path, reason in self.faults.items())

    @property
    def ready(self) -> list[tuple[str, Path]]:
        """Films that are not handled, and unchanged since the last scan, by path."""
        handled, waiting = self.before.handled, self.before.waiting
        still = [(s, p) for s, p in self.videos.items() if s in waiting and s not in handled]
        return sorted(still, key=lambda video: video[1])

    def after(self, handled: Iterable[str]) -> ScanState:
        """Return the state for the next scan, with these films handled as well."""
        if self.gone:
            return self.before
        kept = self.before.handled
        # What a folder that cannot be read holds is kept, but not for ever.
        if not self.faults or len(kept) > 2 * len(self.videos) + _KEPT_BEYOND:
            kept &= self.videos.keys()
        known = kept | frozenset(handled)
        return ScanState(known, frozenset(self.videos.keys() - known))


def scan(
    library: Library,
    before: ScanState,
    avoided: Path,
    now_s: float | None = None,
    inner: Mapping[Path, str] | None = None,
) -> Scan:
    """List a library's films, by name and date alone; no file is opened.

    A library that cannot be listed, or is empty and was not before, counts as away (a disk that is
    not mounted), and its state is kept.

    `before` is the result of `Scan.after` for the last scan. Left out are the folder `avoided`, and
    the folders of `inner` libraries, by their names.
    """
    if not library.path.is_dir():
        return Scan({}, before, gone="the folder is not there")
    passed = {path: f"it belongs to library {name!r}" for path, name in (inner or {}).items()}
    now_s = time.time() if now_s is None else now_s
    walk = Walk(library, {**passed, avoided: ""}, now_s).through(library.path)
    videos = {signature: path for path, signature in walk.files.values()}
    gone = None
    if not videos and library.path in walk.faults:
        gone = f"{str(library.path)!r}: {walk.faults[library.path]}"
    elif not videos and not walk.left_out and before.handled:
        gone = "the folder is empty, and was not before"
    return Scan(videos, before, walk.left_out, walk.faults, gone)


def signature_of(library: Library, path: Path) -> str | None:
    """Return the signature of one film, by a listing of its folder; None if it is not seen there.

    It is another one when the film, its subtitles or the library's wishes have changed.
    """
    walk = Walk(library, {}, time.time())
    walk.look_into(path.parent)
    return next((signature for film, signature in walk.files.values() if film == path), None)


def left_out(library: Library, path: Path) -> str | None:
    """Return the reason why a named film is not dubbed, by its path, size and date, or None.

    Its age does not count: whoever names it vouches that it is whole.
    """
    path = Path(os.path.normpath(path))
    if not path.is_relative_to(library.path):
        return f"it is not inside {str(library.path)!r}"
    below = path.relative_to(library.path)
    if path.suffix.lower() not in VIDEO_SUFFIXES or any(p.startswith(".") for p in below.parts):
        return "its name is not that of a video"
    if reason := aside_reason(below, library.rules):
        return reason
    marks = [library.path / folder / SKIP_MARK for folder in below.parents]
    for mark in (*marks, path.with_name(path.stem + SKIP_MARK)):
        if mark.exists():
            return f"{str(mark)!r} exists"
    if not (library.outside_links or library.holds(path)):
        return LEADS_OUT
    try:
        found = path.stat()
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    rules = replace(library.rules, min_age_minutes=0)
    return listed_reason(rules, Listed(below, found.st_size, found.st_mtime), time.time())
