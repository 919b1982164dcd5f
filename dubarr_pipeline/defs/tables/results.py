"""Results of stages as checkpoints: what a plan, a table and a run ask of them, without Dagster."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dubarr_pipeline.defs.operations.stored_results import StoredMetadata
from dubarr_pipeline.workdir.checkpoints import Record

if TYPE_CHECKING:
    import dagster as dg

PREFIX = "dubarr/"
TEXTS = ("fingerprint", "production", "manifest")
"""Names of the record's texts in the metadata, behind the prefix."""
_OF_EVERY_STAGE = ("seconds", "reused", "reason")


@dataclass(frozen=True, slots=True)
class Materialization:
    """Last recorded result of a stage for one video.

    Attributes:
        metadata: everything that was recorded with it, as Dagster's values.
        timestamp: time of the record, seconds since 1970.
    """

    record: Record
    metadata: Mapping[str, dg.MetadataValue]
    timestamp: float
    run_id: str

    def value(self, name: str) -> Any:
        """Return what was recorded under a name, as plain JSON; None if nothing was."""
        return _plain_value(self.metadata, name)

    def number(self, name: str) -> float | None:
        """Return a recorded number, or None."""
        value = self.value(name)
        return float(value) if isinstance(value, int | float) else None

    def figures(self) -> dict[str, str | float | int]:
        """Return the texts and numbers about this result, without what every stage says."""
        return {
            name: value
            for name, value in _plain_values(self.metadata)
            if isinstance(value, int | float | str)
            and "/" not in name
            and name not in _OF_EVERY_STAGE
        }

    @property
    def reused(self) -> bool:
        """True if the stage did no work that time."""
        return bool(self.value("reused"))


StageResults = Mapping[str, Mapping[str, Materialization]]
"""The last results by stage and video; a video without one is not in it."""


def record_in(metadata: Mapping[str, Any]) -> Record | None:
    """Return the checkpoint that metadata carries, or None."""
    if any(PREFIX + name not in metadata for name in TEXTS):
        return None
    found = {name: str(_plain_value(metadata, PREFIX + name)) for name in TEXTS}
    data = _plain_value(metadata, f"{PREFIX}inputs")
    return Record(**found, inputs=json.loads(data) if isinstance(data, str) else dict(data or {}))


def _plain_value(metadata: Mapping[str, dg.MetadataValue], name: str) -> Any:
    """Return the value of an entry without Dagster's class around it; None without one."""
    if isinstance(metadata, StoredMetadata):
        return metadata.plain(name)
    return getattr(metadata.get(name), "value", None)


def _plain_values(metadata: Mapping[str, dg.MetadataValue]) -> Iterator[tuple[str, Any]]:
    if isinstance(metadata, StoredMetadata):
        yield from metadata.plain_values()
        return
    # Whoever has values of Dagster's has loaded it.
    from dagster import MarkdownMetadataValue

    for name, value in metadata.items():
        if not isinstance(value, MarkdownMetadataValue):
            yield name, value.value
