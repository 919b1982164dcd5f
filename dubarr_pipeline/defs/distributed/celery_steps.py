"""Executor that sends the steps of a run to Celery's workers, on whichever machine.

dagster-celery's task does the work; ours around it holds a lease of the step's try, by which the
run knows that a worker is at it. A message that the broker loses is sent again, and one that comes
twice finds the lease taken. (dagster-celery's own executor waits for the broker's answer: a killed
worker leaves its run waiting for ever, a killed broker ends it.)

Workers are told this module: ``celery -A dubarr_pipeline.defs.distributed.celery_steps worker``.
The broker's address is in ``$CELERY_BROKER_URL``.
"""

import logging
import time
from collections.abc import Generator, Iterator
from typing import Any, cast

import dagster as dg
from celery import Celery, Task
from dagster._core.events import DagsterEvent, EngineEventData
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.step_delegating import (
    CheckStepHealthResult,
    StepDelegatingExecutor,
    StepHandler,
    StepHandlerContext,
)
from dagster._grpc.types import ExecuteStepArgs
from dagster._serdes import pack_value, unpack_value
from dagster._utils.hosted_user_process import recon_job_from_origin
from dagster_celery.core_execution_loop import DELEGATE_MARKER
from dagster_celery.tasks import create_task
from kombu.exceptions import OperationalError

from dubarr_pipeline.config.options import WorkerOptions
from dubarr_pipeline.config.settings import user_settings
from dubarr_pipeline.defs.distributed.leases import beating, exit_on_loss, look, revoke, take
from dubarr_pipeline.defs.distributed.step_tags import CPU, QUEUE_TAG
from dubarr_pipeline.defs.runtime.liveness import mark_run, unmark_run

_log = logging.getLogger(__name__)

_LOOKS_PER_LEASE = 6
_DONE_WITH = (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)
_SENDING = {"max_retries": 2, "interval_start": 0.0, "interval_step": 0.2}
"""A broker that is away is asked again at the next look."""

app = Celery("dubarr")
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_default_queue=CPU,
    task_ignore_result=True,
    # A busy worker that fetched one message more would keep it from an idle one.
    worker_disable_prefetch=True,
)


class LeasedTask(Task):
    """Celery's task of a step, which works only if this message is the first of its try."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Execute the step under a lease; a process that loses it ends at once."""
        step = unpack_value(kwargs["execute_step_args_packed"], as_type=ExecuteStepArgs)
        assert step.instance_ref
        ttl_s = user_settings().workers.lease_s
        with dg.DagsterInstance.from_ref(step.instance_ref) as instance:
            run = instance.get_run_by_id(step.run_id)
            if run is None or run.is_finished or run.status in _DONE_WITH:
                _log.info("%s: its run has ended", lease_name(step))
                return None
            lease = take(instance, lease_name(step), step.run_id, ttl_s, again=False)
            if lease is None:
                _log.info("%s: another worker has it, or had it", lease_name(step))
                return None
            exit_on_loss()
            with beating(lease):
                result = self.run(*args, **kwargs)
            # The run may not have read yet that the step ended.
            lease.release(grace_s=ttl_s)
            return result


execute_step = cast("Task", create_task(app, base=LeasedTask, ignore_result=True))


def lease_name(step: ExecuteStepArgs) -> str:
    """Return the lease of a step's try: of its run, its name, and how many came before."""
    assert step.step_keys_to_execute
    assert step.known_state
    (key,) = step.step_keys_to_execute
    return f"{step.run_id}/{key}/{step.known_state.get_retry_state().get_attempt_count(key)}"


class CeleryStepHandler(StepHandler):
    """Sender of steps to the queues, which knows by their leases how they fare."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._sent_s: dict[str, float] = {}

    @property
    def name(self) -> str:
        return "celery"

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Send a step to the queue of its tag."""
        (key,) = step_handler_context.step_tags
        queue = self._send(step_handler_context)
        yield DagsterEvent.engine_event(
            step_handler_context.get_step_context(key),
            f"Sent {key} to queue {queue!r}.",
            EngineEventData(marker_start=DELEGATE_MARKER),
        )

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """Return whether a step waits or its worker lives; send one again that none took."""
        instance = step_handler_context.instance
        name = lease_name(step_handler_context.execute_step_args)
        state = look(instance, name)
        if state is None:
            if time.monotonic() >= self._sent_s.get(name, 0.0) + self._options.resend_s:
                self._send(step_handler_context)
        elif state.left_s <= 0 and revoke(instance, name, state.token, only_ended=True):
            silent_s = self._options.lease_s
            return CheckStepHealthResult.unhealthy(
                f"no sign of life for {silent_s:g} s from {state.holder}"
            )
        return CheckStepHealthResult.healthy()

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Take the lease from the worker, which ends with its next sign of life."""
        name = lease_name(step_handler_context.execute_step_args)
        if state := look(step_handler_context.instance, name):
            revoke(step_handler_context.instance, name, state.token)
        yield from ()

    def _send(self, context: StepHandlerContext) -> str:
        """Send a step, or leave it for the next look if the broker is away; return its queue."""
        step, run = context.execute_step_args, context.dagster_run
        ((key, tags),) = context.step_tags.items()
        queue = tags.get(QUEUE_TAG, CPU)
        job = recon_job_from_origin(step.job_origin).get_subset(
            op_selection=run.resolved_op_selection,
            asset_selection=run.asset_selection,
            asset_check_selection=run.asset_check_selection,
        )
        message = {"execute_step_args_packed": pack_value(step), "executable_dict": job.to_dict()}
        try:
            execute_step.apply_async(kwargs=message, queue=queue, retry_policy=_SENDING)
        except OperationalError as error:
            _log.warning("%s was not sent, the broker is away: %s", key, error)
            self._sent_s[lease_name(step)] = -self._options.resend_s
        else:
            self._sent_s[lease_name(step)] = time.monotonic()
        return queue


class CeleryStepExecutor(StepDelegatingExecutor):
    """Dagster's executor of steps elsewhere, in a run whose process is marked as its own."""

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Generator[DagsterEvent, Any, None]:
        """Execute the plan. Other launchers than Dagster's own know their runs by themselves."""
        instance, run_id = plan_context.instance, plan_context.run_id
        is_own = isinstance(instance.run_launcher, dg.DefaultRunLauncher)
        if is_own:
            mark_run(instance, run_id)
        try:
            yield from super().execute(plan_context, execution_plan)
        finally:
            if is_own:
                unmark_run(instance, run_id)


def celery_steps(options: WorkerOptions) -> dg.ExecutorDefinition:
    """Return the executor of runs whose steps go to Celery's workers, one step at a time of each.

    A film's stages follow each other but for two, of which one is short.
    """

    def made(_: dg.InitExecutorContext) -> CeleryStepExecutor:
        return CeleryStepExecutor(
            CeleryStepHandler(options),
            RetryMode.ENABLED,
            check_step_health_interval_seconds=max(1, int(options.lease_s / _LOOKS_PER_LEASE)),
            max_concurrent=1,
        )

    return dg.ExecutorDefinition(
        name="celery",
        description="Steps are executed by Celery's workers, on any machine.",
        requirements=dg.multiple_process_executor_requirements(),
        executor_creation_fn=made,
    )
