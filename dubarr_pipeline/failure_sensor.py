"""What watches over failed runs: it tries them again where that may help, and tells people."""

import datetime
import json
import time
from dataclasses import asdict, dataclass, field

import dagster as dg
from pydantic import TypeAdapter

from dubarr_pipeline.errors import ServiceUnavailable, SettingsError
from dubarr_pipeline.jobs import dub, publish
from dubarr_pipeline.library.failures import (
    PUBLISHING,
    FailedRun,
    FailureOptions,
    Waiting,
    in_words,
)
from dubarr_pipeline.library.notifying import notify
from dubarr_pipeline.resources import Workshop
from dubarr_pipeline.tasks import failure_of
from dubarr_pipeline.workers import PROCESS_TAG

ATTEMPT_TAG = "dubarr/attempt"
_PARTITION_TAGS = ("dagster/partition", "dubarr/video")
_MOST_REMEMBERED = 1_000
_MOST_UNTOLD = 50


@dataclass(frozen=True, slots=True)
class _Memory:
    """What is known between two looks.

    Attributes:
        since_s: failures up to then have been looked at, seconds since 1970.
        seen: the runs among them that end near that time.
        untold: messages that no channel has taken yet.
    """

    since_s: float
    seen: tuple[str, ...] = ()
    waiting: Waiting = field(default_factory=Waiting)
    untold: tuple[str, ...] = ()


_MEMORY = TypeAdapter(_Memory)


@dg.sensor(job=dub, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def failures(context: dg.SensorEvaluationContext, workshop: Workshop) -> dg.SensorResult:
    """Try failed runs again whose cause may pass, with growing pauses, and tell of every failure.

    The task table (`dubarr status`) shows a failed run as ERROR with its cause; so does this log.
    """
    settings, now_s = workshop.settings(), time.time()
    options: FailureOptions = settings.options("failures")
    memory = _MEMORY.validate_json(context.cursor) if context.cursor else _Memory(now_s)
    failed, since_s, seen = _failed(context.instance, memory, now_s)
    for run in failed:
        context.log.warning("ERROR %s: %s", run.video, run.cause)
    due, waiting = memory.waiting.after(failed, options, now_s).due(options, now_s)
    told = [*memory.untold, *(in_words(run, options) for run in failed)]
    untold = _tell(context, options, told)
    after = _Memory(since_s, seen, waiting, untold)
    return dg.SensorResult(
        run_requests=[_again(run, context.instance) for run in due],
        cursor=json.dumps(asdict(after)),
    )


def _failed(
    instance: dg.DagsterInstance, memory: _Memory, now_s: float
) -> tuple[list[FailedRun], float, tuple[str, ...]]:
    """The runs that failed since the last look, and what to remember of them."""
    # A clock that was set back since must not hide what fails now.
    since_s = min(memory.since_s, now_s)
    since = datetime.datetime.fromtimestamp(since_s - 1.0, tz=datetime.UTC)
    wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    records = instance.get_run_records(wanted, ascending=True)
    new = [each for each in records if each.dagster_run.run_id not in memory.seen]
    last_s = max((each.update_timestamp.timestamp() for each in records), default=since_s)
    # Dagster may find later that it cannot go on with a run: that one is looked at again then.
    ended = [each.dagster_run for each in records if not _goes_on(each.dagster_run)]
    seen = tuple(run.run_id for run in ended)[-_MOST_REMEMBERED:]
    found = [_failure(instance, each.dagster_run) for each in new]
    return [run for run in found if run], max(last_s, since_s), seen


def _failure(instance: dg.DagsterInstance, run: dg.DagsterRun) -> FailedRun | None:
    """A run as the policy sees it; None if it is not ours, or Dagster goes on with it itself."""
    video = next((run.tags[tag] for tag in _PARTITION_TAGS if tag in run.tags), None)
    if not video or _goes_on(run):
        return None
    stage, cause, error = failure_of(instance, run.run_id)
    if run.job_name == publish.name:
        # It has tried several times itself.
        return FailedRun(run.run_id, video, PUBLISHING, None, cause)
    attempt = run.tags.get(ATTEMPT_TAG, "1")
    tries = int(attempt) if attempt.isdecimal() else 1
    return FailedRun(run.run_id, video, stage, error, cause, tries)


def _goes_on(run: dg.DagsterRun) -> bool:
    """Whether Dagster itself starts the run again, because its process was killed."""
    return run.tags.get("dagster/will_retry") == "true"


def _tell(
    context: dg.SensorEvaluationContext, options: FailureOptions, told: list[str]
) -> tuple[str, ...]:
    """Tell people; returns what could not be told and is to be told the next time."""
    if not told:
        return ()
    try:
        notify(options.notify, "dubarr: a video could not be dubbed", "\n\n".join(told))
    except SettingsError as error:
        context.log.error("nobody is told: %s", error)
        return ()
    except ServiceUnavailable as error:
        context.log.warning("told the next time: %s", error)
        return tuple(told[-_MOST_UNTOLD:])
    return ()


def _again(failed: FailedRun, instance: dg.DagsterInstance) -> dg.RunRequest:
    """The whole way again for the same video; the stages that stand are kept."""
    run = instance.get_run_by_id(failed.run_id)
    kept = {k: v for k, v in (run.tags if run else {}).items() if k.startswith("dubarr/")}
    kept.pop(PROCESS_TAG, None)
    tags = {**kept, ATTEMPT_TAG: str(failed.attempt + 1), "dubarr/launcher": "failures"}
    return dg.RunRequest(run_key=f"again/{failed.run_id}", partition_key=failed.video, tags=tags)
