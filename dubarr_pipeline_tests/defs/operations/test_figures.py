"""Figures, read by the parser of Prometheus' own library."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import prometheus_client
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from prometheus_client.parser import text_string_to_metric_families

from dubarr_pipeline.config.live_settings import LiveSettings
from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline.defs.operations import figures
from dubarr_pipeline.defs.operations.figures import Figures
from dubarr_pipeline.defs.runtime.records import stage_key
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.library.videos import Video, save_video
from dubarr_pipeline.workdir.identity import FileIdentity
from dubarr_pipeline_tests.fixtures.bench import write_config

KEY = "the-film-01234567"
Samples = dict[tuple[str, ...], float]


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Figures]:
    (tmp_path / "films").mkdir()
    tables = {"libraries.shelf": {"path": str(tmp_path / "films"), "target_langs": ["es"]}}
    settings = load_settings(write_config(tmp_path / "dubarr.toml", tables), tmp_path / "work")
    identity = FileIdentity(1, 1, 1, 1, "01234567")
    save_video(Video(KEY, tmp_path / "films/a.mkv", identity, ("es",), "lite"), settings.work_dir)
    with open_instance(settings.work_dir) as store:
        record(store, "vocals", seconds=4.0, reused=False)
        record(store, "vocals", seconds=5.0, reused=False)
        record(store, "vocals", seconds=0.1, reused=True)
        lines = {"placed": 7, "kept_original": 1, "failures": dg.MetadataValue.json({"no_take": 2})}
        record(store, "segments", seconds=5.1, reused=False, **lines)
        fail(store)
    return Figures(LiveSettings(settings))


def record(store: dg.DagsterInstance, stage: str, **metadata: Any) -> None:
    made = dg.AssetMaterialization(stage_key(stage), partition=KEY, metadata=metadata)
    store.report_runless_asset_event(made)


def fail(store: dg.DagsterInstance, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED):
    run = dg.DagsterRun("dub", status=status, tags={"dagster/partition": "another-film"})
    store.add_run(run)
    store.report_run_failed(run)


def samples(read: Figures) -> Samples:
    """Every sample by its name and the values of its labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(read.text().decode())
        for sample in family.samples
    }


def test_the_work_of_all_runs_is_counted_once(read: Figures, tmp_path: Path):
    found = samples(read)
    assert found["dubarr_films", "queued"] == 1
    assert found["dubarr_films", "held"] == 0
    assert found["dubarr_stage_seconds_count", "vocals"] == 2
    assert found["dubarr_stage_seconds_sum", "vocals"] == 9.0
    assert found["dubarr_stage_seconds_bucket", "5", "vocals"] == 2, "a bound is in its bucket"
    assert found["dubarr_stage_seconds_bucket", "5", "segments"] == 0
    assert found["dubarr_stage_seconds_bucket", "15", "segments"] == 1
    assert found["dubarr_stage_seconds_count", "mux"] == 0
    assert found["dubarr_lines_total", "placed"] == 7
    assert found["dubarr_lines_total", "failed:no_take"] == 2
    assert found["dubarr_failures_total", "run"] == 1
    assert found["dubarr_disk_free_bytes", "work"] > 0
    assert found["dubarr_disk_free_bytes", "library:shelf"] > 0
    assert found["dubarr_history_complete",] == 1
    assert found["dubarr_queue_runs",] == 0
    assert found["dubarr_leases_expired_total",] == 0
    assert samples(read)["dubarr_stage_seconds_count", "vocals"] == 2, "nothing is counted twice"
    text = read.text().decode()
    assert KEY not in text, "no label names a film"
    assert "another-film" not in text
    assert b"dubarr" not in prometheus_client.generate_latest(), "the registry is our own"
    assert "python_info" not in text
    with open_instance(tmp_path / "work") as store:
        record(store, "vocals", seconds=50000.0, reused=False)
        fail(store)
    found = samples(read)
    assert found["dubarr_stage_seconds_bucket", "43200", "vocals"] == 2
    assert found["dubarr_stage_seconds_bucket", "+Inf", "vocals"] == 3
    assert found["dubarr_failures_total", "run"] == 2


def test_the_queue_says_how_long_its_oldest_run_waits():
    with dg.instance_for_test() as store:
        found = [each.samples[0].value for each in figures._queue(store, time.time())]
        assert found == [0, 0]
        for _ in range(2):
            origin = job_origin()
            status = dg.DagsterRunStatus.QUEUED
            store.add_run(dg.DagsterRun("dub", status=status, remote_job_origin=origin))
        oldest_s, number = (
            each.samples[0].value for each in figures._queue(store, time.time() + 100)
        )
        assert number == 2
        assert 100 <= oldest_s < 160


def job_origin() -> RemoteJobOrigin:
    location = RegisteredCodeLocationOrigin("here")
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, "repository"), "dub")


def test_a_long_history_is_read_on_by_the_next_scrape(
    read: Figures, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(figures, "_BUDGET_S", -1.0)
    found = samples(read)
    assert found["dubarr_history_complete",] == 0
    assert found["dubarr_stage_seconds_count", "vocals"] == 0
    monkeypatch.setattr(figures, "_BUDGET_S", 60.0)
    monkeypatch.setattr(figures, "_AT_ONCE", 1)
    found = samples(read)
    assert found["dubarr_history_complete",] == 1
    assert found["dubarr_stage_seconds_count", "vocals"] == 2
