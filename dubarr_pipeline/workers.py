"""Which process works at a run, and whether it still lives.

Every run carries the mark of its process as a tag, whoever launched it: the terminal writes it at
the launch, a run of the UI when it begins, before it waits for the GPU.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import dagster as dg

PROCESS_TAG = "dubarr/process"
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
    mark = process_mark(run_id)
    run = instance.get_run_by_id(run_id)
    if run and run.tags.get(PROCESS_TAG) != mark:
        instance.add_run_tags(run_id, {PROCESS_TAG: mark})


def is_dead(run: dg.DagsterRun) -> bool:
    """Whether the process of a run has certainly ended; one on another host never has."""
    run_id, host, pid, started = _parts(run.tags.get(PROCESS_TAG, ""))
    if run_id != run.run_id or host != socket.gethostname():
        return False
    return _start_time(int(pid)) != started


def bury_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Record the end of runs whose process was killed, and free the pool slots that they held."""
    dead: list[str] = []
    for run in instance.get_runs(dg.RunsFilter(statuses=list(LIVE))):
        if is_dead(run):
            instance.report_run_failed(run, "its process was killed; what it finished is kept")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            dead.append(run.run_id)
    return dead


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
