"""Figures of an installation for Prometheus, read from the store and the disks.

Nothing of ours counts while it works: the store knows what happened, in whichever process and on
whichever machine. It is read once, from its beginning, and then from where the last reading ended.
No label names a film.
"""

import json
import shutil
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import dagster as dg
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from dubarr_pipeline.config.live_settings import LiveSettings
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.distributed.leases import expired_total
from dubarr_pipeline.defs.library_names import LibraryNames, names_of
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.runtime.status import failure_of, task_table
from dubarr_pipeline.defs.runtime.unchanged import unchanged_since_report
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.defs.tables.rows import Status, published_status
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.library.videos import Video, load_video, registered
from dubarr_pipeline.segments.results import FAILED

AGE_S = 15.0
"""Seconds for which figures are kept: scrapes within them cost nothing."""
BOUNDS_S = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0)
"""Upper bounds of the histogram of the stages' seconds."""
_AT_ONCE = 500
"""Events per query to the store."""
_BUDGET_S = 4.0
"""Seconds for which one scrape reads history; a longer one is read on by the next."""
_KEPT = ("placed", "kept_original")


@dataclass(slots=True)
class Histogram:
    """Numbers of observations by bucket, the last without a bound, and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count an observation; a bound belongs to its bucket."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return the cumulative buckets as Prometheus has them: bound, number."""
        names = [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]
        sums, so_far = [], 0
        for name, count in zip(names, self.counts, strict=True):
            so_far += count
            sums.append((name, float(so_far)))
        return sums


class StageHistory:
    """Work of all runs so far, counted from the store.

    Attributes:
        seconds: of finished stages, without those that were reused.
        lines: decided by these, by outcome.
        failures: of runs, by the stage that failed; ``run`` where none did.
        is_complete: the store has been read to its end.
    """

    def __init__(self) -> None:
        self.seconds = {stage: Histogram() for stage in STAGE_NAMES}
        self.lines: Counter[str] = Counter(dict.fromkeys(_KEPT, 0))
        self.failures: Counter[str] = Counter()
        self.is_complete = False
        self._read: dict[str, int] = {}

    def read_on(self, instance: dg.DagsterInstance, names: LibraryNames, until_s: float) -> None:
        """Read what has come since the last time, or as much of it as there is time for."""
        self.is_complete = all(
            [
                *(self._read_stage(instance, stage, names, until_s) for stage in STAGE_NAMES),
                self._read_failures(instance, names, until_s),
            ]
        )

    def _read_stage(
        self, instance: dg.DagsterInstance, stage: str, names: LibraryNames, until_s: float
    ) -> bool:
        """Count a stage's new results; return whether all are counted."""
        while time.monotonic() < until_s:
            after = self._after(stage)
            wanted = dg.AssetRecordsFilter(names.key(stage), after_storage_id=after)
            found = instance.fetch_materializations(wanted, limit=_AT_ONCE, ascending=True)
            for record in found.records:
                self._read[stage] = record.storage_id
                if made := record.asset_materialization:
                    self._count(stage, {n: v.value for n, v in made.metadata.items()})
            if len(found.records) < _AT_ONCE:
                return True
        return False

    def _count(self, stage: str, made: Mapping[str, Any]) -> None:
        seconds = made.get("seconds")
        if made.get("reused") or not isinstance(seconds, int | float):
            return
        self.seconds[stage].add(float(seconds))
        if stage == "segments":
            self.lines.update({n: int(made[n]) for n in _KEPT if n in made})
            failures = made.get("failures") or {}
            if isinstance(failures, str):
                failures = json.loads(failures)
            self.lines.update({f"{FAILED}{name}": int(n) for name, n in failures.items()})

    def _read_failures(
        self, instance: dg.DagsterInstance, names: LibraryNames, until_s: float
    ) -> bool:
        """Count the runs that failed; return whether all are counted."""
        kind = dg.DagsterEventType.RUN_FAILURE
        while time.monotonic() < until_s:
            wanted = dg.RunStatusChangeRecordsFilter(kind, after_storage_id=self._after("failures"))
            found = instance.fetch_run_status_changes(wanted, limit=_AT_ONCE, ascending=True)
            for record in found.records:
                self._read["failures"] = record.storage_id
                run = instance.get_run_by_id(record.run_id)
                if run is None or names.has(run):
                    stage, _, _ = failure_of(instance, record.run_id)
                    self.failures[stage or "run"] += 1
                if time.monotonic() > until_s:
                    return False
            if len(found.records) < _AT_ONCE:
                return True
        return False

    def _after(self, name: str) -> int:
        return self._read.get(name, 0)


class Figures(Collector):
    """All figures, as a collector of Prometheus' library in a registry of our own."""

    def __init__(self, live: LiveSettings) -> None:
        self._live, self._history = live, StageHistory()
        self._found: list[Metric] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """Read everything anew, and return it in Prometheus' text format.

        Raises:
            DubbingError: if the store cannot be read.
        """
        settings = self._live.current()
        with open_instance(settings.work_dir) as instance:
            names = names_of(settings.work_dir)
            self._history.read_on(instance, names, time.monotonic() + _BUDGET_S)
            self._found = [
                *_films(instance, settings),
                *_queue(instance, time.time()),
                *_leases(instance),
                *_work(self._history),
                *_disks(settings),
            ]
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Yield what was read last."""
        return self._found


def film_states(instance: dg.DagsterInstance, settings: Settings) -> Counter[Status]:
    """Return the number of registered films by status, without opening thousands of files."""
    count: Counter[Status] = Counter(dict.fromkeys(get_args(Status), 0))
    videos: list[Video] = []
    for key in registered(settings.work_dir):
        try:
            videos.append(load_video(key, settings.work_dir))
        except ArtifactError:
            count["ERROR"] += 1
    done = unchanged_since_report(instance, videos, settings.work_dir)
    others = [video.key for video in videos if video.key not in done]
    rows = task_table(instance, settings.work_dir, others, settings) if others else ()
    count.update(row.status for row in rows)
    count.update(published_status(each, settings)[0] for each in videos if each.key in done)
    return count


def _films(instance: dg.DagsterInstance, settings: Settings) -> Iterator[Metric]:
    films = GaugeMetricFamily(
        "dubarr_films", "Films by status, as dubarr status.", labels=["state"]
    )
    for status, number in film_states(instance, settings).items():
        films.add_metric([status.lower().replace(", ", "_").replace(" ", "_")], number)
    yield films


def _queue(instance: dg.DagsterInstance, now_s: float) -> Iterator[Metric]:
    waiting = dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])
    oldest = instance.get_run_records(waiting, limit=1, ascending=True)
    age_s = max(0.0, now_s - oldest[0].create_timestamp.timestamp()) if oldest else 0.0
    words = "Seconds for which the oldest run in the queue waits; 0 without any."
    yield GaugeMetricFamily("dubarr_queue_oldest_seconds", words, value=age_s)
    number = instance.get_runs_count(waiting)
    yield GaugeMetricFamily("dubarr_queue_runs", "Runs in the queue.", value=number)


def _leases(instance: dg.DagsterInstance) -> Iterator[Metric]:
    words = "Leases of steps whose worker gave no sign of life."
    yield CounterMetricFamily("dubarr_leases_expired", words, value=expired_total(instance))


def _work(history: StageHistory) -> Iterator[Metric]:
    words = "Seconds of finished stages, without those that were reused."
    stages = HistogramMetricFamily("dubarr_stage_seconds", words, labels=["stage"])
    for stage, found in history.seconds.items():
        stages.add_metric([stage], found.buckets(), found.total)
    yield stages
    lines = CounterMetricFamily("dubarr_lines", "Lines by their outcome.", labels=["outcome"])
    for outcome, number in sorted(history.lines.items()):
        lines.add_metric([outcome], number)
    yield lines
    words = "Runs that failed, by the stage that failed; run: it was killed or stopped."
    failures = CounterMetricFamily("dubarr_failures", words, labels=["stage"])
    for stage in (*STAGE_NAMES, "run", *sorted({*history.failures} - {*STAGE_NAMES, "run"})):
        failures.add_metric([stage], history.failures[stage])
    yield failures
    words = "1 if the store's whole history is counted, 0 while it is still being read."
    yield GaugeMetricFamily("dubarr_history_complete", words, value=float(history.is_complete))


def _disks(settings: Settings) -> Iterator[Metric]:
    folders = {"work": settings.work_dir}
    folders |= {f"library:{name}": each.path for name, each in settings.libraries.items()}
    free = GaugeMetricFamily("dubarr_disk_free_bytes", "Free space by folder.", labels=["folder"])
    for name, folder in folders.items():
        try:
            free.add_metric([name], shutil.disk_usage(folder).free)
        # A library that is away has no figure; health and the sensors say so.
        except OSError:
            continue
    yield free
