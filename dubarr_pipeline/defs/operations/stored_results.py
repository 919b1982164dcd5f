"""Results as the rows of the store have them, for tables of thousands of films.

Dagster makes some forty objects of a materialization, each of them checked. A table needs a few
texts and numbers of it: they are taken from the row, and Dagster makes only what it is asked for.
Until then it is not even loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import from_json

if TYPE_CHECKING:
    import dagster as dg

_AT_ONCE = 500
"""Rows per query to the store."""
_FIELDS: Mapping[str, tuple[str, type | tuple[type, ...]]] = {
    "TextMetadataEntryData": ("text", str),
    "IntMetadataEntryData": ("value", int),
    "FloatMetadataEntryData": ("value", float),
    "BoolMetadataEntryData": ("value", bool),
    "JsonMetadataEntryData": ("data", (dict, list)),
}
"""Kind of an entry in the store -> the field that is its value, and the type of that."""
_CLASSES = ("EventLogEntry", "DagsterEvent", "StepMaterializationData", "AssetMaterialization")
"""Of a row, from the outside to the materialization in it."""
_TOLD_BY_CLASS = {"PathMetadataEntryData": "path", "UrlMetadataEntryData": "url"}
"""Kinds whose values are texts as well."""
_MARKDOWN = "MarkdownMetadataEntryData"


class _Packed:
    """Entry of a kind that its value alone does not tell, as the store has it."""

    __slots__ = ("entry",)

    def __init__(self, entry: dict[str, Any]) -> None:
        self.entry = entry

    def value(self) -> Any:
        """Return the value as Dagster's class has it."""
        field = _TOLD_BY_CLASS.get(self.entry["__class__"])
        return self.entry[field] if field else self.made().value

    def made(self) -> dg.MetadataValue[Any]:
        """Return it as Dagster makes it."""
        from dagster_shared.serdes import unpack_value

        return cast("dg.MetadataValue[Any]", unpack_value(self.entry))


class StoredMetadata(Mapping[str, "dg.MetadataValue"]):
    """Metadata of a row; Dagster makes each value when it is asked for."""

    __slots__ = ("_values",)

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        self._values: dict[str, Any] = {}
        for each in entries:
            entry = each["entry_data"]
            field, kind = _FIELDS.get(entry["__class__"], ("", ()))
            value = entry.get(field)
            self._values[each["label"]] = value if isinstance(value, kind) else _Packed(entry)

    def __getitem__(self, name: str) -> dg.MetadataValue:
        value = self._values[name]
        if isinstance(value, _Packed):
            return value.made()
        from dagster._core.definitions.metadata import normalize_metadata_value

        return normalize_metadata_value(value)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def plain(self, name: str) -> Any:
        """Return the value of an entry without Dagster's class around it; None without it."""
        value = self._values.get(name)
        return value.value() if isinstance(value, _Packed) else value

    def plain_values(self) -> Iterator[tuple[str, Any]]:
        """Yield all values in their order, but for texts with pictures and links."""
        for name, value in self._values.items():
            if not isinstance(value, _Packed):
                yield name, value
            elif value.entry["__class__"] != _MARKDOWN:
                yield name, value.value()


@dataclass(frozen=True, slots=True)
class StoredResult:
    """Materialization of a row; attributes as of Dagster's `EventLogRecord`."""

    storage_id: int
    metadata: StoredMetadata
    timestamp: float
    run_id: str


def read_results(
    instance: dg.DagsterInstance, storage_ids: Sequence[int]
) -> Iterator[StoredResult]:
    """Yield the materializations of some rows, in any order."""
    import sqlalchemy
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

    table, storage = SqlEventLogStorageTable, instance.event_log_storage
    for start in range(0, len(storage_ids), _AT_ONCE):
        some = storage_ids[start : start + _AT_ONCE]
        wanted = sqlalchemy.select(table.c.id, table.c.event).where(table.c.id.in_(some))
        # Every storage of Dagster is one of SQL, or passes this on to one.
        with storage.index_connection() as store:  # pyright: ignore[reportAttributeAccessIssue]
            rows = store.execute(wanted).fetchall()
        for storage_id, text in rows:
            if found := read_row(storage_id, text):
                yield found


def read_row(storage_id: int, text: str) -> StoredResult | None:
    """Return a row as a result; None if it is none."""
    try:
        document = from_json(text, cache_strings="keys")
        event = document["dagster_event"]
        data = event["event_specific_data"]
        made = data["materialization"]
        if tuple(each["__class__"] for each in (document, event, data, made)) == _CLASSES:
            metadata = StoredMetadata(made["metadata_entries"])
            return StoredResult(storage_id, metadata, document["timestamp"], document["run_id"])
    # A form of earlier versions, or a surrogate in a name.
    except (KeyError, TypeError, ValueError):
        pass
    return _read_by_dagster(storage_id, text)


def _read_by_dagster(storage_id: int, text: str) -> StoredResult | None:
    """Return a row that an earlier Dagster wrote."""
    from dagster import EventLogEntry
    from dagster_shared.serdes import deserialize_value, pack_value

    entry = deserialize_value(text, EventLogEntry)
    made = entry.asset_materialization
    if made is None:
        return None
    entries = [
        {"label": n, "entry_data": pack_value(cast("Any", v))} for n, v in made.metadata.items()
    ]
    return StoredResult(storage_id, StoredMetadata(entries), entry.timestamp, entry.run_id)
