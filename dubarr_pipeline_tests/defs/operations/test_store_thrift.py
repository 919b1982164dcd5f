"""A store: its migrations are read once by a process, its engines kept, its connections shared."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
import sqlalchemy
import sqlalchemy.event
from alembic.script import Script
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from sqlalchemy.pool import NullPool, Pool, QueuePool

from dubarr_pipeline.defs.operations import store_thrift
from dubarr_pipeline.defs.operations.store_thrift import store_kept_open
from dubarr_pipeline.defs.operations.store_version import is_up_to_date
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline_tests.fixtures.bench import Bench


def _tables(home: Path) -> set[str]:
    return {str(each.relative_to(home)) for each in home.rglob("*.db")}


def test_migrations_are_read_once_for_all_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    load = Script._from_path
    monkeypatch.setattr(Script, "_from_path", lambda *each: (read.append(each[1]), load(*each))[1])
    store_thrift._own_scripts.cache_clear()
    for name in ("one", "other"):
        with open_instance(tmp_path / name) as instance:
            assert is_up_to_date(instance, tmp_path / name)
            assert instance.get_runs() == []
    scripts = {str(each) for each in read if str(each).endswith(".py")}
    assert len(scripts) > 50
    assert len([each for each in read if str(each) in scripts]) == len(scripts)
    assert _tables(tmp_path / "one") == _tables(tmp_path / "other") != set()


def test_a_store_is_the_one_that_dagster_makes_by_itself(tmp_path: Path) -> None:
    with open_instance(tmp_path / "ours") as ours, dg.DagsterInstance.local_temp() as plain:
        versions = [
            [each.alembic_version() for each in (one.run_storage, one.event_log_storage)]
            for one in (ours, plain)
        ]
    assert versions[0] == versions[1]


def test_a_file_has_one_engine_and_another_file_another(tmp_path: Path) -> None:
    with open_instance(tmp_path):
        pass
    options = {"poolclass": NullPool, "connect_args": {"timeout": 5}}
    first, again, other = (
        vars(sqlite_event_log)["create_engine"](f"sqlite:///{tmp_path}/{name}.db", **options)
        for name in ("a", "a", "b")
    )
    assert first is again
    assert first is not other


def test_engines_are_kept_within_a_bound(tmp_path: Path) -> None:
    with open_instance(tmp_path):
        pass
    for number in range(100):
        vars(sqlite_event_log)["create_engine"](
            f"sqlite:///{tmp_path}/{number}.db", poolclass=NullPool
        )
        assert len(store_thrift._engines) <= 32


def test_a_store_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    for _ in range(2):
        with open_instance(tmp_path) as instance:
            instance.add_dynamic_partitions("videos", ["a"])
            assert instance.get_dynamic_partitions("videos") == ["a"]
        shutil.rmtree(tmp_path / ".dagster")


@pytest.fixture
def opened() -> Iterator[list[object]]:
    """Each connection to a file that this process has opened since."""
    found: list[object] = []

    def note(connection: object, _: object) -> None:
        found.append(connection)

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", note)
    yield found
    sqlalchemy.event.remove(sqlalchemy.Engine, "connect", note)


def _held(folder: Path) -> list[str]:
    """The files below a folder that this process has open."""
    links = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return [link for link in links if link.startswith(str(folder))]


def test_a_run_opens_each_file_a_few_times_and_leaves_none_open(
    film: Path, bench: Bench, opened: list[object]
) -> None:
    """It took 900 before."""
    assert bench.dub(film).code == 0
    assert len(opened) < 200
    assert _held(bench.work_dir / ".dagster") == []
    assert not list(bench.work_dir.glob(".dagster/**/*-wal"))


def test_a_store_that_is_kept_open_serves_others_and_closes_with_its_last_user(
    tmp_path: Path, opened: list[object]
) -> None:
    with open_instance(tmp_path) as instance, open_instance(tmp_path) as other:
        with store_kept_open(instance):
            with store_kept_open(other):
                instance.add_dynamic_partitions("videos", ["a"])
            before = len(opened)
            for _ in range(20):
                assert other.get_dynamic_partitions("videos") == ["a"]
            assert len(opened) <= before + 1
            assert _held(tmp_path) != []
        assert _held(tmp_path) == []
        other.add_dynamic_partitions("videos", ["b"])
        assert instance.get_dynamic_partitions("videos") == ["a", "b"]


def test_files_that_are_kept_open_are_within_a_bound(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance, store_kept_open(instance):
        for number in range(100):
            address = f"sqlite:///{tmp_path}/{number}.db"
            engine = vars(sqlite_event_log)["create_engine"](address, poolclass=NullPool)
            with engine.connect() as connection:
                connection.execute(sqlalchemy.text("PRAGMA user_version"))
            engine.dispose()
            assert len(_held(tmp_path)) <= 40
    assert _held(tmp_path) == []


def test_connections_to_a_server_are_kept_meanwhile_and_tried_before_use() -> None:
    def part(user: str, pool: type[Pool]) -> Any:
        address = f"postgresql+psycopg2://{user}@127.0.0.1:1/store"
        engine = sqlalchemy.create_engine(address, poolclass=pool)
        return SimpleNamespace(postgres_url=address, _token_provider=None, _engine=engine)

    runs, events, pooled = part("a", NullPool), part("b", NullPool), part("c", QueuePool)
    store: Any = SimpleNamespace(
        run_storage=runs, event_log_storage=events, schedule_storage=pooled
    )
    before = [each._engine for each in (runs, events, pooled)]
    with store_kept_open(store):
        kept = [each._engine for each in (runs, events, pooled)]
        assert [type(each.pool) for each in kept] == [QueuePool] * 3
        assert [each._pre_ping for each in (kept[0].pool, kept[1].pool)] == [True, True]
        assert [each.url.username for each in kept] == ["a", "b", "c"]
        assert kept[2] is before[2]
        with store_kept_open(store):
            assert [each._engine for each in (runs, events, pooled)] == kept
        assert [each._engine for each in (runs, events, pooled)] == kept
    assert [each._engine for each in (runs, events, pooled)] == before


def test_a_store_without_a_part_is_kept_open_as_well() -> None:
    with dg.DagsterInstance.ephemeral() as instance, store_kept_open(instance):
        assert instance.get_runs() == []
