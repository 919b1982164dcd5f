"""Walk through a library's folders: its films, and what hides none of them.

Links that lead nowhere, to themselves or to where we may not look, and folders that cannot be read,
are named; everything beside them is seen.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dubarr_pipeline.config.libraries import SKIP_MARK, Library, Listed, listed_reason
from dubarr_pipeline.files import composed
from dubarr_pipeline.library.asides import aside_reason, folder_reason
from dubarr_pipeline.media.subtitles.sources import (
    SUBTITLE_SUFFIXES,
    is_subtitle_folder,
    stems_named,
)

VIDEO_SUFFIXES = frozenset(
    ".avi .divx .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .vob .webm .wmv".split()
)
LEADS_OUT = "it is a link that leads out of the library (outside_links = false)"
_Entries = list[os.DirEntry[str]]
_FAULTS = {
    errno.ENOENT: "it is a link that leads nowhere",
    errno.ELOOP: "it is a link that leads to itself",
}


@dataclass(slots=True)
class Walk:
    """One pass through a library, or through one folder of it.

    Attributes:
        avoided: folders that are passed over, with the reason for people, or an empty one.
        files: each film's first path and signature, by its inode: hard and symbolic links are one.
        left_out: films and folders that the rules keep out, and the reasons.
        faults: links and folders that cannot be read, and the reasons.
    """

    library: Library
    avoided: Mapping[Path, str]
    now_s: float
    files: dict[tuple[int, int], tuple[Path, str]] = field(
        default_factory=dict[tuple[int, int], tuple[Path, str]]
    )
    left_out: dict[Path, str] = field(default_factory=dict[Path, str])
    faults: dict[Path, str] = field(default_factory=dict[Path, str])
    _request: bytes = b""
    _avoided_inodes: dict[int, Path] = field(default_factory=dict[int, Path])
    _followed: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])

    def __post_init__(self) -> None:
        library = self.library
        request = (library.target_langs, library.profile, sorted(library.overrides.items()))
        # Plain values in this very form: another one would have every library scanned afresh.
        self._request = repr(request).encode()
        for folder in self.avoided:
            try:
                self._avoided_inodes[folder.stat().st_ino] = folder
            except OSError:
                continue

    def through(self, top: Path) -> Walk:
        """Walk through a folder and all below it."""
        folders = [top]
        while folders:
            folders += reversed(self.look_into(folders.pop()))
        return self

    def look_into(self, here: Path) -> list[Path]:
        """Note the films of one folder; return the folders in it."""
        try:
            if self.library.outside_links:
                found = here.stat()
                if (found.st_dev, found.st_ino) in self._followed:
                    return []
                self._followed.add((found.st_dev, found.st_ino))
            with os.scandir(here) as entries:
                return list(self._read(here, sorted(entries, key=lambda entry: entry.name)))
        except OSError as error:
            self.faults[here] = f"it cannot be read ({error.strerror})"
            return []

    def _read(self, here: Path, entries: _Entries) -> Iterator[Path]:
        names = {composed(entry.name) for entry in entries}
        if SKIP_MARK in names:
            self.left_out[here] = f"it holds {SKIP_MARK}"
            return
        kinds = [(entry, self._is_folder(entry)) for entry in entries]
        folders = [entry for entry, is_folder in kinds if is_folder]
        files = [entry for entry, is_folder in kinds if is_folder is False]
        depth = len(here.parts) - len(self.library.path.parts)
        yield from (Path(each.path) for each in folders if self._is_entered(each, depth))
        films = [each for each in files if _split(each.name)[1] in VIDEO_SUFFIXES]
        stems = {film.path: composed(_split(film.name)[0]) for film in films}
        beside = self._subtitles(stems.values(), files)
        shelves = [each for each in folders if is_subtitle_folder(each.name)]
        for stem, more in self._shelved(set(stems.values()), shelves):
            beside.setdefault(stem, []).extend(more)
        for film in films:
            stem = stems[film.path]
            if stem + SKIP_MARK in names:
                self.left_out[Path(film.path)] = f"{stem + SKIP_MARK} is beside it"
            else:
                self._note(film, beside.get(stem, []))

    def _is_folder(self, entry: os.DirEntry[str]) -> bool | None:
        """Return whether it is a folder; None for what is neither that nor a file, and is named."""
        if entry.name.startswith("."):
            return None
        if not entry.is_symlink():
            return entry.is_dir(follow_symlinks=False)
        try:
            entry.stat()
            return entry.is_dir()
        except OSError as error:
            unreadable = f"it is a link that cannot be read ({error.strerror})"
            self.faults[Path(entry.path)] = _FAULTS.get(error.errno or 0, unreadable)
            return None

    def _is_entered(self, entry: os.DirEntry[str], depth: int) -> bool:
        """Return whether the walk goes on into a folder; if not, it is named unless it is ours."""
        path = Path(entry.path)
        if reason := folder_reason(entry.name, depth, self.library.rules):
            self.left_out[path] = reason
            return False
        if entry.is_symlink():
            # What a link within the library shows is seen in its own place.
            if self.library.holds(path):
                return False
            if not self.library.outside_links:
                self.left_out[path] = LEADS_OUT
            return self.library.outside_links
        same = self._avoided_inodes.get(entry.inode())
        avoided = path if path in self.avoided else same
        if avoided and (avoided == path or avoided.samefile(path)):
            if self.avoided[avoided]:
                self.left_out[path] = self.avoided[avoided]
            return False
        return True

    def _subtitles(self, stems: Iterable[str], files: _Entries) -> dict[str, _Entries]:
        """Return subtitles by the stems of the films that they may be about."""
        wanted, found = set(stems), dict[str, _Entries]()
        for entry in _texts(files) if wanted else ():
            for stem in wanted & stems_named(entry.name):
                found.setdefault(stem, []).append(entry)
        return found

    def _shelved(self, stems: set[str], shelves: _Entries) -> Iterator[tuple[str, _Entries]]:
        """Yield the stem of each film with subtitles in folders of their own, and those."""
        for shelf in shelves if stems else ():
            inner = [each for each in self._list(shelf.path) if not each.name.startswith(".")]
            if len(stems) == 1:
                yield from ((stem, _texts(inner)) for stem in stems)
            else:
                yield from self._subtitles(stems, inner).items()
            for own in inner:
                if composed(own.name) in stems and self._is_folder(own):
                    yield composed(own.name), _texts(self._list(own.path))

    def _list(self, folder: str) -> _Entries:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.faults[Path(folder)] = f"it cannot be read ({error.strerror})"
            return []

    def _note(self, entry: os.DirEntry[str], subtitles: _Entries) -> None:
        path = Path(entry.path)
        try:
            found = entry.stat()
        except FileNotFoundError:
            return
        except OSError as error:
            self.faults[path] = f"it cannot be read ({error.strerror})"
            return
        facts = [self._request, _state(entry, found)]
        for each in sorted(subtitles, key=lambda subtitle: (subtitle.name, subtitle.path)):
            try:
                facts.append(_state(each, each.stat()))
            except OSError as error:
                unreadable = f"it cannot be read ({error.strerror})"
                self.faults[Path(each.path)] = _FAULTS.get(error.errno or 0, unreadable)
        below = path.relative_to(self.library.path)
        listed = Listed(below, found.st_size, found.st_mtime)
        reason = aside_reason(below, self.library.rules)
        reason = reason or listed_reason(self.library.rules, listed, self.now_s)
        if entry.is_symlink() and not (self.library.outside_links or self.library.holds(path)):
            reason = LEADS_OUT
        if reason:
            self.left_out[path] = reason
            return
        digest = hashlib.blake2b(b"\0".join(facts), digest_size=6).digest()
        one, file = (path, base64.b64encode(digest).decode()), (found.st_dev, found.st_ino)
        self.files[file] = min(one, self.files.get(file, one))


def _texts(entries: _Entries) -> _Entries:
    return [each for each in entries if _split(each.name)[1] in SUBTITLE_SUFFIXES]


def _state(entry: os.DirEntry[str], found: os.stat_result) -> bytes:
    return os.fsencode(entry.path) + f"\0{found.st_size}\0{found.st_mtime_ns}".encode()


def _split(name: str) -> tuple[str, str]:
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix.lower()) if dot else (name, "")
