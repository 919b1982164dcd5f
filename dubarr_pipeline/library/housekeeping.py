"""What may go: files that nobody will ask for again. The sources and what was published stay.

Every rule names what it would remove and why, so that `dubarr prune --dry-run` and the daily job
say the same. A video that a process works on is left alone until the next time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dubarr_pipeline.errors import ArtifactError, VideoBusy
from dubarr_pipeline.library.publications import read_publication
from dubarr_pipeline.library.publishing import drop_original, due_original
from dubarr_pipeline.library.videos import Video, load_video, registered
from dubarr_pipeline.settings import Settings
from dubarr_pipeline.workdir import WorkDir, exclusive, unfinished, write_text

Kind = Literal[
    "unfinished file", "temporary files", "service log", "kept original", "deleted video"
]
_DAY_S = 86_400.0
_UNFINISHED_S = 3_600.0
"""A file that is still being written is younger."""
_NO_WORK = frozenset((".lock", ".source-gone"))


@dataclass(frozen=True, slots=True)
class HousekeepingOptions:
    """What is removed once a day, and by `dubarr prune`.

    Attributes:
        keep_runs_days: Dagster's record of finished runs; a run that made what still stands, and
            the last run of each video, are kept anyway; 0: for ever.
        keep_temporary_days: scratch files of a video that nobody has worked on for so long.
        keep_logs_days: what services said.
        forget_deleted_after_days: the work folder of a video whose file has been missing for so
            long while its library is there; a person's corrections are kept; 0: never.
    """

    keep_runs_days: float = 30.0
    keep_temporary_days: float = 7.0
    keep_logs_days: float = 30.0
    forget_deleted_after_days: float = 30.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")


@dataclass(frozen=True, slots=True)
class Removal:
    """Something that may go.

    Attributes:
        reason: in words for people.
        key: the video that it belongs to, if any.
        size: in bytes.
    """

    kind: Kind
    path: Path
    reason: str
    key: str = ""
    size: int = 0


def removals(settings: Settings, now_s: float) -> Iterator[Removal]:
    """Find what may go, below the work folder and among the originals that we keep."""
    options: HousekeepingOptions = settings.options("housekeeping")
    for key in registered(settings.work_dir):
        try:
            yield from _of_video(load_video(key, settings.work_dir), settings, now_s)
        except ArtifactError:
            continue
    yield from _old_logs(settings.work_dir / "logs", options, now_s)


def remove(found: Removal, settings: Settings, now_s: float) -> bool:
    """Remove what was found; False if it is not to go any more, or somebody is at work there."""
    if not found.key:
        found.path.unlink(missing_ok=True)
        return True
    try:
        video = load_video(found.key, settings.work_dir)
        work = video.work(settings.work_dir)
        # Who takes hold of a video removes its unfinished files.
        with exclusive(work):
            due = {(each.kind, each.path) for each in _of_video(video, settings, now_s)}
            if found.kind == "unfinished file":
                return not found.path.exists()
            if (found.kind, found.path) not in due:
                return False
            _remove(found, work, now_s)
            return True
    except (ArtifactError, VideoBusy):
        return False


def note_absences(settings: Settings, now_s: float) -> None:
    """Remember since when films have been missing, and forget it of those that are back."""
    for key in registered(settings.work_dir):
        try:
            video = load_video(key, settings.work_dir)
        except ArtifactError:
            continue
        mark = _absence_mark(video.work(settings.work_dir))
        if not is_deleted(video, settings):
            mark.unlink(missing_ok=True)
        elif not mark.exists():
            write_text(mark, f"missing since {now_s:.0f}\n")
            os.utime(mark, (now_s, now_s))


def is_deleted(video: Video, settings: Settings) -> bool:
    """Whether a film is gone from a library that is there.

    The nearest folder above it that is left must hold something: an empty one may be the place of a
    disk that is not mounted. A film that stands in its original's place is not gone.
    """
    if video.library is None or video.library not in settings.libraries:
        return False
    try:
        if os.path.lexists(video.source) or _stands_published(video.work(settings.work_dir)):
            return False
        above = next(folder for folder in video.source.parents if folder.is_dir())
        root: Path = settings.library(video.library).path
        return above.is_relative_to(root) and any(above.iterdir())
    except OSError:
        return False


def _stands_published(work: WorkDir) -> bool:
    found = read_publication(work)
    return (
        found is not None
        and found.mode == "replace"
        and any(placed.path.is_file() for placed in found.files)
    )


def _absence_mark(work: WorkDir) -> Path:
    return work.root / ".source-gone"


def _of_video(video: Video, settings: Settings, now_s: float) -> Iterator[Removal]:
    options: HousekeepingOptions = settings.options("housekeeping")
    work = video.work(settings.work_dir)
    forgotten = _deleted(video, settings, options, now_s)
    if forgotten:
        yield forgotten
        return
    for path in unfinished(work):
        if now_s - path.stat().st_mtime > _UNFINISHED_S:
            reason = "a process was killed while it wrote it"
            yield Removal("unfinished file", path, reason, video.key, _size(path))
    idle_days = (now_s - _last_work_s(work)) / _DAY_S
    kept = settings.debug_mode or idle_days <= options.keep_temporary_days
    if work.temporary.is_dir() and not kept:
        reason = f"nobody has worked on the video for {idle_days:.0f} days"
        size = _size(work.temporary)
        yield Removal("temporary files", work.temporary, reason, video.key, size)
    yield from _old_logs(work.logs, options, now_s)
    original = due_original(work, now_s)
    if original:
        reason = "its time (publish.keep_original_days) is over, and the dubbed film stands"
        yield Removal("kept original", original, reason, video.key, _size(original))


def _deleted(
    video: Video, settings: Settings, options: HousekeepingOptions, now_s: float
) -> Removal | None:
    work = video.work(settings.work_dir)
    mark = _absence_mark(work)
    if not (options.forget_deleted_after_days and mark.is_file() and is_deleted(video, settings)):
        return None
    days = (now_s - mark.stat().st_mtime) / _DAY_S
    if days < options.forget_deleted_after_days:
        return None
    reason = f"{str(video.source)!r} has been gone for {days:.0f} days, and its library is there"
    return Removal("deleted video", work.root, reason, video.key, _size(work.root))


def _old_logs(folder: Path, options: HousekeepingOptions, now_s: float) -> Iterator[Removal]:
    """What services said long ago; marks of questions that were answered well are no logs."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        days = (now_s - path.stat().st_mtime) / _DAY_S
        if path.is_file() and days > options.keep_logs_days and not path.name.startswith("tried-"):
            yield Removal("service log", path, f"it is {days:.0f} days old", size=_size(path))


def _last_work_s(work: WorkDir) -> float:
    """When something was last changed in a work folder, seconds since 1970."""
    seen = [path for path in work.root.iterdir() if path.name not in _NO_WORK]
    return max(path.stat().st_mtime for path in (*seen, *work.temporary.rglob("*")))


def _remove(found: Removal, work: WorkDir, now_s: float) -> None:
    if found.kind == "deleted video":
        work.remove()
    elif found.kind == "temporary files":
        shutil.rmtree(found.path)
    elif found.kind == "kept original":
        drop_original(work, now_s)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else (each for each in path.rglob("*") if each.is_file())
    return sum(each.stat().st_size for each in files)
