"""Order of the run queue: a person's runs, then a backfill's, then a sensor's.

Dagster's queue starts the runs of the highest ``dagster/priority`` first. A run that a person
launches has none, which counts as 0; all others get a lower one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress

import dagster as dg
from dagster._core.run_coordinator import SubmitRunContext
from dagster._core.storage.tags import BACKFILL_ID_TAG, PRIORITY_TAG

from dubarr_pipeline.config.settings import Settings, user_settings
from dubarr_pipeline.defs.library_names import DUB
from dubarr_pipeline.defs.runtime.records import FILM_TAGS, PARTITION_TAG, film_tags
from dubarr_pipeline.defs.stages import GPU_STAGES
from dubarr_pipeline.errors import DubbingError
from dubarr_pipeline.library.videos import Video, load_video

LIBRARY_TAG = "dubarr/library"
RANK_TAG = "dubarr/rank"
GPU_TAG = "dubarr/gpu"
BACKFILL_PRIORITY = -1_000
SENSOR_PRIORITY = -1_000_000_000
_PER_LIBRARY_PRIORITY = 1_000_000
"""More than the longest queue, so that a library of higher priority is always first."""


class FairRunCoordinator(dg.QueuedRunCoordinator):
    """Dagster's queue, in which a backfill waits for a person's runs. Named in `dagster.yaml`."""

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Queue a run, tagged if it wants the GPU; a backfill's goes behind a person's.

        Runs that were started in the UI get the tags of their film, too.
        """
        run = context.dagster_run
        marks = {GPU_TAG: "yes"} if wants_gpu(run) else {}
        if (key := run.tags.get(PARTITION_TAG)) and FILM_TAGS[0] not in run.tags:
            # A video that is not registered, or unreadable, is named by the run.
            with suppress(DubbingError):
                marks |= film_tags(load_video(key, user_settings().work_dir))
        if BACKFILL_ID_TAG in run.tags and PRIORITY_TAG not in run.tags:
            marks[PRIORITY_TAG] = str(BACKFILL_PRIORITY)
        if marks:
            self._instance.add_run_tags(run.run_id, marks)
        return super().submit_run(context)


def wants_gpu(run: dg.DagsterRun) -> bool:
    """Return whether one of the stages of a run holds the pool ``gpu``."""
    asked = run.asset_selection
    if not asked:
        # Of a library with a prefix too.
        return run.job_name.rpartition("_")[2] == DUB
    return any(key.path[-2:-1] == ["dub"] and key.path[-1] in GPU_STAGES for key in asked)


def request_tags(
    instance: dg.DagsterInstance, found: Sequence[Video], settings: Settings
) -> list[Mapping[str, str]]:
    """Return the tags of the runs that a sensor requests, in the order of the videos.

    Libraries of the same priority take turns, however many videos one of them has waiting.
    """
    if not found:
        return []
    names = [video.library or "" for video in found]
    waiting: defaultdict[str, list[int]] = defaultdict(list)
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])):
        if RANK_TAG in run.tags:
            waiting[run.tags.get(LIBRARY_TAG, "")].append(int(run.tags[RANK_TAG]))
    places = ranks(dict(waiting), names)
    steps = {name: each.priority for name, each in settings.libraries.items()}
    return [
        {
            "dubarr/launcher": "sensor",
            LIBRARY_TAG: name,
            RANK_TAG: str(rank),
            PRIORITY_TAG: str(SENSOR_PRIORITY + _PER_LIBRARY_PRIORITY * steps.get(name, 0) - rank),
        }
        for name, rank in zip(names, places, strict=True)
    ]


def ranks(waiting: Mapping[str, Sequence[int]], arriving: Sequence[str]) -> list[int]:
    """Return the rank of every arriving video, in their order; a lower rank starts sooner.

    `waiting` has the ranks in the queue by library, `arriving` the library of every new video.
    """
    clock = min((rank for each in waiting.values() for rank in each), default=0)
    last = {library: max(each) for library, each in waiting.items() if each}
    places: list[int] = []
    for library in arriving:
        last[library] = max(clock, last.get(library, clock - 1) + 1)
        places.append(last[library])
    return places
