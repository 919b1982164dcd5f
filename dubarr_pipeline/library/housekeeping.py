"""Removal of files that are no longer needed; sources and published films stay.

Every rule names the files to remove and the reason, so that `dubarr prune --dry-run` and the daily
job agree. A video that a process works on is left alone until the next time.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dubarr_pipeline.config.options import HousekeepingOptions
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.errors import ArtifactError, VideoBusy
from dubarr_pipeline.files import write_text
from dubarr_pipeline.library.publishing.files import drop_original, due_original
from dubarr_pipeline.library.publishing.records import read_publication
from dubarr_pipeline.library.staging.folders import remove_film
from dubarr_pipeline.library.videos import (
    SUPERSEDED_MARK,
    Video,
    is_superseded,
    load_video,
    registered,
)
from dubarr_pipeline.workdir.layout import exclusive, unfinished

Kind = Literal[
    "unfinished file",
    "temporary files",
    "service log",
    "receipt",
    "kept original",
    "deleted video",
    "sample",
    "review cache",
]
SAMPLES = "samples"
"""Folder of the samples of films; a library's walk passes by a folder of this name."""
REVIEWS = ".review"
"""Folder of what the review page keeps for browsers, with a folder for each film."""
RECEIPTS = ".requests"
"""Folder of the receipts of requests."""
_DAY_S = 86_400.0
_UNFINISHED_S = 3_600.0
"""Age of an unfinished file from which no process can be writing it any more."""
_ABSENCE_MARK = ".source-gone"
_NO_WORK = frozenset((".lock", _ABSENCE_MARK, SUPERSEDED_MARK))


@dataclass(frozen=True, slots=True)
class Removal:
    """A file or folder that may be removed, its size in bytes, and the key of its video, if any."""

    kind: Kind
    path: Path
    reason: str
    key: str = ""
    size: int = 0


def removals(settings: Settings, now_s: float) -> Iterator[Removal]:
    """Yield the files that may be removed, in the work folder and among the kept originals."""
    for key in registered(settings.work_dir):
        with suppress(ArtifactError):
            yield from _of_video(load_video(key, settings.work_dir), settings, now_s)
    yield from _old_logs(settings.work_dir / "logs", settings.housekeeping, now_s)
    yield from _old_logs(settings.work_dir / RECEIPTS, settings.housekeeping, now_s, "receipt")
    yield from _idle(settings, now_s, SAMPLES, "sample")
    yield from _idle(settings, now_s, REVIEWS, "review cache")


def remove(removal: Removal, settings: Settings, now_s: float) -> bool:
    """Remove a file or folder; return False if it is needed again, or its video is being dubbed."""
    if not removal.key:
        _drop(removal.path)
        return True
    try:
        video = load_video(removal.key, settings.work_dir)
        work = video.work(settings.work_dir)
        # Taking hold of a video removes its unfinished files.
        with exclusive(work):
            due = {(each.kind, each.path) for each in _of_video(video, settings, now_s)}
            if removal.kind == "unfinished file":
                return not removal.path.exists()
            if (removal.kind, removal.path) not in due:
                return False
            if removal.kind == "deleted video":
                remove_film(removal.key, settings)
            elif removal.kind == "temporary files":
                shutil.rmtree(removal.path)
            elif removal.kind == "kept original":
                drop_original(work, now_s)
            return True
    except (ArtifactError, VideoBusy):
        return False


def _drop(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def note_absences(settings: Settings, now_s: float) -> None:
    """Mark films that are missing with the time since when; unmark those that are back."""
    for key in registered(settings.work_dir):
        with suppress(ArtifactError):
            video = load_video(key, settings.work_dir)
            mark = video.work(settings.work_dir).root / _ABSENCE_MARK
            if not is_deleted(video, settings):
                mark.unlink(missing_ok=True)
            elif not mark.exists():
                write_text(mark, f"missing since {now_s:.0f}\n")
                os.utime(mark, (now_s, now_s))


def is_deleted(video: Video, settings: Settings) -> bool:
    """Return whether a film is gone from a library that is there.

    The nearest folder above it that still exists must not be empty: an empty one may be the mount
    point of a disk. A film that was published in its original's place is not gone; one whose place
    a better release took is, once nothing of it is published or kept.
    """
    if video.library is None or video.library not in settings.libraries:
        return False
    try:
        publication = read_publication(video.work(settings.work_dir))
        if is_superseded(video.work(settings.work_dir)):
            kept = publication and publication.original and publication.original.is_file()
            return not (kept or (publication and publication.places))
        if os.path.lexists(video.source):
            return False
        files = publication.files if publication and publication.mode == "replace" else ()
        if any(file.path.is_file() for file in files):
            return False
        above = next(folder for folder in video.source.parents if folder.is_dir())
        root: Path = settings.library(video.library).path
        return above.is_relative_to(root) and any(above.iterdir())
    except OSError:
        return False


def _of_video(video: Video, settings: Settings, now_s: float) -> Iterator[Removal]:
    options = settings.housekeeping
    work = video.work(settings.work_dir)
    mark, after_days = work.root / _ABSENCE_MARK, options.forget_deleted_after_days
    if after_days and mark.is_file() and is_deleted(video, settings):
        gone_days = (now_s - mark.stat().st_mtime) / _DAY_S
        if gone_days >= after_days:
            since = f"has been gone for {gone_days:.0f} days, and its library is there"
            if is_superseded(work):
                since = f"gave way to a better release {gone_days:.0f} days ago"
            reason, size = f"{str(video.source)!r} {since}", _size(work.root)
            yield Removal("deleted video", work.root, reason, video.key, size)
            return
    for path in unfinished(work):
        if now_s - path.stat().st_mtime > _UNFINISHED_S:
            reason = "its process was killed while writing it"
            yield Removal("unfinished file", path, reason, video.key, _size(path))
    files = [path for path in work.root.iterdir() if path.name not in _NO_WORK]
    last_work_s = max(path.stat().st_mtime for path in (*files, *work.temporary.rglob("*")))
    idle_days = (now_s - last_work_s) / _DAY_S
    kept = settings.debug_mode or idle_days <= options.keep_temporary_days
    if work.temporary.is_dir() and not kept:
        reason = f"its video has been idle for {idle_days:.0f} days"
        size = _size(work.temporary)
        yield Removal("temporary files", work.temporary, reason, video.key, size)
    yield from _old_logs(work.logs, options, now_s)
    if original := due_original(work, now_s):
        reason = "its time (publish.keep_original_days) is over, and the dubbed film is whole"
        yield Removal("kept original", original, reason, video.key, _size(original))


def _old_logs(
    folder: Path, options: HousekeepingOptions, now_s: float, kind: Kind = "service log"
) -> Iterator[Removal]:
    """Yield old logs of services, or receipts; the marks of passed service checks are kept."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        days = (now_s - path.stat().st_mtime) / _DAY_S
        if path.is_file() and days > options.keep_logs_days and not path.name.startswith("tried-"):
            yield Removal(kind, path, f"it is {days:.0f} days old", size=_size(path))


def _idle(settings: Settings, now_s: float, name: str, kind: Kind) -> Iterator[Removal]:
    """Yield what nothing in a folder has touched for as long as temporary files are kept."""
    folder, kept_days = settings.work_dir / name, settings.housekeeping.keep_temporary_days
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        inside = path.rglob("*") if path.is_dir() else ()
        touched_s: list[float] = []
        for each in (path, *inside):
            # Whoever writes there may rename a file while the folder is read.
            with suppress(FileNotFoundError):
                touched_s.append(each.lstat().st_mtime)
        idle_days = (now_s - max(touched_s, default=now_s)) / _DAY_S
        if idle_days > kept_days and not settings.debug_mode:
            reason = f"it is a {kind} that has been idle for {idle_days:.0f} days"
            yield Removal(kind, path, reason, size=_size(path))


def _size(path: Path) -> int:
    files = [path] if path.is_file() else (each for each in path.rglob("*") if each.is_file())
    return sum(each.stat().st_size for each in files)
