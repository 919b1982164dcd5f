"""Subreaper between a run and its service: nothing of the service outlives the run.

It notices that the run is gone (its standard input ends), adopts what the service leaves behind,
and ends it all: see `docs/decisions/0013-services.md`. A script, without this package.
"""

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
_POLL_S = 0.5
"""Interval of the checks that the run still lives, in case its standard input stays open."""
_SETTLE_S = 0.02


def main(grace_s: float, command: list[str]) -> int:
    """Run the command until it ends or the run does; return its exit status.

    `grace_s` passes from TERM to KILL.
    """
    run = os.getppid()
    adopt_orphans()
    # The end of a child makes `wake` readable.
    wake, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer)
    for stop in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(stop, lambda *_: None)
    # If this subreaper itself is killed, the service's first process is killed with it.
    service = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
    )
    status: int | None = None
    while status is None and os.getppid() == run:
        ready, _, _ = select.select([0, wake], [], [], _POLL_S)
        if wake in ready:
            os.read(wake, 4096)
        status = _reap(service.pid)
        if 0 in ready and not os.read(0, 1):
            break
    end_all(grace_s)
    return 0 if status is None else status


def _reap(service: int | None) -> int | None:
    """Reap every child that has ended; return the service's status if it is among them."""
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
    """Become the parent of every descendant whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_all(grace_s: float) -> None:
    """Send TERM to all descendants, and KILL to those that remain after the grace."""
    send(descendants(os.getpid()), signal.SIGTERM)
    end = time.monotonic() + grace_s
    while left := descendants(os.getpid()):
        if time.monotonic() >= end:
            send(left, signal.SIGKILL)
        time.sleep(_SETTLE_S)
        _reap(None)


def descendants(root: int) -> tuple[int, ...]:
    """Return every process below one, except those that have ended but were not reaped."""
    families = children()
    below_root, left = list[int](), [root]
    while left:
        below = families.get(left.pop(), [])
        below_root += below
        left += below
    return tuple(below_root)


def children() -> dict[int, list[int]]:
    """Return the living children of every process."""
    families: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            stat = (entry / "stat").read_text(errors="replace")
            state, parent = stat.rpartition(")")[2].split()[:2]
            # Parent 0 is the kernel: init is the child of no process.
            if state not in "ZX" and int(parent):
                families.setdefault(int(parent), []).append(int(entry.name))
    return families


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to those of the processes that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _prctl(option: int, value: int) -> None:
    """Call Linux's prctl; other systems have no equivalent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
