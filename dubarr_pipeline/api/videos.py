"""Registered videos: what may be removed of them."""

import time
from collections.abc import Sequence
from pathlib import Path

from dubarr_pipeline.api.planning import find_key
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.distributed.exchange import clear_removed
from dubarr_pipeline.defs.distributed.leases import hold_film
from dubarr_pipeline.defs.jobs import forget_run, old_runs, tidy
from dubarr_pipeline.defs.library_names import names_of
from dubarr_pipeline.defs.runtime.records import remove_video
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.library.housekeeping import Removal, removals
from dubarr_pipeline.library.staging.folders import remove_film, staged_film
from dubarr_pipeline.library.videos import load_video
from dubarr_pipeline.workdir import checkpoints
from dubarr_pipeline.workdir.layout import WorkDir, exclusive


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

    Raises:
        VideoBusy: if a run works at it, on whichever machine.
        DubbingError: if the store of work folders is away; `prune` goes on.
    """
    going = stages_from(stage) if stage else STAGE_NAMES
    key = find_key(name, settings)
    work = load_video(key, settings.work_dir).work(settings.work_dir)
    with (
        open_instance(settings.work_dir) as instance,
        hold_film(instance, key, settings),
        exclusive(work),
    ):
        if stage is None:
            files = forget_stages(work, going)
            remove_video(instance, key, names_of(settings.work_dir))
            remove_film(key, settings)
            clear_removed(instance, settings)
        else:
            with staged_film(key, settings, "", (), claims=False):
                files = forget_stages(work, going)
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
        if not dry_run:
            clear_removed(instance, settings)
    return files, len(runs)
