"""A real Dagster server for tests: webserver, daemon and code server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import dubarr_pipeline

ROOT = Path(dubarr_pipeline.__file__).resolve().parents[1]
DEADLINE_S = 600.0
_Found = TypeVar("_Found")


class Server:
    """`dagster dev` on loopback, with its store and work folder below one folder.

    Attributes:
        config: the settings file, or None.
        supervised: it is `dubarr serve library` instead.
    """

    def __init__(
        self, folder: Path, config: Path | None = None, *, supervised: bool = False
    ) -> None:
        self.work_dir = folder
        self.config = config
        self.supervised = supervised
        self.home = folder / ".dagster"
        self.home.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "dubarr_pipeline" / "dagster.yaml", self.home)
        self.log = folder / "server.log"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def environment(self) -> dict[str, str]:
        """What every process of this server sees; `DAGSTER_HOME` also tells them apart."""
        own = {"DAGSTER_HOME": str(self.home), "DUBARR_WORK_DIR": str(self.work_dir)}
        if self.config:
            own["DUBARR_CONFIG"] = str(self.config)
        return {**{k: v for k, v in os.environ.items() if k != "DUBARR_CONFIG"}, **own}

    def start(self) -> None:
        """Start it, and wait until it answers with the definitions loaded."""
        self.port = free_port()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=ROOT,
                env=self.environment(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.wait(self._is_ready, "the server answers")

    def command(self) -> list[str]:
        """How it is started."""
        if self.supervised:
            dubarr = str(Path(sys.executable).with_name("dubarr"))
            return [dubarr, "serve", "library", "--port", str(self.port)]
        return [sys.executable, "-c", _DAGSTER, "dev", "-h", "127.0.0.1", "-p", str(self.port)]

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended: {self.words()}"
        try:
            found = self.ask(
                "{ repositoriesOrError { ... on RepositoryConnection { nodes { id } } } }"
            )
        except urllib.error.HTTPError:
            raise
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        assert found["repositoriesOrError"].get("nodes"), self.words()
        return True

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask in GraphQL; an error in the answer is an error here."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            document = json.load(answer)
        assert "errors" not in document, document["errors"]
        return document["data"]

    def wait(self, found: Callable[[], _Found], what: str) -> _Found:
        """Ask again and again until something is found; the deadline is for broken code only."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            if thing := found():
                return thing
            time.sleep(0.2)
        raise AssertionError(f"waited in vain until {what}: {self.words()}")

    def words(self) -> str:
        """The end of the server's log."""
        return self.log.read_text(errors="replace")[-6000:]

    def processes(self) -> dict[int, str]:
        """All processes that were started by this server, and by what they started."""
        mark = f"DAGSTER_HOME={self.home}".encode()
        return {
            pid: command
            for pid in _all_pids()
            if pid != os.getpid() and (command := _command(pid, mark))
        }

    def interrupt(self) -> None:
        """Stop it as Ctrl-C does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(DEADLINE_S)

    def kill(self) -> None:
        """Kill all of it at once, as a crash of the machine does."""
        for pid in self.processes():
            _kill(pid)
        if self.process is not None:
            self.process.wait(DEADLINE_S)
        self.wait(lambda: not self.processes(), "all processes are dead")

    def launch(
        self, key: str, stages: Iterable[str] = (), tags: Mapping[str, str] | None = None
    ) -> str:
        """Launch stages (all) of a video, as a person does; returns the run, queued by then."""
        marks = {"dagster/partition": key, **(tags or {})}
        chosen = [{"path": ["dub", stage]} for stage in stages]
        launched = self.ask(
            _LAUNCH,
            run={
                "selector": {
                    **_REPOSITORY,
                    "jobName": "dub",
                    **({"assetSelection": chosen} if chosen else {}),
                },
                "executionMetadata": {
                    "tags": [{"key": name, "value": value} for name, value in marks.items()]
                },
            },
        )["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return launched["run"]["runId"]

    def terminate(self, run_id: str) -> None:
        """Cancel a run, as the button in the UI does."""
        found = self.ask(_TERMINATE, run=run_id)["terminateRun"]
        assert found["__typename"] == "TerminateRunSuccess", found

    def switch_on(self, sensor: str) -> None:
        """Start a sensor, as the switch in the UI does."""
        found = self.ask(_SENSOR, sensor={**_REPOSITORY, "sensorName": sensor})["startSensor"]
        assert found["__typename"] == "Sensor", found

    def limit_pool(self, pool: str, limit: int) -> None:
        """Let so many stages hold a pool at once."""
        self.ask(_POOL, pool=pool, limit=limit)

    def backfill_all(self, keys: Iterable[str], stages: Iterable[str]) -> str:
        """Materialize stages of videos by a backfill, and return that."""
        launched = self.ask(
            _BACKFILL,
            backfill={
                "partitionNames": [*keys],
                "assetSelection": [{"path": ["dub", stage]} for stage in stages],
            },
        )["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return launched["backfillId"]

    def backfill(self, key: str, stages: Iterable[str]) -> str:
        """Materialize stages of a video by a backfill; returns its run, once that is queued."""
        known = {run["runId"] for run in self.runs()}
        self.backfill_all([key], stages)
        return self.wait(
            lambda: next((r["runId"] for r in self.runs() if r["runId"] not in known), None),
            "the backfill has queued a run",
        )

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the newest first."""
        return self.ask(_RUNS)["runsOrError"]["results"]

    def run(self, run_id: str) -> dict[str, Any]:
        """One run: status, tags, and what its events say."""
        return self.ask(_RUN, run=run_id)["runOrError"]

    def finish(self, run_id: str) -> dict[str, Any]:
        """Wait for a run's end."""
        return self.wait(
            lambda: (run := self.run(run_id))["status"] in _ENDED and run, "the run has ended"
        )

    def stage(self, key: str, stage: str) -> Mapping[str, Any]:
        """A stage of a video: its last materialization, and its checks."""
        return self.ask(_ASSET, asset={"path": ["dub", stage]}, key=key)["assetNodeOrError"]


_DAGSTER = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("dagster", run_name="__main__", alter_sys=True)
"""
# A shell without job control lets what it starts ignore Ctrl-C; this must hear it.
_ENDED = ("SUCCESS", "FAILURE", "CANCELED")
_LAUNCH = """mutation ($run: ExecutionParams!) {
  launchRun(executionParams: $run) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
_BACKFILL = """mutation ($backfill: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfill) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
_TERMINATE = """mutation ($run: String!) {
  terminateRun(runId: $run, terminatePolicy: SAFE_TERMINATE) {
    __typename
    ... on TerminateRunFailure { message }
    ... on PythonError { message }
  }
}"""
_SENSOR = """mutation ($sensor: SensorSelector!) {
  startSensor(sensorSelector: $sensor) { __typename ... on PythonError { message } }
}"""
_POOL = """mutation ($pool: String!, $limit: Int!) {
  setConcurrencyLimit(concurrencyKey: $pool, limit: $limit)
}"""
_REPOSITORY = {
    "repositoryLocationName": "dubarr_pipeline.definitions",
    "repositoryName": "__repository__",
}
_RUNS = "{ runsOrError(limit: 500) { ... on Runs { results { runId status } } } }"
_RUN = """query ($run: ID!) {
  runOrError(runId: $run) {
    ... on Run {
      runId status tags { key value }
      eventConnection(limit: 1000) {
        events {
          __typename
          ... on MessageEvent { message stepKey }
          ... on ExecutionStepFailureEvent { failureMetadata { description } }
        }
      }
    }
  }
}"""
_ASSET = """query ($asset: AssetKeyInput!, $key: String!) {
  assetNodeOrError(assetKey: $asset) {
    ... on AssetNode {
      assetMaterializations(partitions: [$key], limit: 1) {
        runId
        metadataEntries {
          label
          ... on BoolMetadataEntry { boolValue }
          ... on TextMetadataEntry { text }
          ... on IntMetadataEntry { intRepr }
          ... on FloatMetadataEntry { floatValue }
        }
      }
      assetChecksOrError {
        ... on AssetChecks {
          checks {
            name
            executionForLatestMaterialization {
              status
              runId
              evaluation { success partition }
            }
          }
        }
      }
    }
  }
}"""


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _command(pid: int, mark: bytes) -> str | None:
    """What a process was started as, if the mark stands in its environment."""
    try:
        if mark not in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            return None
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return words.replace(b"\0", b" ").decode(errors="replace")


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
