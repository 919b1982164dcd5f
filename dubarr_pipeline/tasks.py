"""The task table: each video's status and steps, read from the materialization store.

QUEUED      asked for, and not (wholly) made yet
PROCESSING  a live run is at it
DONE        the report stands for what is asked now
ERROR       the last run failed, or died; its cause is named
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from dubarr_pipeline.errors import ArtifactError, ServiceUnavailable
from dubarr_pipeline.jobs import STAGES
from dubarr_pipeline.library.videos import Video, load_video, registered, unreadable_video
from dubarr_pipeline.records import Materialization, last_materializations
from dubarr_pipeline.workers import LIVE, is_dead

Status = Literal["QUEUED", "PROCESSING", "DONE", "ERROR"]
_PARTITION_TAG = "dagster/partition"
_AT_ONCE = 200
"""Videos per question to the store."""
_KILLED = "its process was killed: run `dubarr retry`"
_STORE_IS_AWAY = frozenset(("OperationalError", "InterfaceError", "DagsterPostgresException"))
_FAILED = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of one video: when it was last recorded, how long it took, what came of it."""

    stage: str
    recorded_at: float | None = None
    seconds: float | None = None
    reused: bool = False
    results: Mapping[str, str | float | int] | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One row of the table."""

    video: Video
    status: Status
    steps: tuple[Step, ...]
    cause: str | None = None
    failed_stage: str | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """What the store says of some videos: their stages' last results, their newest runs."""

    made: Mapping[str, Mapping[str, Materialization]]
    runs: Mapping[str, dg.RunRecord]


def task_table(
    instance: dg.DagsterInstance, work_dir: Path, keys: Iterable[str] | None = None
) -> list[Task]:
    """Read the rows of the given videos, or of all that have a work folder here."""
    found = list(registered(work_dir) if keys is None else keys)
    told = _Told(
        {stage: last_materializations(instance, stage, found) for stage in STAGES},
        _last_runs(instance, found),
    )
    return [_row(instance, told, key, work_dir) for key in found]


def _row(instance: dg.DagsterInstance, told: _Told, key: str, work_dir: Path) -> Task:
    """The row of a video; one whose request cannot be read is told of, and hides no other."""
    try:
        return _task(instance, told, load_video(key, work_dir), work_dir)
    except ArtifactError as error:
        return Task(unreadable_video(key, work_dir), "ERROR", (), str(error))


def _task(instance: dg.DagsterInstance, told: _Told, video: Video, work_dir: Path) -> Task:
    made = {stage: told.made[stage].get(video.key) for stage in STAGES}
    steps = tuple(_step(stage, made[stage], video, work_dir) for stage in STAGES)
    found = told.runs.get(video.key)
    run = found.dagster_run if found else None
    live = run is not None and run.status in LIVE
    if run and live and not is_dead(run, instance):
        return Task(video, "PROCESSING", steps)
    reported = steps[-1].recorded_at or 0.0
    stands = found is None or reported > found.create_timestamp.timestamp()
    if run and not stands and (live or run.status in _FAILED):
        stage, cause = (None, _KILLED) if live else failure_of(instance, run.run_id)[:2]
        return Task(video, "ERROR", steps, cause, stage)
    return Task(video, "DONE" if _is_done(made, video, steps) else "QUEUED", steps)


def _step(stage: str, made: Materialization | None, video: Video, work_dir: Path) -> Step:
    manifest = video.work(work_dir).checkpoints / f"{stage}.json"
    if made is None or not manifest.is_file():
        return Step(stage)
    results = {
        name: value.value
        for name, value in made.metadata.items()
        if "/" not in name
        and name not in ("seconds", "reused", "reason")
        and isinstance(value.value, int | float | str)
        and not isinstance(value, dg.MarkdownMetadataValue)
    }
    return Step(stage, made.timestamp, made.number("seconds"), made.reused, results)


def _is_done(
    made: Mapping[str, Materialization | None], video: Video, steps: tuple[Step, ...]
) -> bool:
    segments, mux, report = made["segments"], made["mux"], made["report"]
    if any(step.recorded_at is None for step in steps) or not (segments and mux and report):
        return False
    spoken = segments.metadata.get("languages")
    return bool(
        spoken
        and spoken.value == ",".join(video.target_langs)
        and report.record.inputs.get("mux") == mux.record.production
    )


def _last_runs(instance: dg.DagsterInstance, keys: list[str]) -> dict[str, dg.RunRecord]:
    """The newest run of each video, in few questions to the store."""
    found: dict[str, dg.RunRecord] = {}
    for start in range(0, len(keys), _AT_ONCE):
        wanted = dg.RunsFilter(tags={_PARTITION_TAG: keys[start : start + _AT_ONCE]})
        for record in instance.get_run_records(wanted):
            found.setdefault(record.dagster_run.tags[_PARTITION_TAG], record)
    return found


def failure_of(instance: dg.DagsterInstance, run_id: str) -> tuple[str | None, str, str | None]:
    """The stage at which a run failed, why in the words of our own error, and that error's name."""
    logs = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    for entry in logs:
        event = entry.dagster_event
        data = event.step_failure_data if event else None
        if event and data:
            return _stage_of(event.step_key), failure_message(data), error_name(data)
    return None, "the run was stopped before its end: run `dubarr retry`", None


def _stage_of(step_key: str | None) -> str | None:
    return step_key.removeprefix("dub__") if step_key else None


def error_name(data: object) -> str | None:
    """The name of our error behind a step's failure, or None.

    Dagster's own store is no stage's business, hence no error of ours: it is told by its driver.
    """
    described = getattr(data, "user_failure_data", None)
    named = described.metadata.get("error") if described else None
    if named:
        return str(named.value)
    return ServiceUnavailable.__name__ if _is_of_store(data) else None


def failure_message(data: object) -> str:
    """What went wrong in a step: our own message where we named it, else the last error's."""
    described = getattr(getattr(data, "user_failure_data", None), "description", None)
    if described:
        return str(described)
    found = list(causes(data))
    said = found[-1].message.strip() if found else "unknown cause"
    return f"Dagster's store did not answer: {said}" if _is_of_store(data) else said


def causes(data: object) -> Iterator[SerializableErrorInfo]:
    """The errors behind a step's failure, from the last one raised to the first."""
    error: SerializableErrorInfo | None = getattr(data, "error", None)
    while error is not None:
        yield error
        error = error.cause


def _is_of_store(data: object) -> bool:
    names = {(error.cls_name or "").rpartition(".")[-1] for error in causes(data)}
    return not names.isdisjoint(_STORE_IS_AWAY)
