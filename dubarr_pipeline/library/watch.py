"""Watching a folder: which of its videos are new, and lie still.

A video is known by a short signature of its path, size, date and subtitles beside it, and of what
is wished for it; so a look costs a listing of the folders, and what is remembered stays small: 8
characters per video.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from dubarr_pipeline.library.libraries import Library
from dubarr_pipeline.library.rules import SKIP_MARK, Listed, listed_reason

VIDEO_SUFFIXES = frozenset(
    ".avi .divx .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .vob .webm .wmv".split()
)
SUBTITLE_SUFFIXES = frozenset((".srt", ".ass", ".ssa", ".vtt"))
_LETTERS = 8
"""48 bits: among 100,000 videos, a new one is taken for a known one once in 3 billion."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of a library between two looks.

    Attributes:
        settled: signatures of videos that were taken in, or refused.
        waiting: signatures that were seen at the last look for the first time.
    """

    settled: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, settled: str, waiting: str) -> Memory:
        """Read what `text` wrote."""
        return cls(frozenset(_parts(settled)), frozenset(_parts(waiting)))

    def text(self) -> tuple[str, str]:
        """Both sets as strings."""
        return "".join(sorted(self.settled)), "".join(sorted(self.waiting))


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a library found.

    Attributes:
        videos: every video's signature and path; one under several names (hard links, symbolic
            links) once, under the first of them.
        before: what was known.
        left_out: videos that the library's rules keep out (for now), and why.
        gaps: folders that could not be read, with the system's words.
        gone: why the whole library seems to be away, or None.
    """

    videos: dict[str, Path]
    before: Memory
    left_out: dict[Path, str] = field(default_factory=dict[Path, str])
    gaps: tuple[str, ...] = ()
    gone: str | None = None

    @property
    def ready(self) -> list[tuple[str, Path]]:
        """Videos that are not settled, and lay still since the last look, by path."""
        settled, waiting = self.before.settled, self.before.waiting
        still = [(s, p) for s, p in self.videos.items() if s in waiting and s not in settled]
        return sorted(still, key=lambda found: found[1])

    def after(self, settled: Iterable[str]) -> Memory:
        """What is to be known next time, when these have been settled as well."""
        if self.gone:
            return self.before
        kept = self.before.settled if self.gaps else self.before.settled & self.videos.keys()
        known = kept | frozenset(settled)
        return Memory(known, frozenset(self.videos.keys() - known))


@dataclass(slots=True)
class _Walk:
    """One pass through the folders of a library."""

    library: Library
    avoided: Path
    now_s: float
    found: dict[tuple[int, int], tuple[Path, str]] = field(
        default_factory=dict[tuple[int, int], tuple[Path, str]]
    )
    """Device and inode of a file, and its first path and signature."""
    left_out: dict[Path, str] = field(default_factory=dict[Path, str])
    gaps: list[str] = field(default_factory=list[str])
    _wishes: bytes = b""

    def enter(self, folder: Path) -> None:
        library = self.library
        wishes = (library.target_langs, library.profile, sorted(library.overrides.items()))
        self._wishes = repr(wishes).encode()
        folders = [folder]
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
            self.left_out[here] = f"{SKIP_MARK} stands there"
            return
        seen = [entry for entry in entries if not entry.name.startswith(".")]
        folders = {entry.path for entry in seen if entry.is_dir(follow_symlinks=False)}
        yield from (Path(each) for each in folders if each != str(self.avoided))
        files = [entry for entry in seen if entry.path not in folders]
        beside = _beside(files)
        for entry in files:
            stem, suffix = _split(entry.name)
            if suffix in VIDEO_SUFFIXES and stem + SKIP_MARK in names:
                self.left_out[Path(entry.path)] = f"{stem + SKIP_MARK} stands beside it"
            elif suffix in VIDEO_SUFFIXES:
                self._note(entry, beside.get(stem, []))

    def _note(self, entry: os.DirEntry[str], subtitles: list[os.DirEntry[str]]) -> None:
        path = Path(entry.path)
        try:
            found = entry.stat()
            facts = [_fact(each) for each in (entry, *sorted(subtitles, key=lambda s: s.name))]
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
        digest = hashlib.blake2b(b"\0".join([self._wishes, *facts]), digest_size=6).digest()
        one, file = (path, base64.b64encode(digest).decode()), (found.st_dev, found.st_ino)
        self.found[file] = min(one, self.found.get(file, one))


def look(library: Library, before: Memory, avoided: Path, now_s: float | None = None) -> Look:
    """List a library's videos, by name and date alone; no file is opened.

    A library that cannot be listed, or in which nothing is left where there was something, is taken
    for one that is away (a disk that is not mounted), and nothing known of it is forgotten.

    Args:
        library: the library.
        before: what `Look.after` told the last time.
        avoided: the folder of the work folders, should it lie in the library.
        now_s: the time, seconds since 1970; default: now.
    """
    if not library.path.is_dir():
        return Look({}, before, gone="the folder is not there")
    walk = _Walk(library, avoided, time.time() if now_s is None else now_s)
    walk.enter(library.path)
    videos = {signature: path for path, signature in walk.found.values()}
    gone = None
    if not videos and not walk.left_out and (walk.gaps or before.settled):
        gone = walk.gaps[0] if walk.gaps else "the folder is empty, and was not before"
    return Look(videos, before, walk.left_out, tuple(walk.gaps), gone)


def left_out(library: Library, path: Path) -> str | None:
    """Say why a video that somebody named is not dubbed, by its name and place, or None.

    Its age does not count: who names it says that it is whole.
    """
    path = Path(os.path.normpath(path))
    if not path.is_relative_to(library.path):
        return f"it does not lie in {str(library.path)!r}"
    below = path.relative_to(library.path)
    if path.suffix.lower() not in VIDEO_SUFFIXES or any(p.startswith(".") for p in below.parts):
        return "its name is no video's"
    marks = [library.path / folder / SKIP_MARK for folder in below.parents]
    for mark in (*marks, path.with_name(path.stem + SKIP_MARK)):
        if mark.exists():
            return f"{str(mark)!r} stands there"
    if not (library.outside_links or library.holds(path)):
        return "it is a link that leads out of the library (outside_links = false)"
    try:
        found = path.stat()
    except OSError as error:
        return f"it cannot be looked at ({error.strerror})"
    rules = replace(library.rules, min_age_minutes=0)
    return listed_reason(rules, Listed(below, found.st_size, found.st_mtime), time.time())


def _fact(entry: os.DirEntry[str]) -> bytes:
    found = entry.stat()
    return os.fsencode(entry.path) + f"\0{found.st_size}\0{found.st_mtime_ns}".encode()


def _beside(files: list[os.DirEntry[str]]) -> dict[str, list[os.DirEntry[str]]]:
    """The subtitles by the video's stem that they can belong to: ``{stem}[.word[.word]].srt``."""
    found: dict[str, list[os.DirEntry[str]]] = {}
    for entry in files:
        stem, suffix = _split(entry.name)
        if suffix in SUBTITLE_SUFFIXES:
            for words in range(3):
                found.setdefault(stem.rsplit(".", words)[0], []).append(entry)
                if stem.count(".") <= words:
                    break
    return found


def _split(name: str) -> tuple[str, str]:
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix.lower()) if dot else (name, "")


def _parts(text: str) -> Iterator[str]:
    return (text[start : start + _LETTERS] for start in range(0, len(text), _LETTERS))
