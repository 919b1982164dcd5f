"""Task table: each video's status and stages, read from the materialization store.

QUEUED      requested, and not (completely) made yet
PROCESSING  a live run works at it
DONE        the report is valid for the present request, and what its library wishes is true
HELD        it is dubbed, and not published: its gate holds it, until a person decides
DONE, not published
            it is dubbed, and does not lie where its library wants it; the reason is named
ERROR       the last run failed, or died; its cause is named
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.library_names import LibraryNames, names_of, stage_of
from dubarr_pipeline.defs.runtime.liveness import LIVE, is_dead
from dubarr_pipeline.defs.runtime.records import (
    PARTITION_TAG,
    Materialization,
    StageResults,
    newest_run,
    stage_results,
)
from dubarr_pipeline.defs.stages import PUBLISHED, STAGE_NAMES
from dubarr_pipeline.errors import ArtifactError, DubbingError, ServiceUnavailable
from dubarr_pipeline.library.publishing.publish import held_at_gate, publishing_fault
from dubarr_pipeline.library.videos import Video, load_video, registered, unreadable_video
from dubarr_pipeline.workdir.layout import WorkDir

Status = Literal["QUEUED", "PROCESSING", "DONE", "DONE, not published", "HELD", "ERROR"]
_AT_ONCE = 200
"""Videos per query to the store."""
_KILLED = "its process was killed: run `dubarr retry`"
_STORE_IS_AWAY = frozenset(("OperationalError", "InterfaceError", "DagsterPostgresException"))
_FAILED = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dataclass(frozen=True, slots=True)
class StageStatus:
    """Last record of one stage of one video: its time, duration and results."""

    stage: str
    recorded_at: float | None = None
    seconds: float | None = None
    reused: bool = False
    results: Mapping[str, str | float | int] | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """Row of the table."""

    video: Video
    status: Status
    steps: tuple[StageStatus, ...]
    cause: str | None = None
    failed_stage: str | None = None


def task_table(
    instance: dg.DagsterInstance,
    work_dir: Path,
    keys: Iterable[str] | None = None,
    settings: Settings | None = None,
    names: LibraryNames | None = None,
    made: StageResults | None = None,
) -> list[Task]:
    """Read the rows of the given videos, or of all that have a work folder here.

    Without `settings`, with the wishes of the libraries, a dubbed video counts as done.
    """
    listed = list(registered(work_dir) if keys is None else keys)
    names = names or names_of(work_dir)
    last = made or stage_results(instance, listed, names)
    newest: dict[str, dg.RunRecord] = {}
    for start in range(0, len(listed), _AT_ONCE):
        wanted = dg.RunsFilter(tags={PARTITION_TAG: listed[start : start + _AT_ONCE]})
        for record in instance.get_run_records(wanted):
            if names.has(record.dagster_run):
                newest.setdefault(record.dagster_run.tags[PARTITION_TAG], record)
    rows: list[Task] = []
    for key in listed:
        try:
            video = load_video(key, work_dir)
            results = {stage: last[stage].get(key) for stage in STAGE_NAMES}
            row = _task(instance, video, results, newest.get(key), work_dir)
            rows.append(_published(instance, row, newest.get(key), settings))
        # An unreadable request hides no other video.
        except ArtifactError as error:
            rows.append(Task(unreadable_video(key, work_dir), "ERROR", (), str(error)))
    return rows


def is_worked_at(instance: dg.DagsterInstance, key: str, names: LibraryNames) -> bool:
    """Return whether a run works at a video, by its newest run alone: a tenth of a row's cost."""
    newest = newest_run(instance, key, names)
    run = newest.dagster_run if newest else None
    return run is not None and run.status in LIVE and not is_dead(run, instance)


def _task(
    instance: dg.DagsterInstance,
    video: Video,
    made: Mapping[str, Materialization | None],
    found: dg.RunRecord | None,
    work_dir: Path,
) -> Task:
    there = _manifests(video.work(work_dir))
    steps = tuple(_step(stage, made[stage], there) for stage in STAGE_NAMES)
    run = found.dagster_run if found else None
    live = run is not None and run.status in LIVE
    if run and live and not is_dead(run, instance):
        return Task(video, "PROCESSING", steps)
    reported = steps[-1].recorded_at or 0.0
    stands = found is None or reported > found.create_timestamp.timestamp()
    if run and not stands and (live or run.status in _FAILED):
        stage, cause = (None, _KILLED) if live else failure_of(instance, run.run_id)[:2]
        if stage != PUBLISHED:
            return Task(video, "ERROR", steps, cause, stage)
    return Task(video, "DONE" if _is_done(made, video, steps) else "QUEUED", steps)


def published_status(video: Video, settings: Settings) -> tuple[Status, str | None]:
    """Return the status of a dubbed video, and why it is not published, if it should be."""
    why = publishing_fault(video, settings)
    # Of thousands that lie in their places nothing more is read.
    if why is None and not video.work(settings.work_dir).decisions.exists():
        return "DONE", None
    try:
        gate = held_at_gate(video, settings)
    except ArtifactError as error:
        return "DONE, not published", str(error)
    if gate:
        return "HELD", "; ".join(gate.reasons)
    return ("DONE, not published" if why else "DONE"), why


def _published(
    instance: dg.DagsterInstance, row: Task, found: dg.RunRecord | None, settings: Settings | None
) -> Task:
    """Return the row of a dubbed video with the reason why it is not published, if it should be."""
    if settings is None or row.status != "DONE":
        return row
    status, why = published_status(row.video, settings)
    if status != "DONE, not published":
        return replace(row, status=status, cause=why)
    if found and found.dagster_run.status in _FAILED:
        stage, cause, _ = failure_of(instance, found.dagster_run.run_id)
        why = cause if stage == PUBLISHED else why
    return replace(row, status=status, cause=why, failed_stage=PUBLISHED)


def _manifests(work: WorkDir) -> Set[str]:
    """Return the names of the files among a video's checkpoints, by one look at their folder."""
    with contextlib.suppress(OSError), os.scandir(work.checkpoints) as found:
        return {each.name for each in found if each.is_file()}
    return frozenset()


def _step(stage: str, made: Materialization | None, there: Set[str]) -> StageStatus:
    if made is None or f"{stage}.json" not in there:
        return StageStatus(stage)
    return StageStatus(stage, made.timestamp, made.number("seconds"), made.reused, made.figures())


def _is_done(
    made: Mapping[str, Materialization | None], video: Video, steps: tuple[StageStatus, ...]
) -> bool:
    segments, mux, report = made["segments"], made["mux"], made["report"]
    if any(step.recorded_at is None for step in steps) or not (segments and mux and report):
        return False
    spoken = segments.value("languages")
    is_newest = report.record.inputs.get("mux") == mux.record.production
    return is_newest and spoken == ",".join(video.target_langs)


def failure_of(instance: dg.DagsterInstance, run_id: str) -> tuple[str | None, str, str | None]:
    """Return the stage at which a run failed, the message of our own error, and its name."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        if (event := entry.dagster_event) and (data := event.step_failure_data):
            return stage_of(event.step_key), failure_message(data), error_name(data)
    return None, "the run was stopped before its end: run `dubarr retry`", None


def as_failure(error: DubbingError, allow_retries: bool = False) -> dg.Failure:
    """Return an error of ours as a step's failure: its message, without Dagster's frames."""
    metadata = {"error": type(error).__name__}
    return dg.Failure(description=str(error), metadata=metadata, allow_retries=allow_retries)


@contextlib.contextmanager
def failing_once() -> Iterator[None]:
    """Let no error be tried again by Dagster: steps are for it only where their process is lost.

    Errors of ours fail by their message. What asks for another try by itself gets it.
    """
    try:
        yield
    except DubbingError as error:
        raise as_failure(error) from error
    except (dg.Failure, dg.RetryRequested):
        raise
    except Exception as error:
        raise dg.Failure(allow_retries=False) from error


def error_name(data: object) -> str | None:
    """Return the name of our error behind a step's failure, or None.

    A failure of Dagster's own store is not an error of ours: it is known by its driver's.
    """
    described = getattr(data, "user_failure_data", None)
    named = described.metadata.get("error") if described else None
    if named:
        return str(named.value)
    return ServiceUnavailable.__name__ if _is_of_store(data) else None


def failure_message(data: object) -> str:
    """Return our own message of a step's failure where there is one, else the last error's."""
    described = getattr(getattr(data, "user_failure_data", None), "description", None)
    if described:
        return str(described)
    found = list(causes(data))
    said = found[-1].message.strip() if found else "unknown cause"
    return f"Dagster's store did not answer: {said}" if _is_of_store(data) else said


def causes(data: object) -> Iterator[SerializableErrorInfo]:
    """Yield the errors behind a step's failure, from the last one raised to the first."""
    error: SerializableErrorInfo | None = getattr(data, "error", None)
    while error is not None:
        yield error
        error = error.cause


def _is_of_store(data: object) -> bool:
    names = {(error.cls_name or "").rpartition(".")[-1] for error in causes(data)}
    return not names.isdisjoint(_STORE_IS_AWAY)
