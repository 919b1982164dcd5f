"""Processes of runs: marks, locks, and the launcher that notices when one is gone.

Every run carries the mark of its process as a tag: the terminal writes it at the launch, a run of
the UI when it begins, before it waits for the GPU.

A process of this host is looked up. One of another host, or of a container that was recreated under
another name, is known by a file that it locks while it works: the system releases the lock however
the process ends.
"""

import contextlib
import fcntl
import os
import socket
from pathlib import Path
from typing import IO

import dagster as dg
from dagster._core.events import RunFailureReason
from dagster._core.execution.retries import auto_reexecution_should_retry_run
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import (
    AUTO_RETRY_RUN_ID_TAG,
    RUN_FAILURE_REASON_TAG,
    WILL_RETRY_TAG,
)

from dubarr_pipeline.defs.runtime.records import PARTITION_TAG

PROCESS_TAG = "dubarr/process"
_KILLED = "its process was killed; what it finished is kept"
_held: dict[str, IO[str]] = {}
"""Locks of the runs that this process works at, by run id."""
LIVE = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING)
_LOOKED_AT = 1000
"""Newest runs that are looked at when a server starts."""
_SEEN_ENDS = f"EVENT_LOG_CONSUMER_CURSOR-{dg.DagsterEventType.RUN_FAILURE.value}"
"""Name of the daemon's cursor: the last end of a run that it has looked at."""
ON_ITS_WAY = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED, *LIVE]


def process_mark(run_id: str) -> str:
    """Return this process's mark for a run; it names the run, as reruns inherit its tags."""
    return f"{run_id}:{socket.gethostname()}:{os.getpid()}:{_start_time(os.getpid())}"


def mark_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Mark a run as worked at by this process; every job's executor works in one process."""
    if run_id not in _held:
        lock = _lock(instance, run_id)
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = lock.open("w")
        with contextlib.suppress(OSError):  # a network folder may know no locks
            # Waits at most for a process that tests the lock, which releases it at once.
            fcntl.flock(handle, fcntl.LOCK_EX)
        _held[run_id] = handle
    mark = process_mark(run_id)
    run = instance.get_run_by_id(run_id)
    if run and run.tags.get(PROCESS_TAG) != mark:
        instance.add_run_tags(run_id, {PROCESS_TAG: mark})


def unmark_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Release a run that has ended in this process."""
    if handle := _held.pop(run_id, None):
        _lock(instance, run_id).unlink(missing_ok=True)
        handle.close()


def is_dead(run: dg.DagsterRun, instance: dg.DagsterInstance) -> bool:
    """Return whether the process of a run has certainly ended; if that is unknown, it has not."""
    mark = run.tags.get(PROCESS_TAG, "")
    parts = mark.rsplit(":", 3)
    if len(parts) != 4 or parts[0] != run.run_id:
        return False
    if parts[1] != socket.gethostname():
        lock = _lock(instance, run.run_id)
        try:
            with lock.open("r+") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Held; missing, because the other host keeps its files elsewhere; or there are no locks.
        except OSError:
            return False
        return True
    return is_gone(mark)


def is_gone(mark: str) -> bool:
    """Return whether a mark is that of a process of this host that has ended."""
    _, host, pid, started = mark.rsplit(":", 3)
    return host == socket.gethostname() and _start_time(int(pid)) != started


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Dagster's launcher, which also checks the processes that it started.

    Named in `dagster.yaml`. With Dagster's own launcher the runs of a machine that crashed count as
    started for ever, and their pool slots are never free again.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether the process of a run lives; the run monitor asks every few seconds."""
        if is_dead(run, self._instance):
            return CheckRunHealthResult(WorkerStatus.FAILED, _KILLED)
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def bury_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Record the end of runs whose process was killed, and free their pool slots."""
    dead: list[str] = []
    for run in instance.get_runs(dg.RunsFilter(statuses=list(LIVE))):
        if is_dead(run, instance):
            instance.report_run_failed(run, _KILLED)
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            dead.append(run.run_id)
    return dead


def take_up_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """Have Dagster's daemon retry lost runs, those that it passed over too; return their ids.

    Call it while no daemon runs. The daemon looks at the end of a run once. If the code server is
    away just then, or the end is noticed before it is recorded in full, or the daemon began later,
    it never looks again. What a person has launched since for the same film, a stage that failed by
    name, and a run that was retried often enough are left alone.
    """
    bury_dead_runs(instance)
    newest: dict[tuple[str, str], dg.DagsterRun] = {}
    for run in instance.get_runs(limit=_LOOKED_AT):
        newest.setdefault((run.job_name, run.tags.get(PARTITION_TAG, run.run_id)), run)
    lost = {run.run_id for run in newest.values() if _should_go_on(run, instance)}
    if not lost:
        return []
    ends = instance.event_log_storage.get_logs_for_all_runs_by_log_id(
        dagster_event_type=dg.DagsterEventType.RUN_FAILURE
    )
    # The daemon passes over what it has retried, so it may look at later ends once more.
    before = min((number for number, end in ends.items() if end.run_id in lost), default=1) - 1
    cursors = instance.daemon_cursor_storage
    seen = cursors.get_cursor_values({_SEEN_ENDS}).get(_SEEN_ENDS)
    if seen is None or int(seen) > before:
        cursors.set_cursor_values({_SEEN_ENDS: str(before)})
    for run_id in lost:
        instance.add_run_tags(run_id, {WILL_RETRY_TAG: "true"})
    return sorted(lost)


def _should_go_on(run: dg.DagsterRun, instance: dg.DagsterInstance) -> bool:
    """Return whether a run lost its process, and Dagster would retry it if it looked again."""
    # A run of the terminal has no code server; one that was retried has the mark of that.
    if run.status != dg.DagsterRunStatus.FAILURE or not run.remote_job_origin:
        return False
    if AUTO_RETRY_RUN_ID_TAG in run.tags:
        return False
    reason = run.tags.get(RUN_FAILURE_REASON_TAG)
    return auto_reexecution_should_retry_run(
        instance, run, RunFailureReason(reason) if reason else None
    )


def _lock(instance: dg.DagsterInstance, run_id: str) -> Path:
    """Return the file that a run's process locks; it is deleted with the run's output."""
    return Path(instance.storage_directory()) / run_id / "alive.lock"


def _start_time(pid: int) -> str:
    """Return a process's start in ticks since boot, or "gone" if it does not exist or has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "gone"
    state, *fields = text.rpartition(")")[2].split()
    return "gone" if state in "ZX" else fields[18]
