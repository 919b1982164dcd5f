"""Supervisor of Dagster's processes: restart them when they exit, shut them down in order.

The first process is the base of the others: it is started first and stopped last. Its children (the
runs) are adopted when it dies, go on working, and are ended with everything else.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline.compute import subreaper
from dubarr_pipeline.compute.backoff import Backoff, RestartPolicy, Restarts
from dubarr_pipeline.compute.process_log import ProcessLog

POLICY = RestartPolicy(Backoff(limit_s=60.0), max_restarts=None, steady_s=120.0, grace_s=30.0)
"""Runs in flight have this grace, too, to end by name."""
_POLL_S = 0.25
_TERM_AGAIN_S = 3.0


@dataclass(frozen=True, slots=True)
class Program:
    """One of the supervised programs.

    Attributes:
        name: for messages, e.g. ``"code server"``; its log is named after it.
        is_ready: returns whether it does its work; polled until it first does.
        address: shown when it is ready; empty if it has none.
        deadline_s: a program that is not ready by then hangs, and is restarted.
    """

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    address: str = ""
    deadline_s: float = 300.0


class ProcessSupervisor:
    """Supervisor of a few programs, in one thread; it is the whole program of its process.

    The first program is the base of the others; `report` takes one line for people.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        logs: Path,
        report: Callable[[str], object],
        policy: RestartPolicy = POLICY,
    ) -> None:
        self._grace_s = policy.grace_s
        self._processes = [_Process(program, logs, report, policy) for program in programs]

    def run(self, stop: int) -> None:
        """Keep all programs alive until a descriptor can be read or ends; then stop them."""
        subreaper.adopt_orphans()
        base, *others = self._processes
        while not select.select([stop], [], [], _POLL_S)[0]:
            base.poll()
            for each in others:
                if base.was_ready:
                    each.poll()
            _reap_adopted({each.pid for each in self._processes})
        _end([each.pid for each in others], self._grace_s)
        families = subreaper.children()
        # A base that does not run has the id 0.
        below_base = families.get(base.pid, []) if base.pid else []
        runs = [*below_base, *families.get(os.getpid(), [])]
        runs = [pid for pid in runs if pid != base.pid and _heeds_term(pid)]
        _end(runs, self._grace_s)
        _end([base.pid], self._grace_s)
        subreaper.end_all(self._grace_s)


class _Process:
    """One program's process, restarted whenever it dies."""

    def __init__(
        self, program: Program, logs: Path, report: Callable[[str], object], policy: RestartPolicy
    ) -> None:
        self.was_ready = False
        self._program, self._report, self._restarts = program, report, Restarts(policy)
        self._log = ProcessLog(logs / f"{program.name.replace(' ', '-')}.log")
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._start_at = self._started_at = 0.0

    @property
    def pid(self) -> int:
        """Its process id; 0 while it does not run."""
        return self._process.pid if self._process else 0

    def poll(self) -> None:
        """Check on it, and do what is due."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._start_at:
                self._started_at, self._ready = now, False
                try:
                    with self._log.open() as log:
                        self._process = subprocess.Popen(
                            self._program.command,
                            stdin=subprocess.DEVNULL,
                            stdout=log,
                            stderr=subprocess.STDOUT,
                        )
                except OSError as error:
                    self._note_death(f"could not be started ({error})")
        elif (status := self._process.poll()) is not None:
            if status < 0:
                self._note_death(f"was killed ({signal.Signals(-status).name})")
            else:
                self._note_death(f"ended (status {status})", self._log.tail())
        elif self._ready:
            self._log.rotate()
        else:
            self._check_ready(now)

    def _check_ready(self, now: float) -> None:
        """Note that it is ready, or end it after its deadline."""
        program = self._program
        if program.is_ready():
            again = " again" if self.was_ready else ""
            where = f": {program.address}" if program.address else ""
            self._report(f"{program.name} is ready{again}{where}")
            self._ready = self.was_ready = True
        elif now - self._started_at > program.deadline_s:
            _end([self.pid], self._restarts.policy.grace_s)
            self._note_death(f"was not ready after {program.deadline_s:.0f} s", self._log.tail())

    def _note_death(self, how: str, last_words: str = "") -> None:
        """Report its end, and when it is restarted."""
        now = time.monotonic()
        self._process = None
        self._restarts.note_death(now - self._started_at)
        pause_s = self._restarts.pause_s
        self._start_at = now + pause_s
        quoted = f"; {last_words}" if last_words else ""
        self._report(f"{self._program.name} {how}: restarting in {pause_s:.0f} s{quoted}")


def _reap_adopted(ours: Collection[int]) -> None:
    """Reap adopted processes that have ended; ours keep their status for `poll`."""
    with suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in ours:
                return
            os.waitpid(ended.si_pid, 0)


def _end(pids: Collection[int], grace_s: float) -> None:
    """Send TERM to these processes, repeated because one may be lost; KILL after the grace."""
    left = [pid for pid in pids if pid]
    start = time.monotonic()
    sent = 0
    while left:
        since_s = time.monotonic() - start
        if since_s >= sent * _TERM_AGAIN_S or since_s >= grace_s:
            sent += 1
            subreaper.send(left, signal.SIGTERM if since_s < grace_s else signal.SIGKILL)
        time.sleep(0.05)
        _reap_adopted(())
        alive = {pid for family in subreaper.children().values() for pid in family}
        left = [pid for pid in left if pid in alive]


def _heeds_term(pid: int) -> bool:
    """Return whether a process does not ignore TERM, as the helper of Python's servers does."""
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
        ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
        return not ignored >> (signal.SIGTERM - 1) & 1
    return False
