"""Old runs go, but for those whose materializations are the checkpoints that still stand."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.config.settings import parse_settings
from dubarr_pipeline.definitions import defs
from dubarr_pipeline.defs.jobs import forget_run, old_runs
from dubarr_pipeline.defs.runtime.records import (
    add_video,
    last_materialization,
    record_metadata,
    stage_key,
    videos,
)
from dubarr_pipeline.workdir.checkpoints import Record

DAY_S = 86_400.0


@pytest.fixture
def store() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        for key in ("first-00000000", "second-00000000"):
            add_video(instance, key)
        yield instance


def ran(store: dg.DagsterInstance, video: str, *stages: str) -> str:
    """Have a run record stages of a video; its id."""

    def made(stage: str) -> dg.AssetsDefinition:
        @dg.asset(key=stage_key(stage), partitions_def=videos)
        def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            record = Record("fingerprint", context.run.run_id, "manifest")
            return dg.MaterializeResult(metadata=record_metadata(record))

        return asset

    assets = [made(stage) for stage in stages]
    job = dg.Definitions(assets, jobs=[dg.define_asset_job("dub")]).resolve_job_def("dub")
    return job.execute_in_process(partition_key=video, instance=store).run_id


def old(store: dg.DagsterInstance, work_dir: Path, days: float = 31) -> list[dg.DagsterRun]:
    return old_runs(store, parse_settings({}, work_dir), time.time() + days * DAY_S)


def test_a_run_goes_when_nothing_that_stands_was_recorded_by_it(store, tmp_path):
    first = [ran(store, "first-00000000", *stages) for stages in (("vocals", "mix"), ("mix",))]
    second = [ran(store, "second-00000000", "vocals", "mix") for _ in range(2)]
    failed = dg.DagsterRun(
        job_name="dub",
        status=dg.DagsterRunStatus.FAILURE,
        tags={"dagster/partition": "second-00000000"},
    )
    store.add_run(failed)
    asleep = store.add_run(dg.DagsterRun(job_name="housekeeping", status=failed.status))
    assert old(store, tmp_path, days=29) == []
    going = old(store, tmp_path)
    assert {run.run_id for run in going} == {second[0], asleep.run_id}
    shards = [Path(store.event_log_storage.path_for_shard(run.run_id)) for run in going]  # pyright: ignore[reportAttributeAccessIssue]
    assert any(shard.exists() for shard in shards)
    for run in going:
        forget_run(store, run)
    assert not any(shard.exists() for shard in shards)
    kept = {run.run_id for run in store.get_runs()}
    assert kept == {*first, second[1], failed.run_id}
    assert _made_by(store, "first-00000000", "vocals") == first[0]
    assert _made_by(store, "second-00000000", "vocals") == second[1]
    assert old(store, tmp_path) == []


def test_with_a_run_dagster_forgets_what_it_recorded(store):
    """Why `old_runs` keeps some: were this to change, it could keep fewer."""
    run_id = ran(store, "first-00000000", "vocals")
    store.delete_run(run_id)
    assert _made_by(store, "first-00000000", "vocals") is None


def test_runs_of_videos_that_were_forgotten_go(store, tmp_path):
    run_id = ran(store, "first-00000000", "vocals")
    store.delete_dynamic_partition("videos", "first-00000000")
    assert [run.run_id for run in old(store, tmp_path)] == [run_id]


def test_runs_are_kept_for_ever_if_that_is_wished(store, tmp_path):
    store.add_run(dg.DagsterRun(job_name="housekeeping", status=dg.DagsterRunStatus.SUCCESS))
    settings = parse_settings({"housekeeping": {"keep_runs_days": 0}}, tmp_path)
    assert old_runs(store, settings, time.time() + 1000 * DAY_S) == []


def test_the_daily_job_says_what_it_did(store, tmp_path, monkeypatch):
    monkeypatch.setenv("DUBARR_WORK_DIR", str(tmp_path))
    log = tmp_path / "logs" / "llm.log"
    log.parent.mkdir()
    log.write_text("said")
    then_s = time.time() - 31 * DAY_S
    os.utime(log, (then_s, then_s))
    found = defs.resolve_job_def("housekeeping").execute_in_process(instance=store)
    assert found.success
    assert not log.exists()
    said = [entry.user_message for entry in store.all_logs(found.run_id)]
    assert any("removed service log" in each and "31 days" in each for each in said)


def _made_by(store: dg.DagsterInstance, video: str, stage: str) -> str | None:
    made = last_materialization(store, stage, video)
    return made.record.production if made else None
