"""Scan of a library: its new films that are no longer being written.

A film is known by a short signature of its path, size, date and subtitles beside it, and of the
library's settings for it; so a scan costs a listing of the folders, and its state stays small: 8
characters per film.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from dubarr_pipeline.config.libraries import SKIP_MARK, Library, Listed, listed_reason

VIDEO_SUFFIXES = frozenset(
    ".avi .divx .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .vob .webm .wmv".split()
)
SUBTITLE_SUFFIXES = frozenset((".srt", ".ass", ".ssa", ".vtt"))
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
        gaps: folders that could not be read, with the system's messages.
        gone: the reason why the whole library seems to be away, or None.
    """

    videos: dict[str, Path]
    before: ScanState
    left_out: dict[Path, str] = field(default_factory=dict[Path, str])
    gaps: tuple[str, ...] = ()
    gone: str | None = None

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
        kept = self.before.handled if self.gaps else self.before.handled & self.videos.keys()
        known = kept | frozenset(handled)
        return ScanState(known, frozenset(self.videos.keys() - known))


@dataclass(slots=True)
class _Walk:
    """One pass through a library; `files`: each one's first path and signature, by its inode."""

    library: Library
    avoided: Path
    now_s: float
    files: dict[tuple[int, int], tuple[Path, str]] = field(
        default_factory=dict[tuple[int, int], tuple[Path, str]]
    )
    left_out: dict[Path, str] = field(default_factory=dict[Path, str])
    gaps: list[str] = field(default_factory=list[str])
    _request: bytes = b""

    def __post_init__(self) -> None:
        library = self.library
        request = (library.target_langs, library.profile, sorted(library.overrides.items()))
        # Plain values in this very form: another one would have every library scanned afresh.
        self._request = repr(request).encode()
        folders = [library.path]
        while folders:
            here = folders.pop()
            try:
                with os.scandir(here) as entries:
                    folders += self._read(here, list(entries))
            except OSError as error:
                self.gaps.append(f"{str(here)!r}: {error.strerror}")

    def _read(self, here: Path, entries: list[os.DirEntry[str]]) -> Iterator[Path]:
        names = {entry.name for entry in entries}
        if SKIP_MARK in names:
            self.left_out[here] = f"it holds {SKIP_MARK}"
            return
        seen = [entry for entry in entries if not entry.name.startswith(".")]
        folders = {entry.path for entry in seen if entry.is_dir(follow_symlinks=False)}
        yield from (Path(each) for each in folders if each != str(self.avoided))
        files = [entry for entry in seen if entry.path not in folders]
        # Subtitles by the stems of films that they fit: their names are {stem}[.word[.word]].srt.
        beside: dict[str, list[os.DirEntry[str]]] = {}
        for entry in files:
            stem, suffix = _split(entry.name)
            for words in range(min(stem.count("."), 2) + 1) if suffix in SUBTITLE_SUFFIXES else ():
                beside.setdefault(stem.rsplit(".", words)[0], []).append(entry)
        for entry in files:
            stem, suffix = _split(entry.name)
            if suffix in VIDEO_SUFFIXES and stem + SKIP_MARK in names:
                self.left_out[Path(entry.path)] = f"{stem + SKIP_MARK} is beside it"
            elif suffix in VIDEO_SUFFIXES:
                self._note(entry, beside.get(stem, []))

    def _note(self, entry: os.DirEntry[str], subtitles: list[os.DirEntry[str]]) -> None:
        path = Path(entry.path)
        facts = [self._request]
        try:
            found = entry.stat()
            for each in (entry, *sorted(subtitles, key=lambda s: s.name)):
                status = each.stat()
                times = f"\0{status.st_size}\0{status.st_mtime_ns}"
                facts.append(os.fsencode(each.path) + times.encode())
        except FileNotFoundError:
            return
        below = path.relative_to(self.library.path)
        listed = Listed(below, found.st_size, found.st_mtime)
        reason = listed_reason(self.library.rules, listed, self.now_s)
        if entry.is_symlink() and not (self.library.outside_links or self.library.holds(path)):
            reason = "it is a link that leads out of the library (outside_links = false)"
        if reason:
            self.left_out[path] = reason
            return
        digest = hashlib.blake2b(b"\0".join(facts), digest_size=6).digest()
        one, file = (path, base64.b64encode(digest).decode()), (found.st_dev, found.st_ino)
        self.files[file] = min(one, self.files.get(file, one))


def scan(library: Library, before: ScanState, avoided: Path, now_s: float | None = None) -> Scan:
    """List a library's films, by name and date alone; no file is opened.

    A library that cannot be listed, or is empty and was not before, counts as away (a disk that is
    not mounted), and its state is kept.

    `before` is the result of `Scan.after` for the last scan; the folder `avoided` is left out.
    """
    if not library.path.is_dir():
        return Scan({}, before, gone="the folder is not there")
    walk = _Walk(library, avoided, time.time() if now_s is None else now_s)
    videos = {signature: path for path, signature in walk.files.values()}
    gone = None
    if not videos and not walk.left_out and (walk.gaps or before.handled):
        gone = walk.gaps[0] if walk.gaps else "the folder is empty, and was not before"
    return Scan(videos, before, walk.left_out, tuple(walk.gaps), gone)


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
    marks = [library.path / folder / SKIP_MARK for folder in below.parents]
    for mark in (*marks, path.with_name(path.stem + SKIP_MARK)):
        if mark.exists():
            return f"{str(mark)!r} exists"
    if not (library.outside_links or library.holds(path)):
        return "it is a link that leads out of the library (outside_links = false)"
    try:
        found = path.stat()
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    rules = replace(library.rules, min_age_minutes=0)
    return listed_reason(rules, Listed(below, found.st_size, found.st_mtime), time.time())


def _split(name: str) -> tuple[str, str]:
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix.lower()) if dot else (name, "")
