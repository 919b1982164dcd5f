"""Rows read without Dagster, against those that it reads of the same store."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.sql import ALEMBIC_SCRIPTS_LOCATION

from dubarr_pipeline.api.tasks import list_tasks
from dubarr_pipeline.config.settings import Settings, parse_settings
from dubarr_pipeline.defs.library_names import PLAIN, LibraryNames
from dubarr_pipeline.defs.runtime.liveness import LIVE, PROCESS_TAG, process_mark
from dubarr_pipeline.defs.runtime.records import add_video, record_metadata, stage_key
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.runtime.status import task_table
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.defs.tables.quiet import quiet_rows
from dubarr_pipeline.defs.tables.store_files import LIVE_NAMES, TABLES
from dubarr_pipeline.library.videos import Video, make_video, save_video
from dubarr_pipeline.workdir import checkpoints

Status = dg.DagsterRunStatus
FILMS = ("done", "failed", "begun")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse_settings({}, tmp_path / "work")


@pytest.fixture
def store(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    settings.work_dir.mkdir()
    with open_instance(settings.work_dir) as instance:
        yield instance


@pytest.fixture
def films(tmp_path: Path, store: dg.DagsterInstance, settings: Settings) -> dict[str, Video]:
    """Three films; of the last one only the first stage is made."""
    found: dict[str, Video] = {}
    for name in FILMS:
        source = tmp_path / f"{name}.mkv"
        source.write_bytes(name.encode())
        video = make_video(source, settings.work_dir, target_langs=("es", "ca"), profile="lite")
        save_video(video, settings.work_dir)
        add_video(store, video.key)
        record(store, video, settings.work_dir, STAGE_NAMES[: 1 if name == "begun" else None])
        found[name] = video
    return found


def record(
    store: dg.DagsterInstance, video: Video, work_dir: Path, stages: tuple[str, ...]
) -> None:
    work, mux = video.work(work_dir), ""
    for stage in stages:
        path = work.root / f"{stage}.txt"
        path.write_text(stage)
        made = checkpoints.write_record(
            work, stage, checkpoints.Wanted("wanted"), {"mux": mux} if mux else {}, [path]
        )
        mux = made.production if stage == "mux" else mux
        about = {"seconds": 1.5, "reused": False, "languages": "es,ca", **record_metadata(made)}
        picture = {"picture": dg.MetadataValue.md("![a](b)"), "page": dg.MetadataValue.path("/a")}
        event = dg.AssetMaterialization(
            stage_key(stage), metadata={**about, **picture}, partition=video.key
        )
        store.report_runless_asset_event(event)


def run_of(store: dg.DagsterInstance, video: Video, status: Status, days: float = 0.0) -> None:
    """Add a run of a video, which began so many days ago."""
    made = dg.DagsterRun(job_name="dub", status=status)
    tags = {"dagster/partition": video.key, PROCESS_TAG: process_mark(made.run_id)}
    store.add_run(made.with_tags(tags))
    at = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S.%f")
    changed(store, "runs.db", f"UPDATE runs SET create_timestamp = '{at}'", made.run_id)


def changed(store: dg.DagsterInstance, file: str, statement: str, run_id: str = "") -> None:
    path = Path(store.root_directory) / "history" / file
    with sqlite3.connect(path) as rows:
        rows.execute(f"{statement} WHERE run_id = '{run_id}'" if run_id else statement)


def check_same(store: dg.DagsterInstance, settings: Settings) -> set[str]:
    """Compare all rows with Dagster's; return the names of the films that were read without it."""
    asked = task_table(store, settings.work_dir, settings=settings)
    assert list_tasks(settings) == asked
    quiet = quiet_rows([task.video.key for task in asked], settings)
    assert [quiet[task.video.key] for task in asked if task.video.key in quiet] == [
        task for task in asked if task.video.key in quiet
    ]
    return {task.video.source.stem for task in quiet.values()}


def test_without_a_run_everything_is_read_without_dagster(store, settings, films):
    assert check_same(store, settings) == set(FILMS)
    statuses = {task.video.source.stem: task.status for task in list_tasks(settings)}
    assert statuses == {"done": "DONE", "failed": "DONE", "begun": "QUEUED"}


@pytest.mark.parametrize("status", [*LIVE, Status.FAILURE, Status.CANCELED])
def test_who_may_be_worked_at_or_failed_is_asked_about(store, settings, films, status):
    run_of(store, films["done"], Status.SUCCESS)
    run_of(store, films["failed"], status)
    assert check_same(store, settings) == {"done", "begun"}


def test_what_failed_long_before_the_report_has_no_say(store, settings, films):
    run_of(store, films["failed"], Status.FAILURE, days=3)
    run_of(store, films["begun"], Status.FAILURE, days=3)
    assert check_same(store, settings) == {"done", "failed"}


def test_a_damaged_request_is_named(store, settings, films):
    films["failed"].work(settings.work_dir).video.write_text("{")
    assert check_same(store, settings) == {"done", "begun"}


def test_the_last_result_counts(store, settings, films):
    record(store, films["done"], settings.work_dir, ("segments",))
    record(store, films["failed"], settings.work_dir, STAGE_NAMES)
    assert check_same(store, settings) == set(FILMS)


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("runs.db", "UPDATE alembic_version SET version_num = '567bc23fd1ac'"),
        ("runs/index.db", "UPDATE alembic_version SET version_num = '567bc23fd1ac'"),
    ],
)
def test_a_store_of_another_version_is_asked_through_dagster(
    store, settings, films, file, statement
):
    changed(store, file, statement)
    assert check_same(store, settings) == set()


def test_wiped_results_are_asked_about(store, settings, films):
    store.wipe_assets([stage_key("mux")])
    assert check_same(store, settings) == set()


def test_a_store_that_is_set_up_by_hand_is_asked_through_dagster(store, settings, films):
    path = Path(store.root_directory) / "dagster.yaml"
    path.write_text(path.read_text() + "# My own words.\n")
    assert check_same(store, settings) == set()


def test_another_library_in_the_same_store_is_not_mixed_in(store, settings, films):
    names = LibraryNames(("other",))
    found = quiet_rows([], settings)
    assert not found
    for asset in STAGE_NAMES:
        assert names.stored_key(asset) == names.key(asset).to_string()
        assert PLAIN.stored_key(asset) == PLAIN.key(asset).to_string()


def test_the_form_is_that_of_dagster():
    config = Config()
    config.set_main_option("script_location", ALEMBIC_SCRIPTS_LOCATION)
    assert ScriptDirectory.from_config(config).get_heads() == [TABLES]
    assert {each.value for each in LIVE} == set(LIVE_NAMES)


def test_the_table_of_quiet_films_loads_no_dagster(store, settings, films):
    said = (
        "import sys; from dubarr_pipeline.cli.main import main; "
        f"main(['status', '--work-dir', {str(settings.work_dir)!r}], standalone_mode=False)"
    )
    code = f"import atexit, sys\natexit.register(lambda: print('MODULES', *sys.modules))\n{said}"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in found.stdout.partition("MODULES")[2].split()}
    assert "dubarr_pipeline" in loaded
    assert loaded.isdisjoint({"dagster", "sqlalchemy", "alembic", "yaml", "scipy"})
