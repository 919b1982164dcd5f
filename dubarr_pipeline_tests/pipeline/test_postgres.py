"""The same pipeline on a store in a real PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.defs.runtime.records import last_materialization
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline_tests.fixtures.bench import write_config
from dubarr_pipeline_tests.fixtures.dagster_server import Server, free_port
from dubarr_pipeline_tests.fixtures.film_shelf import made_again, make_shelf, register
from dubarr_pipeline_tests.fixtures.postgres import SCRIPT, Postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
DUBARR = Path(sys.executable).with_name("dubarr")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as found:
        yield found


@pytest.fixture(scope="module")
def server(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that is not started yet, with its store in PostgreSQL."""
    folder = tmp_path_factory.mktemp("server")
    # A stage that meets the restart fails by name, and is taken up again by the failure sensor.
    config = write_config(folder / "dubarr.toml", {"failures": {"first_pause_minutes": 0.1}})
    found = Server(folder / "work", config)
    postgres.configure(found.home)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in found.environment().items():
            patch.setenv(name, value)
        yield found
        found.kill()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_shelf(tmp_path_factory.mktemp("films"), ["alone", "one", "two", "three"])


def _store(server: Server) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(server.home))


def test_a_film_is_dubbed_and_nothing_done_twice(
    server: Server, postgres: Postgres, films: list[Path]
):
    productions: list[list[str]] = []
    for _ in range(2):
        before = postgres.connections()
        subprocess.run(
            [DUBARR, "dub", "--to", "es", films[0]], env=server.environment(), check=True
        )
        assert postgres.connections() - before < 200
        with _store(server) as store:
            (key,) = store.get_dynamic_partitions("videos")
            last = [last_materialization(store, stage, key) for stage in STAGE_NAMES]
            assert "Postgres" in type(store.run_storage).__name__
        productions.append([each.record.production for each in last if each])
    assert productions[0] == productions[1]
    assert len(productions[0]) == len(STAGE_NAMES)


def test_its_restart_in_the_middle_of_a_backfill_loses_nothing(
    server: Server, postgres: Postgres, films: list[Path]
):
    keys = register(films[1:], server.work_dir, None)
    server.start()
    server.backfill_all(keys, STAGE_NAMES)
    finished = server.work_dir.glob
    server.wait(lambda: len(list(finished("*/.checkpoints/*.json"))) >= 14, "a part is done")
    postgres.restart()
    server.wait(lambda: _done(server) >= set(keys), "all videos are dubbed")
    with _store(server) as store:
        assert made_again(store) == 0
    assert len(list(server.work_dir.glob("*/final_muxed.mkv"))) == len(films)


def test_a_dumped_and_restored_store_knows_all_and_a_newer_one_is_refused(
    server: Server, postgres: Postgres, films: list[Path]
):
    # As the manual says: a daemon at work writes into the tables that are being restored.
    server.kill()
    with _store(server) as store:
        known = len(store.get_run_records())
    assert known
    address, password = postgres.address()
    name = f"--dbname={address}"
    dump = f"--file={server.work_dir / 'store.dump'}"
    postgres.ask(password, "pg_dump", "--format=custom", dump, name)
    drop = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
    postgres.ask(password, "psql", "--quiet", name, f"--command={drop}")
    restored = str(server.work_dir / "store.dump")
    postgres.ask(password, "pg_restore", "--no-owner", name, restored)
    status = [DUBARR, "dub", "--to", "es", films[0]]
    again = subprocess.run(status, env=server.environment(), capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    with _store(server) as store:
        assert (len(store.get_run_records()), made_again(store)) == (known, 0)
    newer = "--command=UPDATE alembic_version SET version_num = 'f00dfeedf00d'"
    postgres.ask(password, "psql", "--quiet", name, newer)
    refused = subprocess.run(status, env=server.environment(), capture_output=True, text=True)
    assert (refused.returncode, "is of a newer version" in refused.stderr) == (5, True)


def _done(server: Server) -> set[str]:
    wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS])
    with open_instance(server.work_dir) as store:
        return {run.tags["dagster/partition"] for run in store.get_runs(wanted)}


def test_a_home_that_the_servers_user_cannot_enter_is_no_obstacle(tmp_path: Path):
    home = tmp_path / "closed"
    home.mkdir(mode=0o700)
    folder = home / "store"
    kept = folder / "data"
    try:
        for _ in range(2):
            subprocess.run([SCRIPT, "start", folder, str(free_port())], check=True, timeout=240)
        if os.geteuid() == 0:
            kept = Path((folder / "place").read_text().strip())
        assert (kept / "PG_VERSION").is_file()
        assert "postgres_url" in (folder / "dagster.yaml").read_text()
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=True, timeout=240)
        shutil.rmtree(kept)
