"""Jobs: dubbing a video, and housekeeping."""

import datetime
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.resources import DubarrResource
from dubarr_pipeline.defs.runtime.records import (
    last_materializations,
    remove_video,
    stage_key,
    videos,
)
from dubarr_pipeline.defs.stages import PUBLISHED, STAGE_NAMES
from dubarr_pipeline.library.housekeeping import Removal, note_absences, removals, remove
from dubarr_pipeline.library.videos import registered

dub = dg.define_asset_job(
    "dub",
    selection=dg.AssetSelection.assets(*(stage_key(name) for name in (*STAGE_NAMES, PUBLISHED))),
    description="Dub a video and publish it: every stage; valid results are reused.",
)


_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_PARTITION_TAG = "dagster/partition"


def tidy(instance: dg.DagsterInstance, settings: Settings, now_s: float) -> Iterator[Removal]:
    """Remove everything that `[housekeeping]` allows; yield each removal."""
    note_absences(settings, now_s)
    for found in list(removals(settings, now_s)):
        if remove(found, settings, now_s):
            if found.kind == "deleted video":
                remove_video(instance, found.key)
            yield found


def old_runs(instance: dg.DagsterInstance, settings: Settings, now_s: float) -> list[dg.DagsterRun]:
    """Return the runs whose record may be deleted.

    With a run Dagster deletes the materializations that it recorded, which are our checkpoints: a
    run that holds the last one of any stage of any video stays. So does each video's last run, from
    which its status is read.
    """
    options = settings.housekeeping
    if not options.keep_runs_days:
        return []
    before_s = now_s - 86_400 * float(options.keep_runs_days)
    before = datetime.datetime.fromtimestamp(before_s, tz=datetime.UTC)
    wanted = dg.RunsFilter(statuses=_ENDED, updated_before=before)
    ended = [record.dagster_run for record in instance.get_run_records(wanted)]
    if not ended:
        return []
    known = {*instance.get_dynamic_partitions(str(videos.name)), *registered(settings.work_dir)}
    needed = {
        result.run_id
        for stage in STAGE_NAMES
        for result in last_materializations(instance, stage, known).values()
    }
    return [run for run in ended if run.run_id not in needed and not _is_last(instance, run)]


def forget_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Delete a run's record, its events and its output."""
    instance.delete_run(run.run_id)
    # Dagster only empties a run's event file, and leaves its output.
    shutil.rmtree(Path(instance.storage_directory()) / run.run_id, ignore_errors=True)
    shard = getattr(instance.event_log_storage, "path_for_shard", None)
    if shard:
        Path(shard(run.run_id)).unlink(missing_ok=True)


def _is_last(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Return whether it is the newest run of a video."""
    key = run.tags.get(_PARTITION_TAG)
    if key is None or not instance.has_dynamic_partition(str(videos.name), key):
        return False
    newest = instance.get_run_records(dg.RunsFilter(tags={_PARTITION_TAG: key}), limit=1)
    return bool(newest) and newest[0].dagster_run.run_id == run.run_id


@dg.op
def remove_what_may_go(context: dg.OpExecutionContext, dubarr: DubarrResource) -> None:
    """Remove what `[housekeeping]` allows, and name it in the log."""
    settings = dubarr.settings()
    for found in tidy(context.instance, settings, time.time()):
        context.log.info(f"removed {found.kind} {str(found.path)!r}: {found.reason}")
    old = old_runs(context.instance, settings, time.time())
    for run in old:
        forget_run(context.instance, run)
    context.log.info(f"{len(old)} old runs forgotten")


@dg.job(executor_def=dg.in_process_executor)
def housekeeping() -> None:
    """Remove what is not needed again, as `[housekeeping]` allows."""
    remove_what_may_go()


daily_housekeeping = dg.ScheduleDefinition(
    name="daily_housekeeping",
    job=housekeeping,
    cron_schedule="17 4 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once a day: remove what `[housekeeping]` allows.",
)
