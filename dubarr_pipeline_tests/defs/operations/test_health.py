from __future__ import annotations

import json
import shutil
import time
from collections import namedtuple
from pathlib import Path

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat

from dubarr_pipeline.config.live_settings import LiveSettings
from dubarr_pipeline.config.options import RUNNING_RECEIVER
from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline.defs.operations.health import HealthChecks, daemon_fault
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline_tests.fixtures.bench import write_config

NOW = 1_800_000_000.0


def beat(instance: dg.DagsterInstance, age_s: float, kinds: tuple[str, ...] = ()) -> None:
    """Let the daemon's threads, or some of them, have given a sign of life so long ago."""
    for kind in kinds or instance.get_required_daemon_types():
        instance.add_daemon_heartbeat(DaemonHeartbeat(NOW - age_s, kind, "an-id", errors=[]))


def test_the_daemon_is_known_by_its_signs_of_life():
    with dg.instance_for_test() as instance:
        assert "no daemon has ever" in daemon_fault(instance, NOW)
        for age_s, words in ((0, ""), (90, ""), (91, "no sign of life of the daemon for 91 s")):
            beat(instance, age_s)
            assert daemon_fault(instance, NOW).startswith(words)
            assert bool(daemon_fault(instance, NOW)) is bool(words)
        beat(instance, 10)
        beat(instance, 900, ("SENSOR",))
        assert daemon_fault(instance, NOW) == ""
        beat(instance, 901, ("SENSOR",))
        assert daemon_fault(instance, NOW).endswith("SENSOR (901 s)")
        # One that is not used any more leaves its last sign for ever.
        beat(instance, 10)
        beat(instance, 9999, ("OF_AN_EARLIER_VERSION",))
        assert daemon_fault(instance, NOW) == ""


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    (tmp_path / "films").mkdir()
    with open_instance(tmp_path / "work") as instance:
        beat(instance, 0)
    return tmp_path / "work"


def faults(work_dir: Path) -> dict[str, str]:
    tables = {"libraries.films": {"path": str(work_dir.parent / "films"), "target_langs": ["es"]}}
    config = write_config(work_dir.parent / "dubarr.toml", tables)
    checks = HealthChecks(LiveSettings(load_settings(config, work_dir)), lambda: NOW)
    return {each.name: each.fault for each in checks.run() if each.fault}


def test_each_thing_that_is_wrong_is_named(work_dir: Path, monkeypatch: pytest.MonkeyPatch):
    assert faults(work_dir) == {}
    serving = work_dir / ".dagster" / "serving"
    serving.mkdir()
    socket = {"grpc_server": {"socket": str(work_dir / "gone"), "location_name": "the.code"}}
    (serving / "workspace.yaml").write_text(json.dumps({"load_from": [socket]}))
    monkeypatch.setenv(RUNNING_RECEIVER, "http://127.0.0.1:9")
    usage = namedtuple("usage", "free")(5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    found = faults(work_dir)
    assert found.keys() == {"code server", "work folder", "webhook receiver"}
    assert found["code server"].startswith("the.code does not answer")
    assert "0.01 GB are free" in found["work folder"]
    assert found["webhook receiver"] == "http://127.0.0.1:9 does not answer"
    monkeypatch.setenv(RUNNING_RECEIVER, "")
    assert "its port was taken" in faults(work_dir)["webhook receiver"]


def test_what_runs_elsewhere_is_not_said_to_be_checked(work_dir: Path):
    """A code server of a cluster, whose own probe asks it."""
    checks = HealthChecks(LiveSettings(load_settings(None, work_dir)), lambda: NOW)
    assert [each.name for each in checks.run()] == ["store and daemon", "work folder"]


def test_a_store_that_is_no_store_is_named(work_dir: Path):
    runs = work_dir / ".dagster" / "history" / "runs.db"
    runs.write_bytes(b"no database at all" * 100)
    start = time.monotonic()
    assert "not a database" in faults(work_dir)["store and daemon"]
    assert time.monotonic() - start < 60
