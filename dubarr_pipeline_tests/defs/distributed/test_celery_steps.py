"""Steps sent to Celery: what becomes of messages that are lost, come twice, or cannot be sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.execution.plan.state import KnownExecutionState
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._grpc.types import ExecuteStepArgs
from kombu.exceptions import OperationalError

from dubarr_pipeline.config.options import WorkerOptions
from dubarr_pipeline.defs.code_location import chosen_executor, faultless_settings
from dubarr_pipeline.defs.distributed import celery_steps, leases
from dubarr_pipeline.defs.distributed.celery_steps import CeleryStepHandler, lease_name

KEY = "dub__segments"
_ORIGIN = RepositoryPythonOrigin("python", ModuleCodePointer("dubarr_pipeline.definitions", "defs"))
OPTIONS = WorkerOptions(steps="celery", lease_s=60, resend_s=120)


@dataclass
class Broker:
    """What was sent to which queue; it may be away."""

    is_away: bool = False
    queues: list[str] = field(default_factory=list)

    def apply_async(self, *, queue: str, **_: Any) -> None:
        if self.is_away:
            raise OperationalError("connection refused")
        self.queues.append(queue)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def step(store: dg.DagsterInstance) -> ExecuteStepArgs:
    run = dg.DagsterRun("dub", status=dg.DagsterRunStatus.STARTED)
    store.add_run(run)
    return ExecuteStepArgs(
        job_origin=JobPythonOrigin("dub", _ORIGIN),
        run_id=run.run_id,
        step_keys_to_execute=[KEY],
        instance_ref=store.get_ref(),
        known_state=KnownExecutionState(previous_retry_attempts={KEY: 1}),
    )


@pytest.fixture
def context(store: dg.DagsterInstance, step: ExecuteStepArgs, monkeypatch: pytest.MonkeyPatch):
    job = SimpleNamespace(to_dict=dict, get_subset=lambda **_: job)
    monkeypatch.setattr(celery_steps, "recon_job_from_origin", lambda _: job)
    monkeypatch.setattr(celery_steps, "pack_value", lambda _: {})
    return SimpleNamespace(
        instance=store,
        execute_step_args=step,
        step_tags={KEY: {"dagster-celery/queue": "gpu"}},
        dagster_run=store.get_run_by_id(step.run_id),
    )


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    found = Broker()
    monkeypatch.setattr(celery_steps, "execute_step", found)
    return found


def test_a_try_has_a_lease_of_its_own(step: ExecuteStepArgs):
    assert lease_name(step) == f"{step.run_id}/{KEY}/1"


def test_what_a_broker_did_not_take_is_sent_at_the_next_look(context: Any, broker: Broker):
    handler = CeleryStepHandler(OPTIONS)
    broker.is_away = True
    handler._send(context)
    assert handler.check_step_health(context).is_healthy
    broker.is_away = False
    assert handler.check_step_health(context).is_healthy
    assert handler.check_step_health(context).is_healthy
    assert broker.queues == ["gpu"]


def test_what_no_worker_took_is_sent_again_in_its_time(
    context: Any, broker: Broker, monkeypatch: pytest.MonkeyPatch
):
    handler, clock = CeleryStepHandler(OPTIONS), [1_000.0]
    monkeypatch.setattr(celery_steps, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    handler._send(context)
    for now_s, sent in ((1_119.0, 1), (1_120.0, 2), (1_239.0, 2), (1_240.0, 3)):
        clock[0] = now_s
        assert handler.check_step_health(context).is_healthy
        assert len(broker.queues) == sent


def test_a_silent_worker_loses_its_step_once(context: Any, broker: Broker):
    handler, step = CeleryStepHandler(OPTIONS), context.execute_step_args
    lease = leases.take(context.instance, lease_name(step), step.run_id, 60.0)
    assert lease
    assert handler.check_step_health(context).is_healthy
    lease.release(grace_s=60.0)
    assert handler.check_step_health(context).is_healthy, "its end may not have been read yet"
    lease.release(-1.0)
    found = handler.check_step_health(context)
    assert not found.is_healthy
    assert "no sign of life for 60 s" in str(found.unhealthy_reason)
    state = leases.look(context.instance, lease_name(step))
    assert state
    assert state.token == lease.token + 1
    assert not broker.queues


def test_a_cancelled_run_takes_the_lease_away(context: Any):
    step = context.execute_step_args
    lease = leases.take(context.instance, lease_name(step), step.run_id, 60.0)
    assert lease
    list(CeleryStepHandler(OPTIONS).terminate_step(context))
    state = leases.look(context.instance, lease_name(step))
    assert state
    assert state.left_s <= 0
    assert state.token > lease.token


@pytest.mark.parametrize("ended", [False, True])
def test_a_message_that_comes_twice_or_too_late_does_nothing(
    store: dg.DagsterInstance,
    step: ExecuteStepArgs,
    ended: bool,
    monkeypatch: pytest.MonkeyPatch,
):
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("it was executed")

    task = celery_steps.execute_step
    monkeypatch.setattr(task, "run", never)
    monkeypatch.setattr(celery_steps, "unpack_value", lambda *_, **__: step)
    if ended:
        run = store.get_run_by_id(step.run_id)
        assert run
        store.report_run_failed(run)
    else:
        assert leases.take(store, lease_name(step), step.run_id, 60.0)
    assert task(execute_step_args_packed={}, executable_dict={}) is None


def test_the_settings_choose_the_executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = tmp_path / "dubarr.toml"
    monkeypatch.setenv("DUBARR_CONFIG", str(config))
    config.write_text("")
    assert chosen_executor(faultless_settings()) is dg.in_process_executor
    config.write_text('[workers]\nsteps = "celery"\n')
    assert chosen_executor(faultless_settings()).name == "celery"
