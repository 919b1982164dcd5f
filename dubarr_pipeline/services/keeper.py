"""Keeps a few processes alive for weeks: what dies is started again, what ends is ended in peace.

The first of them is the ground on which the others stand: it is started first and stopped last.
What it leaves behind when it dies (its runs) is adopted, works on, and is ended with all else.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline.services import supervisor

_LOOK_S = 0.25
_ASK_AGAIN_S = 3.0
_TAIL_LINES, _TAIL_BYTES = 15, 3000
_FULL_LOG_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """One of the processes.

    Attributes:
        name: as people call it: ``"code server"``; its log is called so, too.
        command: program and arguments.
        is_ready: whether it does its work; asked until it says so once.
        address: where it is found, for people; empty: nowhere.
    """

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    address: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long is waited for what.

    Attributes:
        pause_s: before the first restart, doubled each time, at most `longest_pause_s`.
        steady_s: having lived so long, earlier deaths are forgotten.
        deadline_s: one that is not ready by then hangs, and is started again.
        grace_s: from TERM to KILL when it is stopped; runs have it too, to end by name.
    """

    pause_s: float = 1.0
    longest_pause_s: float = 60.0
    steady_s: float = 120.0
    deadline_s: float = 300.0
    grace_s: float = 30.0


class Keeper:
    """Keeps its parts alive, in one thread. It is the whole program of its process.

    Args:
        parts: the ground, then those that stand on it.
        logs: folder of their logs.
        say: tells people in one line.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        logs: Path,
        say: Callable[[str], object],
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace or Pace()
        self._kept = [_Kept(part, logs, say, self._pace) for part in parts]

    def keep(self, told: int) -> None:
        """Keep all alive until there is something to read, or an end, in a descriptor; then stop.

        Args:
            told: the descriptor.
        """
        supervisor.adopt_orphans()
        ground, *others = self._kept
        while not select.select([told], [], [], _LOOK_S)[0]:
            ground.look()
            for each in others:
                if ground.was_ready:
                    each.look()
            _take_leave({each.pid for each in self._kept})
        self._stop(ground, others)

    def _stop(self, ground: _Kept, others: list[_Kept]) -> None:
        _end([each.pid for each in others], self._pace.grace_s)
        families = supervisor.children()
        runs = [*families.get(ground.pid, []), *families.get(os.getpid(), [])]
        runs = [pid for pid in runs if pid != ground.pid and _heeds_term(pid)]
        _end(runs, self._pace.grace_s)
        _end([ground.pid], self._pace.grace_s)
        supervisor.end_all(self._pace.grace_s)


class _Kept:
    """One process, started again whenever it dies."""

    def __init__(self, part: Part, logs: Path, say: Callable[[str], object], pace: Pace) -> None:
        self.was_ready = False
        self._part, self._say, self._pace = part, say, pace
        self._log = logs / f"{part.name.replace(' ', '-')}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._deaths = 0
        self._start_at = self._started_at = 0.0
        self._log_start = 0

    @property
    def pid(self) -> int:
        """Its process; 0 while there is none."""
        return self._process.pid if self._process else 0

    def look(self) -> None:
        """See how it is, and do what is due."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._start_at:
                self._start(now)
        elif (status := self._process.poll()) is not None:
            self._note_death(_ending(status), status >= 0)
        elif not self._ready:
            self._await(now)
        else:
            _cut(self._log)

    def _start(self, now: float) -> None:
        self._started_at, self._ready = now, False
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("ab") as log:
                self._log_start = log.tell()
                self._process = subprocess.Popen(
                    self._part.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
        except OSError as error:
            self._note_death(f"could not be started ({error})", False)

    def _await(self, now: float) -> None:
        """See whether it is ready, or will never be."""
        if self._part.is_ready():
            again = " again" if self.was_ready else ""
            where = f": {self._part.address}" if self._part.address else ""
            self._say(f"{self._part.name} is ready{again}{where}")
            self._ready = self.was_ready = True
        elif now - self._started_at > self._pace.deadline_s:
            _end([self.pid], self._pace.grace_s)
            self._note_death(f"was not ready after {self._pace.deadline_s:.0f} s", True)

    def _note_death(self, how: str, with_words: bool) -> None:
        """Tell of its end, and when it is started again."""
        now = time.monotonic()
        self._process = None
        if now - self._started_at >= self._pace.steady_s:
            self._deaths = 0
        pause_s = min(self._pace.pause_s * 2.0**self._deaths, self._pace.longest_pause_s)
        self._deaths = min(self._deaths + 1, 30)
        self._start_at = now + pause_s
        words = f"; {self._last_words()}" if with_words else ""
        self._say(f"{self._part.name} {how}: it is started again in {pause_s:.0f} s{words}")

    def _last_words(self) -> str:
        with suppress(OSError), self._log.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
            if lines:
                return f"the end of {self._log}:\n" + "\n".join(f"  | {line}" for line in lines)
        return f"its log {self._log} is empty"


def _ending(status: int) -> str:
    if status < 0:
        return f"was killed ({signal.Signals(-status).name})"
    return f"ended (status {status})"


def _cut(log: Path) -> None:
    """Put a log aside that has grown large; whoever writes it appends, and goes on at the start."""
    with suppress(OSError):
        if log.stat().st_size > _FULL_LOG_BYTES:
            log.with_suffix(".log.1").write_bytes(log.read_bytes())
            os.truncate(log, 0)


def _take_leave(ours: Collection[int]) -> None:
    """Let adopted processes go that have ended; our own are asked for how they did."""
    with suppress(ChildProcessError):
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if found.si_pid in ours:
                return
            os.waitpid(found.si_pid, 0)


def _end(pids: Collection[int], grace_s: float) -> None:
    """TERM to these processes, repeated because one may be lost; KILL to those that stay."""
    left = [pid for pid in pids if pid]
    start = time.monotonic()
    asked = 0
    while left:
        since_s = time.monotonic() - start
        if since_s >= asked * _ASK_AGAIN_S or since_s >= grace_s:
            asked += 1
            supervisor.send(left, signal.SIGTERM if since_s < grace_s else signal.SIGKILL)
        time.sleep(0.05)
        _take_leave(())
        alive = {pid for family in supervisor.children().values() for pid in family}
        left = [pid for pid in left if pid in alive]


def _heeds_term(pid: int) -> bool:
    """Whether a process does not ignore TERM, as the helper does that Python's servers have."""
    with suppress(OSError):
        told = Path(f"/proc/{pid}/status").read_text(errors="replace")
        ignored = int(told.partition("SigIgn:")[2].split()[0], 16)
        return not ignored >> (signal.SIGTERM - 1) & 1
    return False
