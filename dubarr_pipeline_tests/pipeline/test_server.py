"""The pipeline behind a real webserver, daemon and run queue."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline.definitions import defs
from dubarr_pipeline.defs.runtime.records import add_video, stage_key
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.demo.video import demo_video
from dubarr_pipeline.library.admission import register
from dubarr_pipeline.library.source import inspect_source
from dubarr_pipeline_tests.fixtures.dagster_server import ROOT, Server

pytestmark = pytest.mark.slow


def _checks(stage: str) -> int:
    """How many checks a stage declares."""
    asset = defs.resolve_assets_def(stage_key(stage))
    return len(list(asset.check_specs))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that is not started yet; whatever comes of the test, it is gone afterwards."""
    found = Server(tmp_path / "work")
    yield found
    found.kill()


@pytest.fixture
def key(server: Server, demo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The demo video, a partition of the server's store."""
    monkeypatch.setenv("DAGSTER_HOME", str(server.home))
    monkeypatch.setenv("DUBARR_WORK_DIR", str(server.work_dir))
    settings = load_settings(None, server.work_dir)
    film = demo_video(shutil.copytree(demo_folder, server.work_dir / "demo"))
    video = register(inspect_source(film, settings), ("es",), settings)
    with open_instance(server.work_dir) as instance:
        add_video(instance, video.key)
    return video.key


def test_the_definitions_are_valid(server: Server):
    found = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate"],
        cwd=ROOT,
        env=server.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert "All code locations passed validation" in found.stdout + found.stderr


def test_the_queue_dubs_a_video_and_keeps_what_stands(server: Server, key: str):
    server.start()

    first = server.finish(server.backfill(key, STAGE_NAMES))
    assert first["status"] == "SUCCESS", _told(first) + server.words()
    for stage in STAGE_NAMES:
        facts = _facts(server, key, stage)
        assert facts["run"] == first["runId"]
        assert facts["reused"] is False
        assert {"seconds", "dubarr/fingerprint"} <= facts.keys()
        assert facts["checks"] == ["passed"] * _checks(stage)
    assert _status(server)["status"] == "DONE"

    second = server.finish(server.launch(key))
    assert second["status"] == "SUCCESS"
    for stage in STAGE_NAMES:
        facts = _facts(server, key, stage)
        assert facts["run"] == second["runId"]
        assert facts["reused"] is True
        assert facts["checks"] == ["passed"] * _checks(stage)

    source = Path(_status(server)["source"])
    source.rename(source.with_suffix(".away"))
    failed = server.finish(server.launch(key))
    assert failed["status"] == "FAILURE"
    (reason,) = [e["failureMetadata"]["description"] for e in _failures(failed)]
    assert str(source) in reason
    assert "is not there" in reason

    server.interrupt()
    server.wait(lambda: not server.processes(), "every process of the server has ended")


def test_what_a_crash_or_ctrl_c_left_can_be_launched_again(server: Server, key: str):
    server.start()
    crashed = server.launch(key)
    server.wait(lambda: server.made(crashed) >= 2, "two stages are made")
    server.kill()
    assert _status(server)["status"] == "ERROR"

    server.start()
    assert server.finish(crashed)["status"] == "FAILURE"
    again = server.finish(server.launch(key))
    assert again["status"] == "SUCCESS", _told(again) + server.words()
    assert [_facts(server, key, stage)["reused"] for stage in STAGE_NAMES[:2]] == [True, True]
    # Unless the daemon had tried the crashed run again meanwhile, this one made it.
    with open_instance(server.work_dir) as store:
        told = store.fetch_materializations(stage_key("report"), limit=50).records
        made = [each.asset_materialization for each in told]
        assert [m.metadata["reused"].value for m in made if m].count(False) == 1

    shutil.rmtree(server.work_dir / key / "segments")
    stopped = server.launch(key)
    server.wait(lambda: server.made(stopped) >= 5, "segments is at work")
    server.interrupt()
    server.wait(lambda: not server.processes(), "every process of the server has ended")
    assert _status(server)["status"] != "PROCESSING"


def _status(server: Server) -> dict[str, Any]:
    """The video's row of `dubarr status`."""
    said = subprocess.run(
        [Path(sys.executable).with_name("dubarr"), "status", "--json"],
        env=server.environment(),
        cwd=server.work_dir,
        capture_output=True,
        text=True,
        check=False,
    )
    (task,) = json.loads(said.stdout)
    assert said.returncode == (task["status"] == "ERROR")
    return task


def _facts(server: Server, key: str, stage: str) -> dict[str, Any]:
    """What the UI shows of a stage of a video."""
    node = server.stage(key, stage)
    (made,) = node["assetMaterializations"]
    values = {
        entry.pop("label"): next(iter(entry.values()), None) for entry in made["metadataEntries"]
    }
    checks = node["assetChecksOrError"].get("checks", [])
    runs = [check["executionForLatestMaterialization"] for check in checks]
    passed = [
        "passed" if run and run["runId"] == made["runId"] and run["evaluation"]["success"] else run
        for run in runs
    ]
    return {**values, "run": made["runId"], "checks": passed}


def _events(run: dict[str, Any]) -> list[dict[str, Any]]:
    return run["eventConnection"]["events"]


def _failures(run: dict[str, Any]) -> list[dict[str, Any]]:
    return [e for e in _events(run) if e["__typename"] == "ExecutionStepFailureEvent"]


def _told(run: dict[str, Any]) -> str:
    return "\n".join(event.get("message") or "" for event in _events(run)[-20:])
