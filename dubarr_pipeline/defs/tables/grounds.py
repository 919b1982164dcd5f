"""Grounds of a plan: everything that it was made from, as a digest.

What a plan reads is looked at here, and not read: sizes, dates and inodes of files, names in
folders. Where one of them differs, the plan is made anew; a difference too much costs time, one too
few would hide a stage that is due.
"""

import hashlib
import os
import shutil
import sys
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pydantic

import dubarr_pipeline
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.stages import STAGES
from dubarr_pipeline.defs.tables.store_files import NewestEvents
from dubarr_pipeline.errors import DubbingError
from dubarr_pipeline.files import composed
from dubarr_pipeline.library.series.memory import SeriesFolder
from dubarr_pipeline.library.series.names import aliases_file, series_of
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.media.container.probe import version
from dubarr_pipeline.media.subtitles.kept_originals import place_before
from dubarr_pipeline.media.subtitles.sources import is_subtitle_folder, is_video_name
from dubarr_pipeline.workdir.canonical import canonical_json

_DIGEST_BYTES = 16
_DEPTH, _DEPTH_OF_SUBTITLES = 8, 1
"""Folders in folders that are looked into: more than our own have, and all that may hold
subtitles. A link may lead to a folder around it."""
_State = tuple[str, tuple[int, ...] | None]
"""A path, and its size, dates (ns) and inode; None where it cannot be looked at."""
_Beside = tuple[tuple[str, ...], tuple[str, ...], tuple[_State, ...], int]
"""Names of a folder, composed and in order; as they are; what its folders of subtitles hold; the
number of its videos."""


def digest_of(facts: object) -> str:
    """Return 32 hex digits over the representation of plain values."""
    text = repr(facts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES).hexdigest()


class Grounds:
    """Grounds of the plans of one process; what films share is looked at once.

    Args:
        settings: those of all films; each has its own on top.
        newest: the last event of each stage in the store, by film.
    """

    def __init__(self, settings: Settings, newest: NewestEvents) -> None:
        self._settings, self._newest = settings, newest
        self._common = (code_state(), _programs(), [(s.name, s.version) for s in STAGES])
        self._of_settings: dict[int, str] = {}
        self._folders: dict[Path, _Beside] = {}

    def of(self, video: Video) -> str | None:
        """Return the digest of everything that a film's plan is made from but engines' answers.

        None where that cannot be told.
        """
        try:
            own = self._settings.for_video(video.profile, video.overrides)
            series = series_of(video, self._settings.work_dir)
            films = place_before(video.source)
            with video.source.open("rb"):
                facts = (
                    self._digest(own),
                    video,
                    self._newest.get(video.key),
                    _state(str(video.source)),
                    *self._beside(films),
                    *_tree(str(video.work(self._settings.work_dir).root)),
                )
            if series:
                memory = SeriesFolder.of(series.key, self._settings.work_dir).cast
                paths = (str(memory), str(aliases_file(self._settings.work_dir)))
                facts = (*facts, series, *map(_state, paths))
        except (DubbingError, LookupError, OSError, TypeError, ValueError):
            return None
        return digest_of(facts)

    def _digest(self, own: Settings) -> str:
        # Settings live as long as those they are made from.
        if id(own) not in self._of_settings:
            self._of_settings[id(own)] = digest_of((self._common, canonical_json(own)))
        return self._of_settings[id(own)]

    def _beside(self, film: Path) -> Iterator[object]:
        """Yield what lies beside a film and may be its subtitles, and who else they may be of."""
        if film.parent not in self._folders:
            self._folders[film.parent] = _look_beside(film.parent)
        inner, names, subtitles, videos = self._folders[film.parent]
        stem = composed(film.stem)
        at = bisect_left(inner, stem)
        while at < len(inner) and inner[at].startswith(stem):
            yield _state(f"{film.parent}/{names[at]}")
            at += 1
        yield videos == 1
        yield subtitles


def _look_beside(folder: Path) -> _Beside:
    listed = sorted((composed(name), name) for name in os.listdir(folder))  # noqa: PTH208
    names = tuple(name for _, name in listed)
    subtitles = (
        state
        for name in names
        if is_subtitle_folder(name)
        for state in (_state(f"{folder}/{name}"), *_tree(f"{folder}/{name}", _DEPTH_OF_SUBTITLES))
    )
    videos = sum(map(is_video_name, names))
    return tuple(each for each, _ in listed), names, tuple(subtitles), videos


def _state(path: str) -> _State:
    try:
        return path, version(os.stat(path))  # noqa: PTH116
    except OSError:
        return path, None


def _tree(folder: str, depth: int = _DEPTH) -> Iterator[_State]:
    """Yield the states of all files below a folder, and of its folders; as text, for speed."""
    try:
        with os.scandir(folder) as found:
            listed = sorted(found, key=lambda each: each.name)
    except NotADirectoryError:
        return
    for each in listed:
        try:
            yield each.path, version(each.stat())
        except OSError:
            yield each.path, None
        if depth and each.is_dir():
            yield from _tree(each.path, depth - 1)


@cache
def code_state() -> tuple[object, ...]:
    """Return the state of our code, and of the folder in which the libraries lie."""
    ours = str(Path(dubarr_pipeline.__file__).parent)
    # A folder of Python's own changes whenever a module is loaded for the first time.
    files = [each for each in _tree(ours) if each[0].endswith((".py", ".toml", ".json"))]
    return sys.version, _state(str(Path(pydantic.__file__).parents[1])), files


def _programs() -> list[_State]:
    """Return the state of the program whose answers on films are kept."""
    found = shutil.which("ffprobe")
    return [_state(found)] if found else []
