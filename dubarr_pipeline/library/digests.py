"""Reading new films to their end, beside whatever else goes on.

A film of 60 GB takes minutes to read, and a sensor's tick may take one. So a thread reads, one film
at a time, and who asks waits as long as it can afford.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from dubarr_pipeline.errors import DubbingError
from dubarr_pipeline.media.identity import FileIdentity, identify

_State = tuple[Path, int, int]


@dataclass(slots=True)
class Digests:
    """The films that are being read, or were. For many threads; ends with its process."""

    _found: dict[_State, Future[FileIdentity]] = field(
        default_factory=dict[_State, "Future[FileIdentity]"]
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reading: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, path: Path, wait_s: float) -> FileIdentity | None:
        """Return a file's identity, or None if it is not known within `wait_s`: ask again later.

        Raises:
            SourceMissing, NotAVideo, SourceChanged: as `media.identity.identify`.
        """
        future = self._future(path)
        try:
            identity = future.result(max(0.0, wait_s))
        except TimeoutError:
            return None
        except (DubbingError, OSError):
            self._forget(future)
            raise
        self._forget(future)
        return identity

    def _future(self, path: Path) -> Future[FileIdentity]:
        state = _state(path)
        with self._lock:
            if state not in self._found:
                self._found[state] = Future()
                # It must not keep the process from ending.
                threading.Thread(
                    target=self._read, args=(path, self._found[state]), daemon=True
                ).start()
            return self._found[state]

    def _read(self, path: Path, future: Future[FileIdentity]) -> None:
        with self._reading:
            try:
                future.set_result(identify(path))
            except (DubbingError, OSError) as error:
                future.set_exception(error)

    def _forget(self, future: Future[FileIdentity]) -> None:
        with self._lock:
            self._found = {s: each for s, each in self._found.items() if each is not future}


def _state(path: Path) -> _State:
    try:
        found = path.stat()
    except OSError:
        return path, -1, -1
    return path, found.st_size, found.st_mtime_ns
