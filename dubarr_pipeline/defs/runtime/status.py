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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.library_names import LibraryNames, names_of, stage_of
from dubarr_pipeline.defs.runtime.liveness import LIVE, is_dead
from dubarr_pipeline.defs.runtime.records import PARTITION_TAG, newest_run, stage_results
from dubarr_pipeline.defs.stages import PUBLISHED, STAGE_NAMES
from dubarr_pipeline.defs.tables.results import Materialization, StageResults
from dubarr_pipeline.defs.tables.rows import Task, row_by_results, with_publication
from dubarr_pipeline.errors import ArtifactError, DubbingError, ServiceUnavailable
from dubarr_pipeline.library.videos import Video, load_video, registered, unreadable_video

_AT_ONCE = 200
"""Videos per query to the store."""
_KILLED = "its process was killed: run `dubarr retry`"
_STORE_IS_AWAY = frozenset(("OperationalError", "InterfaceError", "DagsterPostgresException"))
_FAILED = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


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
    row = row_by_results(video, made, video.work(work_dir))
    run = found.dagster_run if found else None
    live = run is not None and run.status in LIVE
    if run and live and not is_dead(run, instance):
        return replace(row, status="PROCESSING")
    reported = row.steps[-1].recorded_at or 0.0
    stands = found is None or reported > found.create_timestamp.timestamp()
    if run and not stands and (live or run.status in _FAILED):
        stage, cause = (None, _KILLED) if live else failure_of(instance, run.run_id)[:2]
        if stage != PUBLISHED:
            return replace(row, status="ERROR", cause=cause, failed_stage=stage)
    return row


def _published(
    instance: dg.DagsterInstance, row: Task, found: dg.RunRecord | None, settings: Settings | None
) -> Task:
    """Return a row with the publication of its video, by the run that failed at it, if one did."""
    row = with_publication(row, settings) if settings else row
    failed = found is not None and found.dagster_run.status in _FAILED
    if found and failed and row.status == "DONE, not published":
        stage, cause, _ = failure_of(instance, found.dagster_run.run_id)
        return replace(row, cause=cause) if stage == PUBLISHED else row
    return row


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
    # A fault of ours, or of a library: it would be the same the next time.
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
