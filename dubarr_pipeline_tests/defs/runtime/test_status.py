"""The task table, against a real store whose runs and results are written for the purpose."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.config.settings import parse_settings
from dubarr_pipeline.defs.operations import stored_results
from dubarr_pipeline.defs.runtime.liveness import PROCESS_TAG, bury_dead_runs, is_dead, process_mark
from dubarr_pipeline.defs.runtime.records import last_materialization, record_metadata, stage_key
from dubarr_pipeline.defs.runtime.status import task_table
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.defs.tables.rows import Task
from dubarr_pipeline.library.publishing.records import Publication, PublishedFile
from dubarr_pipeline.library.publishing.records import record as record_publication
from dubarr_pipeline.library.videos import Video, make_video, save_video
from dubarr_pipeline.workdir import checkpoints

Status = dg.DagsterRunStatus


@pytest.fixture
def store() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    return tmp_path / "work"


@pytest.fixture
def video(tmp_path: Path, work_dir: Path) -> Video:
    source = tmp_path / "film.mkv"
    source.write_bytes(b"moving picture")
    found = make_video(source, work_dir, target_langs=("es", "ca"), profile="lite")
    save_video(found, work_dir)
    return found


def record(
    store: dg.DagsterInstance, video: Video, work_dir: Path, stages: tuple[str, ...] = STAGE_NAMES
) -> None:
    """Have stages leave a file and a materialization each, in their order."""
    work = video.work(work_dir)
    for stage in stages:
        path = work.root / f"{stage}.txt"
        path.write_text(stage)
        mux = last_materialization(store, "mux", video.key) if stage == "report" else None
        inputs = {"mux": mux.record.production} if mux else {}
        made = checkpoints.write_record(work, stage, checkpoints.Wanted("wanted"), inputs, [path])
        about = {"seconds": 1.5, "reused": False, "languages": "es,ca", **record_metadata(made)}
        event = dg.AssetMaterialization(stage_key(stage), metadata=about, partition=video.key)
        store.report_runless_asset_event(event)


def run_of(
    store: dg.DagsterInstance, video: Video, status: Status, mark: str | None = "mine"
) -> dg.DagsterRun:
    tags = {"dagster/partition": video.key}
    made = dg.DagsterRun(job_name="dub", status=status, tags=tags)
    mark = process_mark(made.run_id) if mark == "mine" else mark
    return store.add_run(made.with_tags({**tags, PROCESS_TAG: mark} if mark else tags))


def row(store: dg.DagsterInstance, work_dir: Path) -> Task:
    (found,) = task_table(store, work_dir)
    return found


def test_asked_for_and_not_begun(store, work_dir, video):
    found = row(store, work_dir)
    assert (found.status, found.cause) == ("QUEUED", None)
    assert [step.stage for step in found.steps] == list(STAGE_NAMES)
    assert all(step.recorded_at is None for step in found.steps)


def test_all_made(store, work_dir, video):
    record(store, video, work_dir)
    found = row(store, work_dir)
    assert found.status == "DONE"
    assert {step.seconds for step in found.steps} == {1.5}
    assert found.steps[0].results == {"languages": "es,ca"}


@pytest.mark.parametrize("gone", STAGE_NAMES)
def test_a_purged_stage_makes_it_queued_again(store, work_dir, video, gone):
    record(store, video, work_dir)
    checkpoints.forget(video.work(work_dir), gone)
    found = row(store, work_dir)
    assert found.status == "QUEUED"
    assert [step.stage for step in found.steps if step.recorded_at is None] == [gone]


def test_another_language_makes_it_queued_again(store, work_dir, video):
    record(store, video, work_dir)
    save_video(replace(video, target_langs=("es", "ca", "fr")), work_dir)
    assert row(store, work_dir).status == "QUEUED"


def test_a_newer_container_without_report_is_not_done(store, work_dir, video):
    record(store, video, work_dir)
    record(store, video, work_dir, ("mux",))
    assert row(store, work_dir).status == "QUEUED"


@pytest.mark.parametrize("status", [Status.STARTED, Status.STARTING, Status.CANCELING])
def test_a_live_run_is_at_it(store, work_dir, video, status):
    record(store, video, work_dir)
    run_of(store, video, status)
    assert row(store, work_dir).status == "PROCESSING"


@pytest.mark.parametrize("status", [Status.FAILURE, Status.CANCELED])
def test_a_failed_run_shows_over_an_older_result(store, work_dir, video, status):
    record(store, video, work_dir)
    run_of(store, video, status)
    found = row(store, work_dir)
    assert found.status == "ERROR"
    assert "dubarr retry" in (found.cause or "")


def test_a_result_that_came_later_shows_over_a_failed_run(store, work_dir, video):
    run_of(store, video, Status.FAILURE)
    record(store, video, work_dir)
    assert row(store, work_dir).status == "DONE"


def _dead_mark(run_id: str) -> str:
    """The mark of a process that has ended, whose number another may have by now."""
    host, pid, started = process_mark(run_id).rsplit(":", 3)[1:]
    return f"{run_id}:{host}:{pid}:{int(started) - 1}"


def test_a_killed_run_is_an_error_and_is_buried(store, work_dir, video):
    tags = {"dagster/partition": video.key}
    run = dg.DagsterRun(job_name="dub", status=Status.STARTED, tags=tags)
    run = store.add_run(run.with_tags({**tags, PROCESS_TAG: _dead_mark(run.run_id)}))
    found = row(store, work_dir)
    assert found.status == "ERROR"
    assert "killed" in (found.cause or "")
    assert bury_dead_runs(store) == [run.run_id]
    assert bury_dead_runs(store) == []
    after = store.get_run_by_id(run.run_id)
    assert after
    assert after.status == Status.FAILURE
    assert row(store, work_dir).status == "ERROR"


@pytest.mark.parametrize("mark", ["elsewhere:1:2", "", "nonsense", "a:b"])
def test_a_run_of_another_host_is_never_called_dead(store, video, mark):
    run = run_of(store, video, Status.STARTED, None)
    run = run.with_tags({**run.tags, PROCESS_TAG: f"{run.run_id}:{mark}" if mark else ""})
    assert not is_dead(run, store)


_IN_ANOTHER_CONTAINER = """
import socket, sys
socket.gethostname = lambda: "another-container"
import dagster as dg
from dubarr_pipeline.defs.runtime.liveness import mark_run, unmark_run
with dg.DagsterInstance.from_config(sys.argv[1]) as store:
    mark_run(store, sys.argv[2])
    print("at work", flush=True)
    sys.stdin.readline()
    unmark_run(store, sys.argv[2])
    print("done", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("killed", [True, False])
def test_a_run_of_a_container_that_is_gone_is_dead(video: Video, tmp_path: Path, killed: bool):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as store:
        run = run_of(store, video, Status.STARTED, None)
        process = subprocess.Popen(
            [sys.executable, "-c", _IN_ANOTHER_CONTAINER, str(tmp_path), run.run_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout
            assert process.stdin
            assert process.stdout.readline() == "at work\n"
            found = store.get_run_by_id(run.run_id)
            assert found
            assert "another-container" in found.tags[PROCESS_TAG]
            assert not is_dead(found, store)
            if killed:
                process.kill()
                process.wait()
                assert is_dead(found, store)
                assert bury_dead_runs(store) == [run.run_id]
            else:
                process.stdin.write("\n")
                process.stdin.flush()
                assert process.stdout.readline() == "done\n"
                # The run has ended well, and records it; nobody takes it for dead meanwhile.
                assert not is_dead(found, store)
            process.kill()


def test_a_process_that_has_ended_is_dead(store, video):
    code = (
        "import sys; from dubarr_pipeline.defs.runtime.liveness import process_mark; "
        "print(process_mark('RUN'))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    run = run_of(store, video, Status.STARTED, None)
    mark = told.stdout.strip().replace("RUN", run.run_id)
    assert is_dead(run.with_tags({PROCESS_TAG: mark}), store)
    assert not is_dead(run.with_tags({PROCESS_TAG: process_mark(run.run_id)}), store)
    assert f":{os.getpid()}:" in process_mark(run.run_id)


def test_a_damaged_request_hides_no_other_video(store, work_dir, video):
    broken = work_dir / "a-broken-00000000" / "video.json"
    broken.parent.mkdir()
    broken.write_text("{")
    first, second = task_table(store, work_dir)
    assert first.status == "ERROR"
    assert str(broken) in (first.cause or "")
    assert second.video == video
    assert [t.video.key for t in task_table(store, work_dir, [video.key])] == [video.key]


def test_many_videos_are_read_in_as_few_questions_as_one(
    store, work_dir, video, tmp_path, monkeypatch
):
    others = [tmp_path / f"{number}.mkv" for number in range(3)]
    for number, source in enumerate(others):
        source.write_bytes(b"another picture %d" % number)
        another = make_video(source, work_dir, target_langs=("es", "ca"), profile="lite")
        save_video(another, work_dir)
        record(store, another, work_dir)
    run_of(store, video, Status.FAILURE)
    asked: list[str] = []
    called = (
        (store, "fetch_materializations"),
        (store, "get_run_records"),
        (stored_results, "_read_by_dagster"),
        (store.event_log_storage, "index_connection"),
        (os, "scandir"),
    )
    for owner, name in called:
        real = getattr(owner, name)
        monkeypatch.setattr(
            owner,
            name,
            lambda *a, name=name, real=real, **o: (asked.append(name), real(*a, **o))[1],
        )
    table = {task.video.key: task.status for task in task_table(store, work_dir)}
    assert sorted(table.values()) == ["DONE", "DONE", "DONE", "ERROR"]
    assert table[video.key] == "ERROR"
    # Of each stage: is it wiped, the newest of each video, and their results.
    assert asked.count("index_connection") == 3 * len(STAGE_NAMES)
    assert "_read_by_dagster" not in asked
    assert "fetch_materializations" not in asked
    assert asked.count("get_run_records") == 1
    assert asked.count("scandir") == len(table)


def test_done_means_that_what_was_wished_is_true(store, work_dir, video, tmp_path):
    save_video(replace(video, library="films"), work_dir)
    record(store, video, work_dir)
    films = {"path": str(tmp_path), "target_langs": ["es"]}

    def status(mode: str) -> tuple[str, str | None]:
        library = {**films, "publish": {"mode": mode}}
        settings = parse_settings({"libraries": {"films": library}}, work_dir)
        (found,) = task_table(store, work_dir, settings=settings)
        return found.status, found.cause

    assert status("none") == ("DONE", None)
    assert status("beside") == ("DONE, not published", "not published yet")
    made = checkpoints.recorded_digests(video.work(work_dir), "mux")
    place = tmp_path / "film - dubbed.mkv"
    place.write_bytes(b"mux")
    files = tuple(PublishedFile(place, digest) for digest in made.values())
    record_publication(video.work(work_dir), Publication("beside", files, video.source))
    assert status("beside") == ("DONE", None)
    assert status("none")[1] == "what was published is still to be taken back"
    place.unlink()
    assert status("beside") == ("DONE, not published", f"{str(place)!r} is not there any more")
