"""Stands between a run and a service that it started, and leaves nothing of the service behind.

A run that is killed by `kill -9` can end nothing itself, and a server's own workers outlive the
server. So this small process is the service's parent: it notices that the run has gone (its
standard input ends), and it adopts whatever the service leaves behind (`PR_SET_CHILD_SUBREAPER`),
so that all of it can be found and ended. It is run as a script, without this package.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LOOK_S = 0.5
"""How often to see whether the run still lives, should its end not be told."""
_SETTLE_S = 0.02


def main(grace_s: float, command: list[str]) -> int:
    """Run the command until it ends or the run does; returns its exit status.

    Args:
        grace_s: seconds from TERM to KILL.
        command: the service and its arguments.
    """
    run = os.getppid()
    adopt_orphans()
    wake = _wake_on_child_end()
    for stop in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(stop, lambda *_: None)
    service = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)
    status: int | None = None
    while status is None and os.getppid() == run:
        ready, _, _ = select.select([0, wake], [], [], _LOOK_S)
        if wake in ready:
            os.read(wake, 4096)
        status = _reap(service.pid)
        if 0 in ready and not os.read(0, 1):
            break
    end_all(grace_s)
    return 0 if status is None else status


def _wake_on_child_end() -> int:
    """A descriptor that can be read whenever a child has ended."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer)
    return reader


def _reap(service: int | None) -> int | None:
    """Take leave of all that have ended; the status of the service if it is among them."""
    status = None
    with suppress(ChildProcessError):
        while True:
            pid, raw = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return status
            if pid == service:
                code = os.waitstatus_to_exitcode(raw)
                status = code if code >= 0 else 128 - code
    return status


def adopt_orphans() -> None:
    """Become the parent of everything below us whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_all(grace_s: float) -> None:
    """TERM to all that are below us, KILL to those that stay."""
    send(descendants(os.getpid()), signal.SIGTERM)
    end = time.monotonic() + grace_s
    while left := descendants(os.getpid()):
        if time.monotonic() >= end:
            send(left, signal.SIGKILL)
        time.sleep(_SETTLE_S)
        _reap(None)


def descendants(root: int) -> list[int]:
    """Every process below one, those that have ended but not been reaped excepted."""
    families = children()
    found, left = list[int](), [root]
    while left:
        below = families.get(left.pop(), [])
        found += below
        left += below
    return found


def children() -> dict[int, list[int]]:
    """The living children of every process."""
    families: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _living_parent(entry)):
            families.setdefault(parent, []).append(int(entry.name))
    return families


def _living_parent(entry: Path) -> int:
    """The parent of a process; 0 if it has ended."""
    try:
        state, parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
    except OSError:
        return 0
    return 0 if state in "ZX" else int(parent)


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to those of the processes that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _prctl(option: int, value: int) -> None:
    """Linux's prctl; elsewhere nothing of the kind is to be had."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _die_with_parent() -> None:
    """Should this supervisor itself be killed, the service's first process goes with it."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
