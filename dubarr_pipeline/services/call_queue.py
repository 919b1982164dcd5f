"""Priority queue in front of a service, with a limit on the calls in progress.

A dead service is noticed here: after a number of failures in a row every later call fails at once,
so that a film of 5,000 lines does not wait for 5,000 time-outs.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from dubarr_pipeline.errors import DubbingError, ServiceTimeout, ServiceUnavailable

_Result = TypeVar("_Result")

REFINEMENT = 0
"""Rank of calls that refine a line already begun."""
DRAFTING = 1
"""Rank of calls that begin a line."""


@dataclass(frozen=True, slots=True, order=True)
class Priority:
    """Order of a call: refinement before drafting, then by position. Lower is earlier."""

    rank: int
    position: int


class Cancelled(DubbingError):
    """A person cancelled the work; finished parts are kept."""


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """Load of a service: calls waiting and running now, and its work so far."""

    waiting: int
    running: int
    calls: int
    busy_s: float


class ServiceQueue:
    """Calls to one service: at most `concurrency` at once, the most urgent first. Thread-safe."""

    def __init__(self, name: str, concurrency: int, dead_after: int = 6) -> None:
        if concurrency < 1:
            raise ValueError(f"{name}: a service needs at least one slot, not {concurrency}")
        self.name = name
        self.concurrency = concurrency
        self._dead_after = dead_after
        self._lock = threading.Lock()
        self._waiting: list[tuple[Priority, int, threading.Event]] = []
        self._order = itertools.count()
        self._running = self._calls = self._failures = 0
        self._busy_s = 0.0
        self._closed = False

    def call(self, priority: Priority, work: Callable[[], _Result]) -> _Result:
        """Run the work when it is its turn, in the calling thread, and return what it returns.

        Raises:
            Cancelled: if the queue was closed meanwhile.
            ServiceUnavailable: if the service is dead.
        """
        with self._slot(priority):
            started = time.monotonic()
            try:
                result = work()
            except (ServiceUnavailable, ServiceTimeout):
                with self._lock:
                    self._failures += 1
                raise
            finally:
                with self._lock:
                    self._calls += 1
                    self._busy_s += time.monotonic() - started
        self._failures = 0
        return result

    def close(self) -> None:
        """Refuse all calls that wait; running calls end by themselves."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, []
        for _, _, turn in waiting:
            turn.set()

    @property
    def dead(self) -> bool:
        """True after so many failures in a row that nothing more is sent to it in this run."""
        return self._failures >= self._dead_after

    def load(self) -> QueueLoad:
        """Return the present load."""
        with self._lock:
            return QueueLoad(len(self._waiting), self._running, self._calls, self._busy_s)

    @contextmanager
    def _slot(self, priority: Priority) -> Iterator[None]:
        turn = None
        with self._lock:
            if self._closed:
                raise Cancelled(f"the {self.name} queue is closed")
            if self._running < self.concurrency:
                self._running += 1
            else:
                turn = threading.Event()
                heapq.heappush(self._waiting, (priority, next(self._order), turn))
        if turn is not None:
            turn.wait()
            if self._closed:
                raise Cancelled(f"the {self.name} queue was closed")
        try:
            if self.dead:
                raise ServiceUnavailable(
                    f"the {self.name} service failed {self._dead_after} times in a row; "
                    "this run calls it no more: restart it, then retry"
                )
            yield
        finally:
            with self._lock:
                # The slot goes straight to the most urgent call, so that no other slips in.
                if self._waiting and not self._closed:
                    heapq.heappop(self._waiting)[2].set()
                else:
                    self._running -= 1
