"""A library is backed up while it works, destroyed and restored; and its store is an older one."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.defs.operations.store_version import bring_tables_up_to_date, is_up_to_date
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.edits.document import read_edits_document
from dubarr_pipeline.workdir.artifacts import read_transcript
from dubarr_pipeline_tests.fixtures.bench import Bench
from dubarr_pipeline_tests.fixtures.edited_film import EditedFilm, fact
from dubarr_pipeline_tests.fixtures.film_shelf import make_shelf

pytestmark = pytest.mark.slow
EARLIER = Path(__file__).parent / "earlier_store"
DATABASES = {
    "runs": "history/runs.db",
    "index": "history/runs/index.db",
    "schedules": "schedules/schedules.db",
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("backed up") / "work")


@pytest.fixture(scope="module")
def films(bench: Bench) -> list[Path]:
    """Three films, of which two are finished."""
    found = make_shelf(bench.work_dir.parent, ["one", "two", "three"])
    assert bench.run("dub", "--to", "es", *found[:2]).code == 0
    return found


def rows(bench: Bench) -> dict[str, dict[str, Any]]:
    """The task table, by the film's name."""
    return {Path(each["source"]).stem: each for each in bench.status()}


def test_what_was_finished_and_edited_is_there_again_and_the_rest_goes_on(
    bench: Bench, films: list[Path]
):
    before = rows(bench)
    edited = next(work for work in bench.works() if work.root.name == before["one"]["video"])
    film = EditedFilm(edited, read_transcript(edited.transcription))
    film.state("es", fact("text", "Buenos días.", film.ids[0]))
    document = read_edits_document(edited, "es")
    going = bench.start("dub", "--to", "es", films[2])
    end = time.monotonic() + 120
    while not list(bench.work_dir.glob("three-*/.checkpoints/transcript.json")):
        assert time.monotonic() < end
        assert going.poll() is None
        time.sleep(0.05)

    copy = bench.work_dir.with_name("copy")
    told = bench.run("backup", copy)
    assert told.code == 0
    assert f"rsync -a --exclude /.dagster/ {bench.work_dir}/ {copy}/" in told.out
    words = f"tar -C {bench.work_dir} --exclude=./.dagster -cf - . | tar -C {copy} -xf -"
    # A file that grows meanwhile makes tar complain.
    subprocess.run(["sh", "-c", words.replace(str(copy.parent), ".")], cwd=copy.parent, check=False)
    going.kill()
    going.communicate()
    assert not list(copy.glob("three-*/.checkpoints/report.json")), "it was in the middle"
    shutil.rmtree(bench.work_dir)
    copy.rename(bench.work_dir)

    after = rows(bench)
    assert {name: row["status"] for name, row in after.items() if name != "three"} == {
        "one": "DONE",
        "two": "DONE",
    }
    assert after["three"]["status"] in ("ERROR", "QUEUED")
    assert read_edits_document(edited, "es") == document
    assert bench.run("retry").code == 0
    assert bench.run("dub", "--to", "es", films[1]).code == 0
    last = rows(bench)
    assert last["three"]["status"] == "DONE"
    assert last["three"]["steps"][0]["reused"] is True, "its first stages were not made again"
    assert last["two"] == before["two"], "nothing of a finished film is made again"


def test_the_store_is_not_copied_onto_itself(bench: Bench, films: list[Path]):
    refused = bench.run("backup", bench.work_dir)
    assert (refused.code, "is the work folder itself" in refused.err) == (2, True)


def test_an_earlier_store_is_used_and_brought_up_to_date(bench: Bench, films: list[Path]):
    home, before = bench.work_dir / ".dagster", rows(bench)
    for name, place in DATABASES.items():
        _make_earlier(home / place, EARLIER / f"{name}.sql")
    assert rows(bench) == before
    with open_instance(bench.work_dir) as store:
        assert not is_up_to_date(store, home)
    assert bench.run("dub", "--to", "es", films[1]).code == 0
    with open_instance(bench.work_dir) as store:
        bring_tables_up_to_date(store, home)
        assert is_up_to_date(store, home)
    assert bench.run("dub", "--to", "es", films[1]).code == 0
    assert rows(bench) == before, "nothing was made again"


def test_a_newer_store_is_refused_by_name(
    bench: Bench, films: list[Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dubarr_pipeline.defs.operations.store_version._checked", set())
    runs = bench.work_dir / ".dagster" / DATABASES["runs"]
    with closing(sqlite3.connect(runs)) as store, store:
        (now,) = store.execute("SELECT version_num FROM alembic_version").fetchone()
        store.execute("UPDATE alembic_version SET version_num = 'f00dfeedf00d'")
    try:
        for command in (("status",), ("dub", "--to", "es", films[1])):
            refused = bench.run(*command)
            assert refused.code == 5
            assert "is of a newer version (its tables: f00dfeedf00d): install" in refused.err
    finally:
        with closing(sqlite3.connect(runs)) as store, store:
            store.execute("UPDATE alembic_version SET version_num = ?", (now,))


def _make_earlier(path: Path, schema: Path) -> None:
    """Put a database's rows into the tables of an earlier version, in its place."""
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    older = path.with_suffix(".old")
    with closing(sqlite3.connect(older)) as found, found:
        found.executescript(schema.read_text())
        found.execute("ATTACH ? AS newer", (str(path),))
        tables = found.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            if table in ("alembic_version", "secondary_indexes", "instance_info"):
                continue
            columns = [row[1] for row in found.execute(f"PRAGMA main.table_info({table})")]
            known = {row[1] for row in found.execute(f"PRAGMA newer.table_info({table})")}
            names = ", ".join(f'"{each}"' for each in columns if each in known)
            found.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM newer.{table}")
    for each in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        each.unlink(missing_ok=True)
    older.rename(path)
