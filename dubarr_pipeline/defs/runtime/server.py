"""Server of `dubarr serve library`: Dagster's three processes, kept alive until it is stopped.

The review page and the receiver of webhooks run with them. All this
takes two processes more, because either may be killed: this command, and the supervisor below it,
which starts the others. Each notices the other's end, and then ends everything left.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

from dubarr_pipeline.compute import subreaper
from dubarr_pipeline.compute.json_lines import log_as_asked, logs_json
from dubarr_pipeline.config.options import (
    RUNNING_RECEIVER,
    RUNNING_REVIEW,
    ReviewOptions,
    WebhookOptions,
)
from dubarr_pipeline.defs.runtime.home import dagster_home, serving_folder
from dubarr_pipeline.defs.runtime.process_supervisor import ProcessSupervisor, Program
from dubarr_pipeline.errors import WorkspaceError
from dubarr_pipeline.files import check_writable, named_disk_errors, write_text
from dubarr_pipeline.services.bearer_auth import OPEN_PATH

if TYPE_CHECKING:
    from dubarr_pipeline.config.settings import Settings

# The supervisor is this module as `__main__`, below which no logger of ours would be.
_log = logging.getLogger(__spec__.name)

WEBHOOKS, REVIEW = "webhooks", "review"
"""Sections of the settings and commands of `dubarr serve`, of our own servers."""
_CALLED = {WEBHOOKS: "webhook receiver", REVIEW: "review page"}
_DEFINITIONS = "dubarr_pipeline.definitions"
_WEBSERVER = "dubarr_pipeline.defs.runtime.report_pages"
"""Name of the code location as in `workspace.yaml`, so that its sensors keep their switches."""
_LOGGED = "dubarr_pipeline.defs.operations.logged_program"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_LONGEST_ROOT = 80
"""Bytes; a socket's path has at most 107, and ours adds 21."""
_PROBE_S = 2.0
_PAUSE_S = 5.0
_GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Address on which a server of ours listens."""

    host: str = "127.0.0.1"
    port: int = 3000

    @property
    def reached_at(self) -> str:
        """Host by which this machine itself reaches it."""
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return self.host or "127.0.0.1"
        if not address.is_unspecified:
            return self.host
        return "::1" if address.version == 6 else "127.0.0.1"

    @property
    def url(self) -> str:
        """Its URL, for people."""
        host = f"[{self.reached_at}]" if ":" in self.reached_at else self.reached_at
        return f"http://{host}:{self.port}"


def serve_library(settings: Settings, address: WebAddress) -> None:
    """Keep Dagster's processes and our own servers alive until SIGTERM or Ctrl-C.

    Raises:
        WorkspaceError: if another server uses the store, or the port is not free.
        NotWritable, DiskFull, SettingsError: if the store cannot be used; an older one is migrated.
    """
    check_writable(settings.work_dir)
    home = dagster_home(settings.work_dir)
    # Dagster's processes know their store and our settings by the environment alone.
    environment: dict[str, str] = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "DUBARR_WORK_DIR": str(settings.work_dir),
        "DUBARR_CONFIG": str(settings.config_file or ""),
    }
    with _alone(home) as lock:
        _check_port(address)
        # Here, because the supervisor, which this module is as well, does without Dagster.
        from dubarr_pipeline.defs.operations.store_version import bring_tables_up_to_date
        from dubarr_pipeline.defs.runtime.liveness import take_up_lost_runs
        from dubarr_pipeline.defs.runtime.runs import open_instance

        with open_instance(settings.work_dir) as instance:
            bring_tables_up_to_date(instance, home)
            if lost := take_up_lost_runs(instance):
                _print(f"runs that lost their process go on: {', '.join(lost)}")
        others = dict(_other_addresses(settings))
        if REVIEW in others and others[REVIEW].port:
            environment[RUNNING_REVIEW] = settings.review.address or others[REVIEW].url
        if settings.webhooks.port:
            environment[RUNNING_RECEIVER] = others[WEBHOOKS].url if WEBHOOKS in others else ""
        if address.host not in _LOOPBACK:
            _print(
                f"{address.host} can be reached from elsewhere, and has no login: docs/webserver.md"
            )
        subreaper.adopt_orphans()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            while True:
                _supervise_once(address, others, lock, environment)
                time.sleep(_PAUSE_S)
        _print("ended")


def _other_addresses(settings: Settings) -> Iterator[tuple[str, WebAddress]]:
    """Yield the receiver of webhooks and the review page with their addresses.

    One whose port is taken is left out, and that is said.
    """
    options: dict[str, ReviewOptions | WebhookOptions]
    options = {REVIEW: settings.review, WEBHOOKS: settings.webhooks}
    for name, each in options.items():
        address = WebAddress(each.host, each.port)
        try:
            _check_port(address, f"{name}.host and {name}.port")
        except WorkspaceError as error:
            _print(f"no {_CALLED[name]} here: {error}")
        else:
            yield name, address


def _supervise_once(
    address: WebAddress,
    others: Mapping[str, WebAddress],
    lock: IO[str],
    environment: Mapping[str, str],
) -> None:
    """Run a supervisor; return if it dies. Raises `KeyboardInterrupt` when stopped.

    It has a session of its own, so that Ctrl-C on a terminal reaches this process alone.
    """
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", __name__, address.host, str(address.port)),
            *(part for name, at in others.items() for part in (name, at.host, str(at.port))),
        ],
        stdin=subprocess.PIPE,
        start_new_session=True,
        pass_fds=(lock.fileno(),),
        env=environment,
    )
    try:
        status = process.wait()
        _print(f"the supervisor ended (status {status}): restarting everything")
    except KeyboardInterrupt:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _print("stopping: runs in flight continue after the next start")
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
        raise
    finally:
        subreaper.end_all(_GRACE_S)


@contextmanager
def _alone(home: Path) -> Iterator[IO[str]]:
    """Lock the store for one server; the lock ends with the last of our processes."""
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
                f"serves {home}, or is still ending: stop it first, or choose another --work-dir"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield lock


def _check_port(address: WebAddress, options: str = "--host or --port") -> None:
    try:
        choices = socket.getaddrinfo(address.host or None, address.port, type=socket.SOCK_STREAM)
        family, kind, _, _, endpoint = choices[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(endpoint)
            trial.listen()
    except OSError as error:
        raise WorkspaceError(
            f"port {address.port} of {address.host}: {error.strerror}; choose another by "
            f"{options}, or end what listens there (`ss -ltnp 'sport = :{address.port}'` names it)"
        ) from error


def library_programs(
    home: Path,
    sockets: Path,
    address: WebAddress,
    others: Mapping[str, WebAddress] = MappingProxyType({}),
) -> list[Program]:
    """Return Dagster's three programs, the code server first, and our own servers beside them.

    The workspace file is written below `home`. `sockets` is a private folder of a short name: a
    socket's path has at most 108 bytes.
    """
    code = sockets / "code"
    server = {"socket": str(code), "location_name": _DEFINITIONS}
    workspace = serving_folder(home) / "workspace.yaml"
    write_text(workspace, json.dumps({"load_from": [{"grpc_server": server}]}, indent=1) + "\n")
    run = (sys.executable, "-m", *((_LOGGED,) if logs_json() else ()))
    grpc = (*run, "dagster", "api", "grpc", "--socket", str(code), "--module-name", _DEFINITIONS)
    where = ("-w", str(workspace))
    web = (sys.executable, "-m", _WEBSERVER, "-h", address.host, "-p", str(address.port), *where)
    return [
        Program("code server", (*grpc, "--location-name", _DEFINITIONS), lambda: _listens(code)),
        Program("webserver", web, lambda: _answers(address), address.url),
        Program("daemon", (*run, "dagster._daemon", "run", *where), lambda: True),
        *(own_program(name, each) for name, each in others.items()),
    ]


def own_program(name: str, address: WebAddress) -> Program:
    """Return one of our own servers, which reads its address from the settings."""
    command = (sys.executable, "-m", "dubarr_pipeline.cli.main", "serve", name)
    is_ready = partial(_answers, address, OPEN_PATH) if address.port else lambda: True
    page = "/review/" if name == REVIEW else ""
    return Program(_CALLED[name], command, is_ready, f"{address.url}{page}")


def socket_root() -> str:
    """Return the parent of the socket's folder: systemd's, the usual one, or a short one."""
    folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) <= _LONGEST_ROOT else "/tmp"


def _listens(path: Path) -> bool:
    """Return whether the code server has loaded its code: only then does it listen."""
    with socket.socket(socket.AF_UNIX) as trial:
        trial.settimeout(_PROBE_S)
        return trial.connect_ex(str(path)) == 0


def _answers(address: WebAddress, path: str = "/server_info") -> bool:
    connection = HTTPConnection(address.reached_at, address.port, timeout=_PROBE_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _supervise(address: WebAddress, others: Mapping[str, WebAddress]) -> None:
    """Supervise until the command closes our standard input or is gone."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    home = Path(os.environ["DAGSTER_HOME"])
    with tempfile.TemporaryDirectory(prefix="dubarr-", dir=socket_root()) as sockets:
        programs = library_programs(home, Path(sockets), address, others)
        ProcessSupervisor(programs, serving_folder(home), _print).run(sys.stdin.fileno())


def _print(line: str) -> None:
    """Print a line for people, or log it as JSON; the terminal may be gone."""
    if logs_json():
        _log.info("%s", line)
        return
    with suppress(OSError):
        sys.stdout.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    log_as_asked()
    _web, _port, *_more = sys.argv[1:]
    _named = zip(_more[::3], _more[1::3], _more[2::3], strict=True)
    _supervise(WebAddress(_web, int(_port)), {n: WebAddress(h, int(p)) for n, h, p in _named})
