"""Which process works at a run, and whether it still lives.

Every run carries the mark of its process as a tag, whoever launched it: the terminal writes it at
the launch, a run of the UI when it begins, before it waits for the GPU.

A process of this host is looked up. One of another host, or of a container that has been made anew
under another name, is known by a file that it locks for as long as it works: the system lets go of
the lock however the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from pathlib import Path
from typing import IO

import dagster as dg

PROCESS_TAG = "dubarr/process"
_held: dict[str, IO[str]] = {}
"""The locks of the runs that this process works at."""
LIVE = (
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.CANCELING,
)


def process_mark(run_id: str) -> str:
    """Name this process as the one that works at a run.

    The run is part of it, because a run that is executed again inherits the tags of the first.
    """
    return f"{run_id}:{socket.gethostname()}:{os.getpid()}:{_start_time(os.getpid())}"


def mark_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Have a run carry this process's mark. Every job's executor works in one process."""
    if run_id not in _held:
        lock = _lock(instance, run_id)
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = lock.open("w")
        with contextlib.suppress(OSError):  # a network folder may know no locks
            # Waits for nobody but one who tries whether it is held, and lets go at once.
            fcntl.flock(handle, fcntl.LOCK_EX)
        _held[run_id] = handle
    mark = process_mark(run_id)
    run = instance.get_run_by_id(run_id)
    if run and run.tags.get(PROCESS_TAG) != mark:
        instance.add_run_tags(run_id, {PROCESS_TAG: mark})


def unmark_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Let go of a run that has ended in this process."""
    if handle := _held.pop(run_id, None):
        _lock(instance, run_id).unlink(missing_ok=True)
        handle.close()


def is_dead(run: dg.DagsterRun, instance: dg.DagsterInstance) -> bool:
    """Whether the process of a run has certainly ended; where nobody can tell, it has not."""
    run_id, host, pid, started = _parts(run.tags.get(PROCESS_TAG, ""))
    if run_id != run.run_id:
        return False
    if host != socket.gethostname():
        return _is_let_go(_lock(instance, run_id))
    return _start_time(int(pid)) != started


def bury_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Record the end of runs whose process was killed, and free the pool slots that they held."""
    dead: list[str] = []
    for run in instance.get_runs(dg.RunsFilter(statuses=list(LIVE))):
        if is_dead(run, instance):
            instance.report_run_failed(run, "its process was killed; what it finished is kept")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            dead.append(run.run_id)
    return dead


def _lock(instance: dg.DagsterInstance, run_id: str) -> Path:
    """The file that a run's process locks; it lies with what the run printed, and goes with it."""
    return Path(instance.storage_directory()) / run_id / "alive.lock"


def _is_let_go(lock: Path) -> bool:
    try:
        with lock.open("r+") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held; not there, because the other host keeps its files elsewhere; no locks
        return False
    return True


def _parts(mark: str) -> tuple[str, str, str, str]:
    parts = mark.rsplit(":", 3)
    return (parts[0], parts[1], parts[2], parts[3]) if len(parts) == 4 else ("", "", "0", "")


def _start_time(pid: int) -> str:
    """When a process started, in ticks since boot; "gone" if it is not there or has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "gone"
    state, *fields = text.rpartition(")")[2].split()
    return "gone" if state in "ZX" else fields[18]
