"""Runs that lost their process, and that Dagster's daemon passes over: taken up at the next start.

The daemon's own loop looks at their ends here, with a code server that is away.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon

from dubarr_pipeline.defs.runtime.liveness import PROCESS_TAG, process_mark, take_up_lost_runs
from dubarr_pipeline.defs.runtime.records import PARTITION_TAG
from dubarr_pipeline.defs.runtime.runs import open_instance

LOCATION = "dubarr_pipeline.definitions"
ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION), "__repository__"), "dub"
)
LOST = RunFailureReason.UNEXPECTED_TERMINATION


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """A store with the settings that dubarr gives it."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with open_instance(tmp_path / "work") as instance:
        yield instance


def begin(store: dg.DagsterInstance, film: str = "one", **changes: Any) -> dg.DagsterRun:
    facts = {"status": dg.DagsterRunStatus.STARTED, "remote_job_origin": ORIGIN} | changes
    return store.add_run(dg.DagsterRun(job_name="dub", tags={PARTITION_TAG: film}, **facts))


def lose(store: dg.DagsterInstance, run: dg.DagsterRun, reason: RunFailureReason = LOST) -> None:
    store.report_run_failed(run, "interrupted", JobFailureData(None, failure_reason=reason))


def tried_by_daemon(store: dg.DagsterInstance) -> int:
    """Have the daemon look once; return how many runs it tries to retry: no code server answers."""
    asked: list[str] = []

    def get_code_location(name: str) -> None:
        asked.append(name)
        raise ConnectionError(f"{name} is being loaded")

    request = SimpleNamespace(get_code_location=get_code_location)
    context: Any = SimpleNamespace(instance=store, create_request_context=lambda: request)
    for _ in EventLogConsumerDaemon().run_iteration(context):
        pass
    return len(asked)


def test_a_run_that_the_daemon_could_not_retry_is_tried_at_the_next_start(store):
    assert tried_by_daemon(store) == 0
    run = begin(store)
    lose(store, run)
    assert tried_by_daemon(store) == 1
    assert tried_by_daemon(store) == 0, "Dagster looks again by itself: this is not needed"
    assert take_up_lost_runs(store) == [run.run_id]
    assert tried_by_daemon(store) == 1


def test_a_run_that_was_lost_before_the_daemon_first_looked_goes_on(store):
    run = begin(store)
    lose(store, run)
    assert take_up_lost_runs(store) == [run.run_id]
    assert tried_by_daemon(store) == 1


def test_a_run_whose_machine_went_down_is_buried_and_goes_on(store):
    run = begin(store)
    host, pid, started = process_mark(run.run_id).rsplit(":", 3)[1:]
    store.add_run_tags(run.run_id, {PROCESS_TAG: f"{run.run_id}:{host}:{pid}:{int(started) - 1}"})
    assert take_up_lost_runs(store) == [run.run_id]
    assert tried_by_daemon(store) == 1


def test_what_is_no_lost_run_is_left_alone(store):
    lose(store, begin(store, "failed by name"), RunFailureReason.STEP_FAILURE)
    lose(store, begin(store, "dubbed in a terminal", remote_job_origin=None))
    begin(store, "at work")
    begin(store, "stopped by a person", status=dg.DagsterRunStatus.CANCELED)
    lose(store, begin(store, "launched again"))
    begin(store, "launched again", status=dg.DagsterRunStatus.SUCCESS)
    retried = begin(store, "retried")
    lose(store, retried)
    store.add_run_tags(retried.run_id, {"dagster/auto_retry_run_id": "another"})
    assert take_up_lost_runs(store) == []


def test_a_run_that_is_lost_each_time_is_not_retried_for_ever(store):
    root = begin(store)
    lose(store, root)
    runs = [root]
    for number in range(3):
        run = begin(store, parent_run_id=runs[-1].run_id, root_run_id=root.run_id)
        store.add_run_tags(runs[-1].run_id, {"dagster/auto_retry_run_id": run.run_id})
        store.add_run_tags(
            run.run_id,
            {
                "dagster/parent_run_id": runs[-1].run_id,
                "dagster/root_run_id": root.run_id,
                "dagster/retry_number": str(number + 1),
            },
        )
        lose(store, run)
        runs.append(run)
        assert take_up_lost_runs(store) == ([run.run_id] if number < 2 else [])
