"""Results read from rows, against what Dagster makes of the same rows."""

from __future__ import annotations

import json
from collections.abc import Iterator

import dagster as dg
import pytest
import sqlalchemy
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from sqlalchemy import event

from dubarr_pipeline.defs.operations import stored_results
from dubarr_pipeline.defs.operations.stored_results import StoredResult, read_results

KEY = dg.AssetKey(["dub", "mux"])
VALUES = {
    "text": "a\nfilm",
    "nobody": dg.MetadataValue.null(),
    "lines": 3,
    "seconds": 1.5,
    "unknown": float("nan"),
    "reused": False,
    "failures": {"too long": 2, "": [1, {"b": None}], "a": {}},
    "list": ["a", 1],
    "numbered": {1: "one"},
    "picture": dg.MetadataValue.md("![two](data:,)"),
    "film": dg.MetadataValue.path("/films/a.mkv"),
    "review": dg.MetadataValue.url("http://localhost/a"),
    "at": dg.MetadataValue.timestamp(12.5),
    "run": dg.MetadataValue.dagster_run("f2"),
    "table": dg.MetadataValue.table(records=[dg.TableRecord({"a": 1})]),
    "dubarr/inputs": {"mux": "a"},
    "last": "öäü \U0001f3ac",
}


@pytest.fixture
def store() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        made = dg.AssetMaterialization(KEY, metadata=VALUES, partition="a-film-00000001")
        instance.report_runless_asset_event(made)
        yield instance


def both(store: dg.DagsterInstance) -> tuple[StoredResult, dg.EventLogRecord]:
    """The last result as we read it, and as Dagster does."""
    (record,) = store.fetch_materializations(KEY, limit=1).records
    (found,) = read_results(store, [record.storage_id])
    return found, record


def check_same(store: dg.DagsterInstance) -> StoredResult:
    found, record = both(store)
    assert (found.storage_id, found.timestamp, found.run_id) == (
        record.storage_id,
        record.timestamp,
        record.run_id,
    )
    made = record.asset_materialization
    assert made
    assert list(found.metadata) == list(made.metadata)
    for name, value in made.metadata.items():
        assert repr(found.metadata[name]) == repr(value)
        assert repr(found.metadata.plain(name)) == repr(value.value)
        assert name in found.metadata
    shown = [n for n, v in made.metadata.items() if not isinstance(v, dg.MarkdownMetadataValue)]
    assert [name for name, _ in found.metadata.plain_values()] == shown
    assert found.metadata.plain("absent") is None
    return found


def change(store: dg.DagsterInstance, before: str, after: str) -> None:
    """Change the text of the only row, as another version may have written it."""
    table = SqlEventLogStorageTable
    with store.event_log_storage.index_connection() as rows:  # type: ignore[attr-defined]
        (text,) = rows.execute(sqlalchemy.select(table.c.event)).fetchone()
        assert before in text
        rows.execute(table.update().values(event=text.replace(before, after)))
        rows.commit()


def test_it_says_what_dagster_says(store, monkeypatch):
    monkeypatch.setattr(stored_results, "_read_by_dagster", None)
    check_same(store)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # An event of old, which Dagster reads still.
        ('"__class__": "AssetMaterialization"', '"__class__": "Materialization"'),
        # Half a character, which only Python reads.
        ("a.mkv", "\\\\ud800.mkv".replace("\\\\", "\\")),
    ],
)
def test_what_it_does_not_know_is_read_by_dagster(store, before, after):
    change(store, before, after)
    check_same(store)


def test_a_row_of_another_kind_is_no_result(store):
    with store.event_log_storage.index_connection() as rows:
        (text,) = rows.execute(sqlalchemy.select(SqlEventLogStorageTable.c.event)).fetchone()
    row = json.loads(text)
    row["dagster_event"]["event_specific_data"] = None
    row["dagster_event"]["event_type_value"] = "RUN_START"
    change(store, text, json.dumps(row))
    assert list(read_results(store, [1])) == []


def test_thousands_of_rows_take_one_query_for_each_five_hundred(store):
    for number in range(3):
        store.report_runless_asset_event(dg.AssetMaterialization(KEY, partition=f"{number}"))
    asked: list[str] = []
    engine = store.event_log_storage._engine
    event.listen(engine, "before_cursor_execute", lambda *seen: asked.append(str(seen[2])))
    assert len(list(read_results(store, list(range(1, 1001))))) == 4
    assert sum(each.startswith("SELECT") for each in asked) == 2
