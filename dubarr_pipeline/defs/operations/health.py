"""Health of an installation: what must be true so that a library dubs itself."""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import dagster as dg
import yaml
from dagster._grpc.client import DagsterGrpcClient
from dagster_shared.error import SerializableErrorInfo
from dagster_shared.serdes import deserialize_value

from dubarr_pipeline.config.live_settings import LiveSettings
from dubarr_pipeline.config.options import RUNNING_RECEIVER
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.operations.watch import KeptAnswer
from dubarr_pipeline.defs.runtime.home import dagster_home, serving_folder
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.errors import DiskFull, DubbingError
from dubarr_pipeline.files import check_writable
from dubarr_pipeline.services.bearer_auth import OPEN_PATH
from dubarr_pipeline.services.monitoring import HealthCheck

_AGE_S = 5.0
"""Seconds for which a check's outcome is kept."""
_MOST_S = 10.0
"""Seconds after which a check that has no outcome is a fault."""
_DAEMON_S = 90.0
"""Seconds without a sign of the daemon after which it is dead; it gives one every 30 s."""
_THREAD_S = 900.0
"""Seconds without a sign of one of its threads, whose work may take minutes."""
_PROBE_S = 3.0
_GB = 1e9
_ELSEWHERE = "elsewhere"
"""Answer of a check whose subject this installation does not keep: it tells of its own health."""


class HealthChecks:
    """All checks of an installation; each is bounded, so that one that hangs is named as well.

    Args:
        live: the settings.
        clock: returns seconds since 1970.
    """

    def __init__(self, live: LiveSettings, clock: Callable[[], float] = time.time) -> None:
        self._live, self._clock = live, clock
        faults: Mapping[str, Callable[[], str]] = {
            "store and daemon": self._daemon,
            "code server": self._code_server,
            "work folder": self._work_folder,
            "webhook receiver": self._receiver,
        }
        self._checks = {
            name: KeptAnswer(partial(_words, fault), _AGE_S, _MOST_S)
            for name, fault in faults.items()
        }

    def run(self) -> tuple[HealthCheck, ...]:
        """Return the outcome of every check that has something to look at."""
        for check in self._checks.values():
            check.begin()
        found = {name: _words(check.get) for name, check in self._checks.items()}
        return tuple(HealthCheck(*each) for each in found.items() if each[1] != _ELSEWHERE)

    def _daemon(self) -> str:
        """Return what is wrong with the store, or with the daemon, whose signs lie in it."""
        with open_instance(self._settings().work_dir) as instance:
            return daemon_fault(instance, self._clock())

    def _code_server(self) -> str:
        workspace = serving_folder(dagster_home(self._settings().work_dir)) / "workspace.yaml"
        if not workspace.is_file():
            return _ELSEWHERE
        loaded = yaml.safe_load(workspace.read_text("utf-8"))
        servers = [each["grpc_server"] for each in loaded["load_from"] if "grpc_server" in each]
        return "; ".join(filter(None, map(_code_fault, servers)))

    def _work_folder(self) -> str:
        settings = self._settings()
        check_writable(settings.work_dir)
        free_gb = shutil.disk_usage(settings.work_dir).free / _GB
        if free_gb < settings.disk.least_free_gb:
            raise DiskFull(
                f"{free_gb:.2f} GB are free for {settings.work_dir}, less than "
                f"disk.least_free_gb = {settings.disk.least_free_gb:g}: free some"
            )
        return ""

    def _receiver(self) -> str:
        """Return what is wrong with the receiver that `dubarr serve library` keeps beside us."""
        address = os.environ.get(RUNNING_RECEIVER)
        if address is None or not self._settings().libraries:
            return _ELSEWHERE
        if not address:
            return "it was not started: its port was taken (the output of `dubarr serve library`)"
        return "" if _answers(address) else f"{address} does not answer"

    def _settings(self) -> Settings:
        return self._live.current()


def daemon_fault(instance: dg.DagsterInstance, now_s: float) -> str:
    """Return what is wrong with the daemon of a store by its signs of life; empty: nothing.

    Dagster's own check of it says "live" for 30 minutes after its end.
    """
    signs = instance.get_daemon_heartbeats()
    ages = {
        kind: now_s - signs[kind].timestamp
        for kind in instance.get_required_daemon_types()
        if kind in signs
    }
    if not ages:
        return "no daemon has ever given a sign of life: start `dubarr serve library`"
    if (newest_s := min(ages.values())) > _DAEMON_S:
        return f"no sign of life of the daemon for {newest_s:.0f} s: start it again"
    hung = [f"{kind} ({age_s:.0f} s)" for kind, age_s in ages.items() if age_s > _THREAD_S]
    return f"threads of the daemon give no sign of life: {', '.join(hung)}" if hung else ""


def _code_fault(server: Mapping[str, object]) -> str:
    """Return what is wrong with a code server, as a workspace file names it."""
    socket, port = server.get("socket"), server.get("port")
    name = str(server.get("location_name") or socket or port)
    client = DagsterGrpcClient(
        port=int(str(port)) if port else None,
        socket=str(socket) if socket else None,
        host=str(server.get("host") or "localhost"),
    )
    try:
        found = deserialize_value(client.list_repositories())
    # Dagster's wraps whatever its transport raises.
    except dg.DagsterError as error:
        return f"{name} does not answer ({type(error).__name__})"
    if isinstance(found, SerializableErrorInfo):
        return f"{name} cannot load the code: {found.message.strip()}"
    return ""


def _answers(address: str) -> bool:
    parts = urlsplit(address)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_PROBE_S)
    try:
        connection.request("GET", OPEN_PATH)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _words(fault: Callable[[], str]) -> str:
    """Return what a check finds, or what it fails with."""
    try:
        return fault()
    except DubbingError as error:
        return str(error)
    # A check that cannot be made, for whatever reason, is a fault; health must be answered.
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
