"""The materialization store, read as the checkpoint table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from dubarr_pipeline.checkpoints import Record

PREFIX = "dubarr/"
_AT_ONCE = 500
"""Events per question to the store."""


@dataclass(frozen=True, slots=True)
class Materialization:
    """A stage's last recorded result for one video.

    Attributes:
        record: what the checkpoint decision needs.
        metadata: all that was recorded with it, as Dagster's values.
        timestamp: when it was recorded, seconds since 1970.
        run_id: the run that recorded it.
    """

    record: Record
    metadata: Mapping[str, dg.MetadataValue]
    timestamp: float
    run_id: str

    def number(self, name: str) -> float | None:
        """A recorded number, or None."""
        value = self.metadata.get(name)
        return (
            float(value.value)
            if value is not None and isinstance(value.value, int | float)
            else None
        )

    @property
    def reused(self) -> bool:
        """Whether the stage did no work that time."""
        value = self.metadata.get("reused")
        return bool(value is not None and value.value)


def stage_key(stage: str) -> dg.AssetKey:
    """The asset key of a stage; prefixed, because Dagster refuses a bare asset name ``context``."""
    return dg.AssetKey(["dub", stage])


def last_materialization(
    instance: dg.DagsterInstance, stage: str, key: str
) -> Materialization | None:
    """Read the last result of a stage for a video, or None if none carries a record."""
    wanted = dg.AssetRecordsFilter(asset_key=stage_key(stage), asset_partitions=[key])
    for found in instance.fetch_materializations(wanted, limit=1).records:
        event = found.asset_materialization
        record = _record(event.metadata) if event else None
        if event and record:
            return Materialization(record, event.metadata, found.timestamp, found.run_id)
    return None


def last_materializations(
    instance: dg.DagsterInstance, stage: str, keys: Iterable[str]
) -> dict[str, Materialization]:
    """Read the last result of a stage for many videos, in few questions to the store."""
    ids = latest_events(instance, stage)
    key_of = {ids[key]: key for key in keys if key in ids}
    found: dict[str, Materialization] = {}
    for some in _batches(list(key_of)):
        wanted = dg.AssetRecordsFilter(asset_key=stage_key(stage), storage_ids=some)
        for each in instance.fetch_materializations(wanted, limit=len(some)).records:
            event, key = each.asset_materialization, key_of[each.storage_id]
            record = _record(event.metadata) if event else None
            if event and record:
                found[key] = Materialization(record, event.metadata, each.timestamp, each.run_id)
            elif made := last_materialization(instance, stage, key):
                found[key] = made
    return found


def latest_events(instance: dg.DagsterInstance, stage: str) -> Mapping[str, int]:
    """The store's number of each video's last materialization of a stage."""
    return instance.event_log_storage.get_latest_storage_id_by_partition(
        stage_key(stage), dg.DagsterEventType.ASSET_MATERIALIZATION
    )


def _batches(ids: list[int]) -> list[list[int]]:
    return [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]


def record_metadata(record: Record) -> dict[str, dg.MetadataValue]:
    """What a materialization must carry to be a checkpoint."""
    return {
        f"{PREFIX}fingerprint": dg.MetadataValue.text(record.fingerprint),
        f"{PREFIX}production": dg.MetadataValue.text(record.production),
        f"{PREFIX}manifest": dg.MetadataValue.text(record.manifest),
        f"{PREFIX}inputs": dg.MetadataValue.json(dict(record.inputs)),
    }


def _record(metadata: Mapping[str, Any]) -> Record | None:
    names = ("fingerprint", "production", "manifest")
    found = {
        name: str(metadata[PREFIX + name].value) for name in names if PREFIX + name in metadata
    }
    if len(found) < len(names):
        return None
    inputs = metadata.get(f"{PREFIX}inputs")
    data = inputs.value if inputs is not None else {}
    return Record(**found, inputs=json.loads(data) if isinstance(data, str) else dict(data or {}))
