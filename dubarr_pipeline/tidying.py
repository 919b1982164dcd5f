"""Once a day, and by `dubarr prune`: what nobody will ask for again is removed."""

import datetime
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from dubarr_pipeline.jobs import STAGES
from dubarr_pipeline.library.housekeeping import (
    HousekeepingOptions,
    Removal,
    note_absences,
    removals,
    remove,
)
from dubarr_pipeline.library.videos import registered
from dubarr_pipeline.partitions import remove_video, videos
from dubarr_pipeline.records import last_materializations
from dubarr_pipeline.resources import Workshop
from dubarr_pipeline.settings import Settings

_ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
_PARTITION_TAG = "dagster/partition"


def tidy(instance: dg.DagsterInstance, settings: Settings, now_s: float) -> Iterator[Removal]:
    """Remove what may go; yields what was removed."""
    note_absences(settings, now_s)
    for found in list(removals(settings, now_s)):
        if remove(found, settings, now_s):
            if found.kind == "deleted video":
                remove_video(instance, found.key)
            yield found


def old_runs(instance: dg.DagsterInstance, settings: Settings, now_s: float) -> list[dg.DagsterRun]:
    """Return the runs whose record may go.

    With a run Dagster deletes the materializations that it recorded, and these are our checkpoints:
    a run that holds the last one of any stage of any video stays. So does each video's last run,
    from which its status is told.
    """
    options: HousekeepingOptions = settings.options("housekeeping")
    if not options.keep_runs_days:
        return []
    before = datetime.datetime.fromtimestamp(now_s, tz=datetime.UTC) - datetime.timedelta(
        days=float(options.keep_runs_days)
    )
    wanted = dg.RunsFilter(statuses=_ENDED, updated_before=before)
    ended = [record.dagster_run for record in instance.get_run_records(wanted)]
    needed = _runs_of_checkpoints(instance, settings) if ended else set[str]()
    return [run for run in ended if run.run_id not in needed and not _is_last(instance, run)]


def forget_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Delete a run's record, its events and what it printed."""
    instance.delete_run(run.run_id)
    # Dagster empties a run's own event file and leaves it, and what the run printed.
    shutil.rmtree(Path(instance.storage_directory()) / run.run_id, ignore_errors=True)
    shard = getattr(instance.event_log_storage, "path_for_shard", None)
    if shard:
        Path(shard(run.run_id)).unlink(missing_ok=True)


def _runs_of_checkpoints(instance: dg.DagsterInstance, settings: Settings) -> set[str]:
    known = {*instance.get_dynamic_partitions(str(videos.name)), *registered(settings.work_dir)}
    return {
        made.run_id
        for stage in STAGES
        for made in last_materializations(instance, stage, known).values()
    }


def _is_last(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether it is the newest run of a video."""
    key = run.tags.get(_PARTITION_TAG)
    if key is None or not instance.has_dynamic_partition(str(videos.name), key):
        return False
    newest = instance.get_run_records(dg.RunsFilter(tags={_PARTITION_TAG: key}), limit=1)
    return bool(newest) and newest[0].dagster_run.run_id == run.run_id


@dg.op
def remove_what_may_go(context: dg.OpExecutionContext, workshop: Workshop) -> None:
    """Remove what `[housekeeping]` says may go; each thing is named in the log."""
    settings = workshop.settings()
    for found in tidy(context.instance, settings, time.time()):
        context.log.info(f"removed {found.kind} {str(found.path)!r}: {found.reason}")
    old = old_runs(context.instance, settings, time.time())
    for run in old:
        forget_run(context.instance, run)
    context.log.info(f"{len(old)} old runs forgotten")


@dg.job(executor_def=dg.in_process_executor)
def housekeeping() -> None:
    """Remove what nobody will ask for again, as `[housekeeping]` says."""
    remove_what_may_go()


daily_housekeeping = dg.ScheduleDefinition(
    name="daily_housekeeping",
    job=housekeeping,
    cron_schedule="17 4 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once a day: remove what `[housekeeping]` says may go.",
)
