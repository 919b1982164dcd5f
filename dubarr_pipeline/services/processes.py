"""A service that we start ourselves: begun with its first request, watched, and gone when told.

It gets a loopback port and a token of its own. The port stays reserved for as long as the service
may be started again, by a socket that is bound and never listens (`SO_REUSEADDR` lets the service
bind beside it; the kernel gives the port to nobody else): no other process can slip in between.
`supervisor` sees to it that nothing survives a killed run.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import BinaryIO

from dubarr_pipeline.errors import MissingRequirement, ServiceUnavailable
from dubarr_pipeline.services import supervisor
from dubarr_pipeline.workdir import named_disk_errors

_log = logging.getLogger(__name__)

PORT = "{port}"
"""Stands in a command where the port goes."""
_LOOPBACK = "127.0.0.1"
_LOOK_S = 0.1
_PROBE_S = 5.0
"""A service that does not say within this time that it is well hangs."""
_ORDER_S = 120.0
"""Weights of tens of gigabytes are moved within this."""
_TAIL_LINES, _TAIL_BYTES = 15, 3000
_SIGNALLED = 128
"""Statuses above tell the signal that ended a program, as shells and our supervisor do it."""
_FULL_LOG_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Launch:
    """How a service is started.

    Attributes:
        name: as it is called in messages, and the name of its log: ``"llm"``.
        command: program and arguments; ``{port}`` stands for the port.
        environment: variables beside ours.
        token_variable: environment variable by which it is told its token; empty: it takes none.
        health: path that answers 200 when the service is ready.
        deadline_s: by when it must be ready; large models load for minutes.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    token_variable: str = ""
    health: str = "/health"
    deadline_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a service that dies is started again.

    Attributes:
        restarts: so often in a row; then it is given up.
        backoff_s: pause before the first restart, doubled each time, at most `backoff_limit_s`.
        steady_s: having lived so long, its earlier deaths are forgotten.
        grace_s: from TERM to KILL when it is stopped.
    """

    restarts: int = 5
    backoff_s: float = 1.0
    backoff_limit_s: float = 30.0
    steady_s: float = 60.0
    grace_s: float = 10.0


class ServiceProcess:
    """One service of ours, for many threads. Nothing is started before `serving` is entered.

    Args:
        launch: how it is started.
        logs: folder for its log, ``{name}.log``; everything it prints is there.
        patience: how often it is started again.
    """

    def __init__(self, launch: Launch, logs: Path, patience: Patience | None = None) -> None:
        self.launch = launch
        self.log = logs / f"{launch.name}.log"
        self._token = secrets.token_urlsafe(24)
        self.starts = 0
        self._patience = patience or Patience()
        self._reserved = _reserve_port()
        self.port: int = self._reserved.getsockname()[1]
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_since = 0.0
        self._deaths = 0
        self._given_up = ""

    @property
    def url(self) -> str:
        """Its address, with the version part; known before it is started."""
        return f"http://{_LOOPBACK}:{self.port}/v1"

    @property
    def token(self) -> str:
        """What it must be shown with every call."""
        return self._token

    @property
    def pid(self) -> int | None:
        """The supervisor's process, which leads the service's group; None while nothing runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @contextmanager
    def serving(self) -> Iterator[None]:
        """For the time of one call: start the service if it does not run, again if it has died.

        Raises:
            ServiceUnavailable: if it does not come up; with the last lines of its log.
            MissingRequirement: if there is no such program.
        """
        with self._lock:
            if self._closing.is_set():
                raise ServiceUnavailable(f"the {self.launch.name} service was stopped")
            if self._given_up:
                raise ServiceUnavailable(self._given_up)
            while self.pid is None:
                self._start()
        yield

    def suspect(self) -> None:
        """A call failed: see whether the service is well; one that hangs is ended."""
        with self._lock:
            if self.pid is not None and not self._is_well(_PROBE_S):
                _log.warning("the %s service hangs: ended", self.launch.name)
                self._end()
                self._note_death()

    def order(self, path: str) -> bool:
        """Have a running service do something with itself (sleep, wake); whether it did."""
        return self.pid is not None and self._asked("POST", path, _ORDER_S)

    def halt(self) -> None:
        """End it for now, all its memory given back; the next call starts it again."""
        with self._lock:
            self._end()

    def close(self) -> None:
        """End it for good, its whole process group, and free the port. Harmless twice."""
        self._closing.set()
        with self._lock:
            self._end()
            self._reserved.close()

    def _start(self) -> None:
        """Start it once, and wait until it is ready; the lock is held."""
        if self._process is not None:
            self._end()
            self._note_death()
        if self._given_up:
            raise ServiceUnavailable(self._given_up)
        self._closing.wait(self._backoff_s())
        log = self._open_log()
        with log:
            self._process = self._spawn(log)
            start = log.tell()
        self.starts += 1
        fault = self._await_ready(self._process)
        if fault is None:
            self._ready_since = time.monotonic()
            return
        killed = _was_killed(self._process)
        self._end()
        told = f"the {self.launch.name} service {fault}; {self._last_words(start)}"
        if (self.starts == 1 and not killed) or self._closing.is_set():
            self._given_up = told
            raise ServiceUnavailable(told)
        self._note_death(told)

    def _note_death(self, told: str = "") -> None:
        """Count a death; after too many in a row the service is given up."""
        lived_s = time.monotonic() - self._ready_since
        if self._ready_since and lived_s >= self._patience.steady_s:
            self._deaths = 0
        self._deaths += 1
        self._ready_since = 0.0
        _log.warning("the %s service died (%d in a row)", self.launch.name, self._deaths)
        if self._deaths > self._patience.restarts:
            told = told or self._last_words(0)
            self._given_up = (
                f"the {self.launch.name} service died {self._deaths} times in a row and is not "
                f"started again in this run; {told}"
            )

    def _backoff_s(self) -> float:
        if not self._deaths:
            return 0.0
        pause_s = self._patience.backoff_s * 2.0 ** (self._deaths - 1)
        return min(pause_s, self._patience.backoff_limit_s)

    def _open_log(self) -> BinaryIO:
        with named_disk_errors(self.log.parent):
            self.log.parent.mkdir(parents=True, exist_ok=True)
            full = self.log.is_file() and self.log.stat().st_size > _FULL_LOG_BYTES
            log = self.log.open("wb" if full else "ab")
            told = f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(self._command())}\n"
            log.write(told.encode(errors="replace"))
            log.flush()
        return log

    def _command(self) -> list[str]:
        return [part.replace(PORT, str(self.port)) for part in self.launch.command]

    def _spawn(self, log: BinaryIO) -> subprocess.Popen[bytes]:
        token = {self.launch.token_variable: self._token} if self.launch.token_variable else {}
        held = [sys.executable, "-I", "-S", supervisor.__file__, str(self._patience.grace_s)]
        try:
            return subprocess.Popen(
                [*held, *self._command()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.launch.environment, **token},
                start_new_session=True,
            )
        except OSError as error:
            raise MissingRequirement(
                f"the {self.launch.name} service cannot be started: {error}"
            ) from error

    def _await_ready(self, process: subprocess.Popen[bytes]) -> str | None:
        """Wait until it is well; what is wrong if it will not be."""
        end = time.monotonic() + self.launch.deadline_s
        while time.monotonic() < end:
            if self._closing.wait(_LOOK_S):
                return "was stopped while it started"
            if process.poll() is not None:
                return f"ended while it started (status {process.returncode})"
            if self._is_well(min(_PROBE_S, self.launch.deadline_s)):
                return None
        return f"was not ready after {self.launch.deadline_s:.0f} s"

    def _is_well(self, timeout_s: float) -> bool:
        return self._asked("GET", self.launch.health, timeout_s)

    def _asked(self, method: str, path: str, timeout_s: float) -> bool:
        """Whether it answers 200."""
        asked = HTTPConnection(_LOOPBACK, self.port, timeout=timeout_s)
        headers = {"Authorization": f"Bearer {self._token}", "Connection": "close"}
        headers |= {"Content-Length": "0"} if method == "POST" else {}
        try:
            asked.request(method, path, headers=headers)
            return asked.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            asked.close()

    def _end(self) -> None:
        """Tell the supervisor to end everything, and wait for it; the lock is held."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(self._patience.grace_s + 10.0)
        if process.returncode != 0:
            # The supervisor was killed, or hangs: what is left of its group has no one else.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _last_words(self, start: int) -> str:
        with suppress(OSError), self.log.open("rb") as log:
            log.seek(max(start, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
            if lines:
                return f"the end of {self.log}:\n" + "\n".join(f"  | {line}" for line in lines)
        return f"its log {self.log} is empty"


def _was_killed(process: subprocess.Popen[bytes]) -> bool:
    """Whether a service was ended by a signal (the kernel, short of memory), not by itself."""
    status = process.poll()
    return status is not None and (status < 0 or status > _SIGNALLED)


def _reserve_port() -> socket.socket:
    """A free port that nobody else is given; the service may bind it all the same."""
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind((_LOOPBACK, 0))
    return reserved
