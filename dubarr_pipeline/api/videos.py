"""Registered videos: how far they are, what a run would do to them, and what may be removed."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from dubarr_pipeline.api.profiles import read_settings
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.jobs import forget_run, old_runs, tidy
from dubarr_pipeline.defs.runtime.plan import StageDecision, VideoPlan, plan_all
from dubarr_pipeline.defs.runtime.records import remove_video
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.runtime.status import Task, task_table
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.errors import ArtifactError, DubbingError, SettingsError
from dubarr_pipeline.library.housekeeping import Removal, removals
from dubarr_pipeline.library.videos import Video, load_video, registered, unreadable_video
from dubarr_pipeline.text.languages import parse_languages
from dubarr_pipeline.workdir import checkpoints
from dubarr_pipeline.workdir.layout import WorkDir, exclusive


def status(
    work_dir: str | os.PathLike[str] | None = None, config: str | os.PathLike[str] | None = None
) -> list[Task]:
    """Return the task table: one row for each video of a work folder."""
    return list_tasks(read_settings(work_dir, config))


def list_tasks(settings: Settings) -> list[Task]:
    """Return the task table; a work folder that does not exist is not made."""
    if not settings.work_dir.is_dir():
        return []
    with open_instance(settings.work_dir) as instance:
        return task_table(instance, settings.work_dir, settings=settings)


def plan(
    video: str | os.PathLike[str],
    to: Sequence[str] = (),
    *,
    work_dir: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | None = None,
) -> list[StageDecision]:
    """Return what a run would do to a registered video. Changes nothing.

    The video is given by its path, its key, or a beginning of its key; `to` are target languages
    (BCP-47), those it was registered with by default.

    Raises:
        SettingsError: if no video or several match.
        DubbingError: if the run would fail at once.
    """
    settings = read_settings(work_dir, config)
    targets = parse_languages(",".join(to)) if to else ()
    (planned,) = plan_videos([os.fspath(video)], targets, settings)
    if planned.fault:
        raise DubbingError(planned.fault)
    return list(planned.steps)


def plan_videos(
    names: Sequence[str], targets: tuple[str, ...], settings: Settings
) -> list[VideoPlan]:
    """Return what a run would do to the named videos, or to all; `targets` replace their own."""
    keys = [find_key(name, settings) for name in names] or list(registered(settings.work_dir))
    if not keys:
        return []
    readable: list[Video] = []
    unreadable: list[VideoPlan] = []
    for key in keys:
        try:
            video = load_video(key, settings.work_dir)
            readable.append(replace(video, target_langs=targets or video.target_langs))
        except ArtifactError as error:
            video = unreadable_video(key, settings.work_dir)
            unreadable.append(VideoPlan(video, (), str(error)))
    with open_instance(settings.work_dir) as instance:
        return [*plan_all(instance, readable, settings), *unreadable]


def find_key(name: str, settings: Settings) -> str:
    """Return the key of a video that is given by key, an unambiguous beginning of it, or path.

    Raises:
        SettingsError: if none or several match; it lists the choices.
    """
    keys = list(registered(settings.work_dir))
    if name in keys:
        return name
    path = Path(name).absolute()
    by_path: list[str] = []
    for key in keys:
        with suppress(ArtifactError):
            by_path += [key] if load_video(key, settings.work_dir).source == path else []
    matches = by_path or [key for key in keys if key.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    choices = ", ".join(matches or keys) or "none"
    raise SettingsError(f"{len(matches)} videos match {name!r}; choose one of: {choices}")


def stages_from(stage: str) -> tuple[str, ...]:
    """Return a stage and all after it. Raises `SettingsError` with the choices."""
    if stage not in STAGE_NAMES:
        raise SettingsError(f"unknown stage {stage!r}; choose one of: {', '.join(STAGE_NAMES)}")
    return STAGE_NAMES[STAGE_NAMES.index(stage) :]


def forget_stages(work: WorkDir, stages: Sequence[str]) -> int:
    """Remove the results of some stages; return the number of files. The caller holds the lock."""
    removed = [path for stage in stages for path in checkpoints.forget(work, stage)]
    if "segments" in stages:
        work.forget_lines()
    return len(removed)


def purge(name: str, stage: str | None, settings: Settings) -> tuple[str, int, Path | None]:
    """Remove a video's results, all or from one stage on; the source is never touched.

    Return its key, the number of files, and a person's corrections, which stay, if there are any.
    """
    going = stages_from(stage) if stage else STAGE_NAMES
    key = find_key(name, settings)
    work = load_video(key, settings.work_dir).work(settings.work_dir)
    with exclusive(work):
        files = forget_stages(work, going)
        if stage is None:
            with open_instance(settings.work_dir) as instance:
                remove_video(instance, key)
            work.remove()
    return key, files, work.edits if work.edits.exists() else None


def prune(settings: Settings, dry_run: bool) -> tuple[list[Removal], int]:
    """Remove, or in a dry run list, what `[housekeeping]` lets go: files, and a count of runs."""
    if not settings.work_dir.is_dir():
        return [], 0
    with open_instance(settings.work_dir) as instance:
        now_s = time.time()
        due = removals(settings, now_s) if dry_run else tidy(instance, settings, now_s)
        files, runs = list(due), old_runs(instance, settings, now_s)
        for run in () if dry_run else runs:
            forget_run(instance, run)
    return files, len(runs)
