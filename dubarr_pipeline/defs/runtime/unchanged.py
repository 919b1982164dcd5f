"""Videos about which nothing has changed since their reports: they are done, at a glance.

`status.task_table` reads every result of a video from the store. This looks at the order of the
results, and at the dates of the files, so that thousands of videos take a second; what it cannot
tell is left to the table.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import dagster as dg

from dubarr_pipeline.defs.library_names import LibraryNames, names_of
from dubarr_pipeline.defs.runtime.liveness import LIVE
from dubarr_pipeline.defs.runtime.records import PARTITION_TAG
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.library.videos import Video

_REPORT = "report"
_DOUBTFUL = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED, *LIVE]
_MANIFESTS = frozenset(f"{stage}.json" for stage in STAGE_NAMES)


def unchanged_since_report(
    instance: dg.DagsterInstance,
    videos: Iterable[Video],
    work_dir: Path,
    names: LibraryNames | None = None,
) -> set[str]:
    """Return the keys of videos whose report is newer than their request and all their results.

    No run of theirs has failed, or is in flight, since then.
    """
    names = names or names_of(work_dir)
    newest = {
        stage: instance.event_log_storage.get_latest_storage_id_by_partition(
            names.key(stage), dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        for stage in STAGE_NAMES
    }
    disturbed: dict[str, float] = {}
    for record in instance.get_run_records(dg.RunsFilter(statuses=_DOUBTFUL)):
        run, at_s = record.dagster_run, record.create_timestamp
        if (key := run.tags.get(PARTITION_TAG)) and names.has(run):
            disturbed[key] = max(disturbed.get(key, 0.0), at_s.timestamp())
    found: set[str] = set()
    for video in videos:
        ids = [newest[stage].get(video.key, -1) for stage in STAGE_NAMES]
        in_order = min(ids) > 0 and max(ids) == newest[_REPORT][video.key]
        if in_order and _is_last(video, work_dir, disturbed.get(video.key, 0.0)):
            found.add(video.key)
    return found


def _is_last(video: Video, work_dir: Path, disturbed_s: float) -> bool:
    """Return whether a video's report was written after its request, and after a time."""
    work = video.work(work_dir)
    # As text: pathlib would take half of the second that thousands of videos take.
    checkpoints = str(work.checkpoints)
    try:
        if not _MANIFESTS.issubset(os.listdir(checkpoints)):  # noqa: PTH208
            return False
        reported_s = os.stat(f"{checkpoints}/{_REPORT}.json").st_mtime  # noqa: PTH116
        return reported_s > disturbed_s and reported_s >= os.stat(work.video).st_mtime  # noqa: PTH116
    except OSError:
        return False
