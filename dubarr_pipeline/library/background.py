"""Work that outlives the request for it.

A sensor's tick may take a minute, reading a film of 60 GB takes longer, and a disk that is away may
never answer.
"""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

_T = TypeVar("_T")
_HANGS_S = 900.0
"""Time after which a piece of work is no longer waited for by the next one."""


class BackgroundWork(Generic[_T]):
    """Pieces of work, each under a key, one at a time in threads that do not keep the process."""

    def __init__(self, hangs_s: float = _HANGS_S) -> None:
        self._futures: dict[Hashable, Future[_T]] = {}
        self._lock, self._turn, self._hangs_s = threading.Lock(), threading.Lock(), hangs_s

    def result(self, key: Hashable, work: Callable[[], _T], wait_s: float) -> _T | None:
        """Return what a piece of work comes to, or None if it takes longer: ask again later.

        The work of the first request counts. A result is given once, and so is what it raises.
        """
        with self._lock:
            is_new, future = key not in self._futures, self._futures.setdefault(key, Future())

        def run() -> None:
            has_turn = self._turn.acquire(timeout=self._hangs_s)
            try:
                future.set_result(work())
            # Whoever asked for it gets it.
            except BaseException as error:
                future.set_exception(error)
            finally:
                if has_turn:
                    self._turn.release()

        if is_new:
            threading.Thread(target=run, daemon=True).start()
        if not wait([future], max(0.0, wait_s)).done:
            return None
        with self._lock:
            self._futures.pop(key, None)
        return future.result()
