"""Sensor of failed runs: tried again where that may help, and reported."""

import datetime
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import dagster as dg
from pydantic import TypeAdapter

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.library_names import DUB, LibraryNames
from dubarr_pipeline.defs.library_sensor import library_sensor
from dubarr_pipeline.defs.runtime.liveness import PROCESS_TAG
from dubarr_pipeline.defs.runtime.records import FILM_TAGS, PARTITION_TAG
from dubarr_pipeline.defs.runtime.status import failure_of
from dubarr_pipeline.errors import ServiceUnavailable, SettingsError
from dubarr_pipeline.library.failures import PUBLISHING, FailedRun, Waiting, in_words, notify

ATTEMPT_TAG = "dubarr/attempt"
_PARTITION_TAGS = (PARTITION_TAG, "dubarr/video")
_RESTART_S = 60.0
"""Time that Dagster's daemon may take to restart a run whose process was killed. It decides once: a
code server that does not answer just then leaves the run marked for a restart that never comes."""
_OVERLAP_S = 600.0
"""A failure may reach the store after younger ones: each look goes so far behind the last one."""
_LOST_S = 300.0
"""Age from which a run that was created and never queued has lost its launcher."""
_MAX_SEEN = 1_000
_MAX_UNTOLD = 50


@dataclass(frozen=True, slots=True)
class _SensorState:
    """State of the sensor between two ticks.

    Attributes:
        since_s: failures up to then have been handled, seconds since 1970.
        untold: messages that no channel has taken yet.
    """

    since_s: float
    seen: tuple[str, ...] = ()
    waiting: Waiting = field(default_factory=Waiting)
    untold: tuple[str, ...] = ()


_STATE = TypeAdapter(_SensorState)


def failures_sensor(names: LibraryNames) -> dg.SensorDefinition:
    """Return the sensor of a library's failed runs."""
    return library_sensor(failures, names, DUB, 30, is_on=True)


def failures(
    context: dg.SensorEvaluationContext, settings: Settings, names: LibraryNames
) -> dg.SensorResult:
    """Retry runs whose failure may be transient, with growing pauses, and report every failure.

    The task table (`dubarr status`) shows a failed run as ERROR with its cause; so does this log.
    """
    now_s = time.time()
    options, instance = settings.failures, context.instance
    if context.cursor:
        memory = _STATE.validate_json(context.cursor)
    else:
        known = _failures_since(instance, now_s, names)
        memory = _SensorState(now_s, tuple(each.dagster_run.run_id for each in known))
    _end_lost_runs(instance, now_s, names)
    failed, since_s, seen = _failed(instance, memory, now_s, names)
    for run in failed:
        context.log.warning("ERROR %s: %s", run.video, run.cause)
    waiting = memory.waiting.after(failed, options, now_s)
    due = [run for run in waiting.due(options, now_s) if not _is_queued(instance, run)]
    # Asked for at every look until its run is queued: the key makes that the same request.
    waiting = waiting.without([run for run in waiting.due(options, now_s) if run not in due])
    links = (settings.review.link(run.video) for run in failed)
    said = zip((in_words(run, options) for run in failed), links, strict=True)
    messages = [*memory.untold, *("\n".join(filter(None, each)) for each in said)]
    untold: tuple[str, ...] = ()
    try:
        if messages:
            title = "dubarr: a video could not be dubbed"
            notify(options.notify, title, "\n\n".join(messages))
    except SettingsError as error:
        context.log.error("notification dropped: %s", error)
    except ServiceUnavailable as error:
        context.log.warning("notification will be retried: %s", error)
        untold = tuple(messages[-_MAX_UNTOLD:])
    after = _SensorState(since_s, seen, waiting, untold)
    requests: list[dg.RunRequest] = []
    for run in due:
        # Valid results of its stages are reused.
        before = instance.get_run_by_id(run.run_id)
        tags_then = before.tags if before else {}
        ours = [*FILM_TAGS, *(name for name in tags_then if name.startswith("dubarr/"))]
        kept = {name: tags_then[name] for name in ours if name in tags_then}
        kept.pop(PROCESS_TAG, None)
        tags = {**kept, ATTEMPT_TAG: str(run.attempt + 1), "dubarr/launcher": "failures"}
        key = f"again/{run.run_id}"
        # What is dubbed is only to be published.
        asked = [names.key(run.stage)] if run.stage == PUBLISHING else None
        request = dg.RunRequest(key, tags=tags, partition_key=run.video, asset_selection=asked)
        requests.append(request)
    return dg.SensorResult(run_requests=requests, cursor=json.dumps(asdict(after)))


def _is_queued(instance: dg.DagsterInstance, run: FailedRun) -> bool:
    """Return whether another try was queued, and not just recorded."""
    found = instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": f"again/{run.run_id}"}))
    return any(each.status != dg.DagsterRunStatus.NOT_STARTED for each in found)


def _end_lost_runs(instance: dg.DagsterInstance, now_s: float, names: LibraryNames) -> None:
    """End the runs that a sensor created and, killed in that moment or without a store, not queued.

    They fail as killed runs do, and are tried again as such.
    """
    lost = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.NOT_STARTED],
        created_before=datetime.datetime.fromtimestamp(now_s - _LOST_S, tz=datetime.UTC),
    )
    for run in instance.get_runs(lost):
        if "dagster/run_key" in run.tags and names.has(run):
            instance.report_run_failed(run, "it was created, but never queued")


def _failed(
    instance: dg.DagsterInstance, memory: _SensorState, now_s: float, names: LibraryNames
) -> tuple[list[FailedRun], float, tuple[str, ...]]:
    """Return the runs that failed since the last tick, its time, and the runs handled then."""
    # A clock that was set back since must not hide what fails now.
    since_s = min(memory.since_s, now_s)
    records = _failures_since(instance, since_s, names)
    new = [each for each in records if each.dagster_run.run_id not in memory.seen]
    last_s = max((each.update_timestamp.timestamp() for each in records), default=since_s)
    awaited = [each for each in records if _awaits_restart(instance, each, now_s)]
    # Looked at again until the restart has come, or is overdue.
    last_s = min([max(last_s, since_s), *(each.update_timestamp.timestamp() for each in awaited)])
    ended = [each.dagster_run.run_id for each in records if each not in awaited]
    found = [_failure(instance, each.dagster_run) for each in new if each not in awaited]
    # A clock that is set back brings older ones into view again.
    seen = tuple(dict.fromkeys([*memory.seen, *ended]))
    return [run for run in found if run], last_s, seen[-_MAX_SEEN:]


def _failures_since(
    instance: dg.DagsterInstance, since_s: float, names: LibraryNames
) -> Sequence[dg.RunRecord]:
    """Return the failed runs since a look, and those that may have come late for it."""
    since = datetime.datetime.fromtimestamp(since_s - _OVERLAP_S, tz=datetime.UTC)
    wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    found = instance.get_run_records(wanted, ascending=True)
    return [each for each in found if names.has(each.dagster_run)]


def _failure(instance: dg.DagsterInstance, run: dg.DagsterRun) -> FailedRun | None:
    """Return a run for the retry policy; None if it is not ours, or Dagster has restarted it."""
    video = next((run.tags[tag] for tag in _PARTITION_TAGS if tag in run.tags), None)
    if not video or (run.tags.get("dagster/will_retry") == "true" and _restarted(instance, run)):
        return None
    stage, cause, error = failure_of(instance, run.run_id)
    attempt = run.tags.get(ATTEMPT_TAG, "1")
    tries = int(attempt) if attempt.isdecimal() else 1
    return FailedRun(run.run_id, video, stage, error, cause, tries)


def _awaits_restart(instance: dg.DagsterInstance, record: dg.RunRecord, now_s: float) -> bool:
    """Return whether Dagster may still restart the run itself, because its process was killed."""
    run, age_s = record.dagster_run, now_s - record.update_timestamp.timestamp()
    will_retry = run.tags.get("dagster/will_retry") == "true"
    # A negative age: the clock was set back since.
    return will_retry and 0 <= age_s < _RESTART_S and not _restarted(instance, run)


def _restarted(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Return whether Dagster's restart of the run was queued, and not just recorded."""
    restart = instance.get_run_by_id(run.tags.get("dagster/auto_retry_run_id", ""))
    return restart is not None and restart.status != dg.DagsterRunStatus.NOT_STARTED
