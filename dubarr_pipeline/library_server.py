"""What `dubarr serve library` does: Dagster's three processes, kept alive until somebody stops it.

It takes two processes of our own, because either may be killed: this command, and the keeper below
it, which starts the three. Each sees the other's end, and then ends everything that is left.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dubarr_pipeline.errors import WorkspaceError
from dubarr_pipeline.home import dagster_home
from dubarr_pipeline.services import keeper, supervisor
from dubarr_pipeline.workdir import check_writable, named_disk_errors, write_text

if TYPE_CHECKING:
    from dubarr_pipeline.settings import Settings

_DEFINITIONS = "dubarr_pipeline.definitions"
"""The code location is called as in `workspace.yaml`: its sensors keep their switches."""
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_LONGEST_ROOT = 80
"""Bytes; a socket's path has at most 107, and ours adds 21."""
_PROBE_S = 2.0
_PAUSE_S = 5.0
_GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Door:
    """Where the webserver listens.

    Attributes:
        host: address, or name of one.
        port: 1 to 65535.
    """

    host: str = "127.0.0.1"
    port: int = 3000

    @property
    def reached_at(self) -> str:
        """A host by which this machine itself reaches it."""
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return self.host or "127.0.0.1"
        if not address.is_unspecified:
            return self.host
        return "::1" if address.version == 6 else "127.0.0.1"

    @property
    def url(self) -> str:
        """Its address, for people."""
        host = f"[{self.reached_at}]" if ":" in self.reached_at else self.reached_at
        return f"http://{host}:{self.port}"


def serve_library(settings: Settings, door: Door) -> None:
    """Keep webserver, daemon and code server alive until SIGTERM or Ctrl-C.

    Raises:
        WorkspaceError: if another one serves the store, or the port is not to be had.
        NotWritable, DiskFull, SettingsError: if the store cannot be used.
    """
    check_writable(settings.work_dir)
    home = dagster_home(settings.work_dir)
    with _alone(home) as lock:
        _check_port(door)
        if door.host not in _LOOPBACK:
            _tell(
                f"{door.host} can be reached from elsewhere, and knows no login: docs/webserver.md"
            )
        supervisor.adopt_orphans()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            while True:
                _keep_once(door, lock)
                time.sleep(_PAUSE_S)
        _tell("ended")


def serving_folder(home: Path) -> Path:
    """Where the logs of the processes are, and what they share.

    Never in ``logs``: Dagster's webserver sends all that it finds there to Dagster's makers, even
    with its telemetry switched off (1.13.27, `dagster/_core/telemetry_upload.py`).
    """
    return home / "serving"


def _keep_once(door: Door, lock: IO[str]) -> None:
    """Have a keeper at work; returns if it ends unasked. Raises `KeyboardInterrupt` when stopped.

    It has a session of its own, so that Ctrl-C on a terminal reaches this process alone.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, door.host, str(door.port)],
        stdin=subprocess.PIPE,
        start_new_session=True,
        pass_fds=(lock.fileno(),),
    )
    try:
        status = process.wait()
        _tell(f"the keeper of the processes ended (status {status}): all of it is started again")
    except KeyboardInterrupt:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _tell("stopping: runs in flight go on after the next start")
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
        raise
    finally:
        supervisor.end_all(_GRACE_S)


@contextmanager
def _alone(home: Path) -> Iterator[IO[str]]:
    """Hold the store as its only server; the hold ends with the last of our processes."""
    folder = serving_folder(home)
    with named_disk_errors(folder):
        folder.mkdir(exist_ok=True)
        lock = (folder / ".lock").open("a+", encoding="utf-8")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise WorkspaceError(
                f"another `dubarr serve library` (process {lock.read().strip() or 'unknown'}) "
                f"serves {home}, or is just ending: stop it first, or choose another --work-dir"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield lock


def _check_port(door: Door) -> None:
    try:
        found = socket.getaddrinfo(door.host or None, door.port, type=socket.SOCK_STREAM)
        family, kind, _, _, address = found[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            trial.listen()
    except OSError as error:
        raise WorkspaceError(
            f"port {door.port} of {door.host}: {error.strerror}; choose another by --host or "
            f"--port, or end what listens there (`ss -ltnp 'sport = :{door.port}'` names it)"
        ) from error


def library_parts(home: Path, sockets: Path, door: Door) -> list[keeper.Part]:
    """Dagster's three processes; the code server first.

    Args:
        home: ``$DAGSTER_HOME``; the workspace file is written below it.
        sockets: a private folder of a short name: a socket's path has at most 108 bytes.
        door: where the webserver listens.
    """
    code = sockets / "code"
    server = {"socket": str(code), "location_name": _DEFINITIONS}
    workspace = serving_folder(home) / "workspace.yaml"
    write_text(workspace, json.dumps({"load_from": [{"grpc_server": server}]}, indent=1) + "\n")
    run = (sys.executable, "-m")
    grpc = (*run, "dagster", "api", "grpc", "--socket", str(code), "--module-name", _DEFINITIONS)
    where = ("-w", str(workspace))
    web = (*run, "dagster_webserver", "-h", door.host, "-p", str(door.port), *where)
    return [
        keeper.Part(
            "code server", (*grpc, "--location-name", _DEFINITIONS), lambda: _listens(code)
        ),
        keeper.Part("webserver", web, lambda: _answers(door), door.url),
        keeper.Part("daemon", (*run, "dagster._daemon", "run", *where), lambda: True),
    ]


def socket_root() -> str:
    """Where the folder of the socket is made: systemd's for us, the usual one, or a short one."""
    folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) <= _LONGEST_ROOT else "/tmp"


def _listens(path: Path) -> bool:
    """Whether the code server has loaded its code: only then does it listen."""
    with socket.socket(socket.AF_UNIX) as trial:
        trial.settimeout(_PROBE_S)
        try:
            trial.connect(str(path))
        except OSError:
            return False
    return True


def _answers(door: Door) -> bool:
    asked = HTTPConnection(door.reached_at, door.port, timeout=_PROBE_S)
    try:
        asked.request("GET", "/server_info")
        return asked.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        asked.close()


def _keep(door: Door) -> None:
    """Be the keeper, until the command closes our standard input or is no more."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    home = Path(os.environ["DAGSTER_HOME"])
    with tempfile.TemporaryDirectory(prefix="dubarr-", dir=socket_root()) as sockets:
        parts = library_parts(home, Path(sockets), door)
        keeper.Keeper(parts, serving_folder(home), _tell).keep(sys.stdin.fileno())


def _tell(line: str) -> None:
    """Write a line for people; they may have gone."""
    with suppress(OSError):
        sys.stdout.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _keep(Door(sys.argv[1], int(sys.argv[2])))
