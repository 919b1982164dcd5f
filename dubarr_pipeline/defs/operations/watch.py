"""Bounds of the questions of watching programs: one at a time, each answer kept for a while."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from dubarr_pipeline.errors import ServiceUnavailable

_Found = TypeVar("_Found")
_Clock = Callable[[], float]


class KeptAnswer(Generic[_Found]):
    """An answer that is made anew when it is asked for and has become old.

    One thread makes it, and whoever asks meanwhile waits for the same; a question that hangs is
    not asked a second time, and whoever waits for it is told so.

    Args:
        make: makes the answer; what it raises is raised to whoever asks.
        age_s: seconds for which it is kept.
        most_s: seconds that anybody waits for it.
    """

    def __init__(
        self,
        make: Callable[[], _Found],
        age_s: float,
        most_s: float,
        clock: _Clock = time.monotonic,
    ) -> None:
        self._make, self._age_s, self._most_s, self._clock = make, age_s, most_s, clock
        self._lock = threading.Lock()
        self._making: threading.Event | None = None
        self._made: tuple[float, _Found] | None = None
        self._error: Exception | None = None

    def get(self) -> _Found:
        """Return the answer. Raises `ServiceUnavailable` where it does not come."""
        making = self.begin()
        if making and not making.wait(self._most_s):
            raise ServiceUnavailable(f"no answer within {self._most_s:g} s")
        with self._lock:
            made, error = self._made, self._error
        if error or made is None:
            raise error or ServiceUnavailable("no answer")
        return made[1]

    def begin(self) -> threading.Event | None:
        """Have the answer made, unless it is young enough; return what is set when it is there."""
        with self._lock:
            if self._made and self._clock() - self._made[0] < self._age_s:
                return None
            if self._making is None:
                self._making = threading.Event()
                # A thread that hangs, at a network disk for example, must not hold up the exit.
                name, done = "kept answer", self._making
                threading.Thread(None, self._renew, name, (done,), daemon=True).start()
            return self._making

    def _renew(self, done: threading.Event) -> None:
        found, error = None, None
        try:
            found = self._make()
        # Whatever it is, whoever asked gets it.
        except Exception as raised:
            error = raised
        with self._lock:
            self._error, self._making = error, None
            if found is not None:
                self._made = (self._clock(), found)
            elif error:
                self._made = None
        done.set()
