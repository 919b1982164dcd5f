"""Jobs: dubbing a video, and housekeeping."""

import datetime
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.distributed.exchange import clear_removed
from dubarr_pipeline.defs.distributed.leases import forget_ended, hold_film
from dubarr_pipeline.defs.library_names import DUB, HOUSEKEEPING, LibraryNames, names_of
from dubarr_pipeline.defs.resources import resource_of
from dubarr_pipeline.defs.runtime.records import (
    PARTITION_TAG,
    last_materializations,
    newest_run,
    remove_video,
)
from dubarr_pipeline.defs.stages import PUBLISHED, STAGE_NAMES
from dubarr_pipeline.errors import VideoBusy
from dubarr_pipeline.library.housekeeping import Removal, note_absences, removals, remove
from dubarr_pipeline.library.videos import registered

_LEASES_KEPT_S = 7 * 86_400.0
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def dub_job(names: LibraryNames) -> UnresolvedAssetJobDefinition:
    """Return the job that dubs a film."""
    return dg.define_asset_job(
        names.prefixed(DUB),
        selection=dg.AssetSelection.assets(*map(names.key, (*STAGE_NAMES, PUBLISHED))),
        description="Dub a video and publish it: every stage; valid results are reused.",
    )


def tidy(
    instance: dg.DagsterInstance,
    settings: Settings,
    now_s: float,
    names: LibraryNames | None = None,
) -> Iterator[Removal]:
    """Remove everything that `[housekeeping]` allows; yield each removal."""
    names = names or names_of(settings.work_dir)
    note_absences(settings, now_s)
    for found in list(removals(settings, now_s)):
        with ExitStack() as held:
            try:
                if found.key:
                    held.enter_context(hold_film(instance, found.key, settings, names))
            except VideoBusy:
                continue
            removed = remove(found, settings, now_s)
        if removed:
            if found.kind == "deleted video":
                remove_video(instance, found.key, names)
            yield found


def old_runs(
    instance: dg.DagsterInstance,
    settings: Settings,
    now_s: float,
    names: LibraryNames | None = None,
) -> list[dg.DagsterRun]:
    """Return the runs of the library whose record may be deleted.

    With a run Dagster deletes the materializations that it recorded, which are our checkpoints: a
    run that holds the last one of any stage of any video stays. So does each video's last run, from
    which its status is read.
    """
    options = settings.housekeeping
    if not options.keep_runs_days:
        return []
    names = names or names_of(settings.work_dir)
    before_s = now_s - 86_400 * float(options.keep_runs_days)
    before = datetime.datetime.fromtimestamp(before_s, tz=datetime.UTC)
    wanted = dg.RunsFilter(statuses=_ENDED, updated_before=before)
    ended = [run for run in instance.get_runs(wanted) if names.has(run)]
    if not ended:
        return []
    partitions = instance.get_dynamic_partitions(str(names.videos.name))
    known = {*partitions, *registered(settings.work_dir)}
    needed = {
        result.run_id
        for stage in STAGE_NAMES
        for result in last_materializations(instance, stage, known, names).values()
    }
    needed |= {
        last.dagster_run.run_id
        for key in {run.tags.get(PARTITION_TAG) for run in ended}.intersection(partitions)
        if key and (last := newest_run(instance, key, names))
    }
    return [run for run in ended if run.run_id not in needed]


def forget_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Delete a run's record, its events and its output."""
    instance.delete_run(run.run_id)
    # Dagster only empties a run's event file, and leaves its output.
    shutil.rmtree(Path(instance.storage_directory()) / run.run_id, ignore_errors=True)
    shard = getattr(instance.event_log_storage, "path_for_shard", None)
    if shard:
        Path(shard(run.run_id)).unlink(missing_ok=True)


def housekeeping_job(names: LibraryNames) -> dg.JobDefinition:
    """Return the job that tidies up."""

    @dg.op(name=names.prefixed("remove_what_may_go"), required_resource_keys={names.resource})
    def remove_what_may_go(context: dg.OpExecutionContext) -> None:
        """Remove what `[housekeeping]` allows, and name it in the log."""
        settings = resource_of(context, names).settings()
        for found in tidy(context.instance, settings, time.time(), names):
            context.log.info(f"removed {found.kind} {str(found.path)!r}: {found.reason}")
        old = old_runs(context.instance, settings, time.time(), names)
        for run in old:
            forget_run(context.instance, run)
        forget_ended(context.instance, _LEASES_KEPT_S)
        clear_removed(context.instance, settings, names)
        context.log.info(f"{len(old)} old runs forgotten")

    @dg.job(name=names.prefixed(HOUSEKEEPING))
    def housekeeping() -> None:
        """Remove what is not needed again, as `[housekeeping]` allows."""
        remove_what_may_go()

    return housekeeping


def daily(names: LibraryNames, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Return the schedule of the housekeeping."""
    return dg.ScheduleDefinition(
        name=names.prefixed("daily_housekeeping"),
        job=job,
        cron_schedule="17 4 * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Once a day: remove what `[housekeeping]` allows.",
    )
