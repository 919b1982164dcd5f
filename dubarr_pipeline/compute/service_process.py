"""A service that we start ourselves, with its first request, and watch until it is closed.

How its port stays reserved, and why nothing of it survives a killed run:
`docs/decisions/0013-services.md`.
"""

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

from dubarr_pipeline.compute import subreaper
from dubarr_pipeline.compute.backoff import RestartPolicy, Restarts
from dubarr_pipeline.compute.process_log import ProcessLog
from dubarr_pipeline.errors import MissingRequirement, ServiceUnavailable
from dubarr_pipeline.files import named_disk_errors

_log = logging.getLogger(__name__)

PORT = "{port}"
"""Placeholder of the port in a command."""
_LOOPBACK = "127.0.0.1"
_POLL_S = 0.1
_PROBE_S = 5.0
"""A service that does not answer its health check within this time hangs."""
_REQUEST_S = 120.0
"""Long enough to move weights of tens of gigabytes."""
_SIGNALLED = 128
"""Statuses above this name the signal that ended a program, as in shells and `subreaper`."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Command and conditions of a service's start.

    Attributes:
        command: program and arguments; ``{port}`` stands for the port.
        environment: variables in addition to ours.
        token_variable: environment variable that passes its token; empty if it takes none.
        health: path that answers 200 once the service is ready.
        deadline_s: longest wait until it is ready; large models load for minutes.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    token_variable: str = ""
    health: str = "/health"
    deadline_s: float = 600.0


class ServiceProcess:
    """A service process, for many threads; it starts when `serving` is first entered.

    Everything that it prints is in ``{name}.log``; every call must send its `token`.
    """

    def __init__(self, launch: Launch, logs: Path, policy: RestartPolicy | None = None) -> None:
        self.launch = launch
        self.log = logs / f"{launch.name}.log"
        self._output = ProcessLog(self.log)
        self.token = secrets.token_urlsafe(24)
        self.starts = 0
        self._policy = policy or RestartPolicy()
        self._restarts = Restarts(self._policy)
        # Bound, but never listening: the service binds it too, and nobody else gets it.
        self._reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind((_LOOPBACK, 0))
        self.port: int = self._reserved.getsockname()[1]
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_since = 0.0
        self._given_up = ""

    @property
    def url(self) -> str:
        """Base address with the version part; known before it is started."""
        return f"http://{_LOOPBACK}:{self.port}/v1"

    @property
    def pid(self) -> int | None:
        """Id of the subreaper's process, which leads the group; None while nothing runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Keep the service running for one call: start it if it does not run or has died.

        Raises:
            ServiceUnavailable: if it does not come up; with the last lines of its log.
            MissingRequirement: if its program is not installed.
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
        """Check the service after a call has failed, and end it if it hangs."""
        with self._lock:
            if self.pid is not None and not self._is_healthy(_PROBE_S):
                _log.warning("the %s service hangs: ended", self.launch.name)
                self._end()
                self._note_death()

    def post(self, path: str) -> bool:
        """Send a command (sleep, wake) to a running service; return whether it succeeded."""
        return self.pid is not None and self._answers("POST", path, _REQUEST_S)

    def halt(self) -> None:
        """End it for now, which frees all its memory; the next call restarts it."""
        with self._lock:
            self._end()

    def close(self) -> None:
        """End it and its process group for good, and free the port. Safe to call twice."""
        self._closing.set()
        with self._lock:
            self._end()
            self._reserved.close()

    def _start(self) -> None:
        """Start it once, and wait until it is ready. The caller holds the lock."""
        if self._process is not None:
            self._end()
            self._note_death()
        if self._given_up:
            raise ServiceUnavailable(self._given_up)
        self._closing.wait(self._restarts.pause_s)
        head = f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(self._command())}"
        with named_disk_errors(self.log.parent):
            log = self._output.open(head)
        with log:
            self._process = self._spawn(log)
        self.starts += 1
        fault = self._await_ready(self._process)
        if fault is None:
            self._ready_since = time.monotonic()
            return
        # A signal is no verdict on the service: the kernel kills what needs too much memory.
        status = self._process.poll()
        killed = status is not None and (status < 0 or status > _SIGNALLED)
        self._end()
        message = f"the {self.launch.name} service {fault}; {self._output.tail()}"
        if (self.starts == 1 and not killed) or self._closing.is_set():
            self._given_up = message
            raise ServiceUnavailable(message)
        self._note_death(message)

    def _note_death(self, message: str = "") -> None:
        """Count a death, and give the service up after too many in a row."""
        self._restarts.note_death(time.monotonic() - self._ready_since if self._ready_since else 0)
        self._ready_since = 0.0
        deaths = self._restarts.deaths
        _log.warning("the %s service died (%d in a row)", self.launch.name, deaths)
        if self._restarts.exhausted:
            self._given_up = (
                f"the {self.launch.name} service died {deaths} times in a row and is not "
                f"restarted in this run; {message or self._output.tail()}"
            )

    def _command(self) -> list[str]:
        return [part.replace(PORT, str(self.port)) for part in self.launch.command]

    def _spawn(self, log: BinaryIO) -> subprocess.Popen[bytes]:
        token = {self.launch.token_variable: self.token} if self.launch.token_variable else {}
        subreaping = [sys.executable, "-I", "-S", subreaper.__file__, str(self._policy.grace_s)]
        try:
            return subprocess.Popen(
                [*subreaping, *self._command()],
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
        """Wait until it is healthy; return what is wrong if it will not be."""
        end = time.monotonic() + self.launch.deadline_s
        while time.monotonic() < end:
            if self._closing.wait(_POLL_S):
                return "was stopped while it started"
            if process.poll() is not None:
                return f"ended while it started (status {process.returncode})"
            if self._is_healthy(min(_PROBE_S, self.launch.deadline_s)):
                return None
        return f"was not ready after {self.launch.deadline_s:.0f} s"

    def _is_healthy(self, timeout_s: float) -> bool:
        return self._answers("GET", self.launch.health, timeout_s)

    def _answers(self, method: str, path: str, timeout_s: float) -> bool:
        """Return whether it answers a request with 200."""
        connection = HTTPConnection(_LOOPBACK, self.port, timeout=timeout_s)
        headers = {"Authorization": f"Bearer {self.token}", "Connection": "close"}
        headers |= {"Content-Length": "0"} if method == "POST" else {}
        try:
            connection.request(method, path, headers=headers)
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def _end(self) -> None:
        """Have the subreaper end everything, and wait for it. The caller holds the lock."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(self._policy.grace_s + 10.0)
        if process.returncode != 0:
            # The subreaper was killed, or hangs: it will not end what is left of its group.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
