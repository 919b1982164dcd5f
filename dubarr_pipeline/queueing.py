"""Who is next in the run queue: a person's wish, then a backfill's, then what a sensor found.

Dagster's queue starts the runs of the highest ``dagster/priority`` first. What a person launches
carries none, which counts as 0; everything else is placed below.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import dagster as dg
from dagster._core.run_coordinator import SubmitRunContext
from dagster._core.storage.tags import BACKFILL_ID_TAG, PRIORITY_TAG

from dubarr_pipeline.library.fairness import ranks
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.settings import Settings

LIBRARY_TAG = "dubarr/library"
RANK_TAG = "dubarr/rank"
GPU_TAG = "dubarr/gpu"
GPU_STAGES = frozenset(("vocals", "diarization", "transcript", "context", "segments"))
BACKFILL_PRIORITY = -1_000
SENSOR_PRIORITY = -1_000_000_000
_PER_LIBRARY_PRIORITY = 1_000_000
"""Apart by more than the longest queue, so that a library of higher priority is always first."""


class FairRunCoordinator(dg.QueuedRunCoordinator):
    """Dagster's queue, in which a backfill waits for a person. Named in `dagster.yaml`."""

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Queue a run, marked as one that wants the GPU; a backfill's goes behind a person's."""
        run = context.dagster_run
        marks = {GPU_TAG: "yes"} if wants_gpu(run) else {}
        if BACKFILL_ID_TAG in run.tags and PRIORITY_TAG not in run.tags:
            marks[PRIORITY_TAG] = str(BACKFILL_PRIORITY)
        if marks:
            self._instance.add_run_tags(run.run_id, marks)
        return super().submit_run(context)


def wants_gpu(run: dg.DagsterRun) -> bool:
    """Whether one of the stages of a run holds the pool ``gpu``."""
    asked = run.asset_selection
    return asked is None or any(key.path[-1] in GPU_STAGES for key in asked)


def request_tags(
    instance: dg.DagsterInstance, found: Sequence[Video], settings: Settings
) -> list[Mapping[str, str]]:
    """Return the tags of the runs that a sensor asks for, in the order of the videos.

    Libraries of the same priority take turns, however many videos one of them has waiting.
    """
    if not found:
        return []
    names = [video.library or "" for video in found]
    places = ranks(_waiting(instance), names)
    return [
        {
            "dubarr/launcher": "sensor",
            LIBRARY_TAG: name,
            RANK_TAG: str(rank),
            PRIORITY_TAG: str(_base(name, settings) - rank),
        }
        for name, rank in zip(names, places, strict=True)
    ]


def _base(library: str, settings: Settings) -> int:
    priority = settings.library(library).priority if library in settings.libraries else 0
    return SENSOR_PRIORITY + _PER_LIBRARY_PRIORITY * priority


def _waiting(instance: dg.DagsterInstance) -> dict[str, list[int]]:
    """The ranks of the videos that wait in the queue, by library."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])):
        if RANK_TAG in run.tags:
            found[run.tags.get(LIBRARY_TAG, "")].append(int(run.tags[RANK_TAG]))
    return dict(found)
