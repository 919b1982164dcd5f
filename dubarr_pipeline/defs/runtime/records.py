"""Checkpoint records in the materialization store."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from dubarr_pipeline.compute.memory import MemoryNote, note_as_json, note_from_json
from dubarr_pipeline.defs.library_names import PLAIN, LibraryNames
from dubarr_pipeline.defs.operations.stored_results import read_results
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.defs.tables.results import (
    PREFIX,
    TEXTS,
    Materialization,
    StageResults,
    record_in,
)
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.text.printable import printable
from dubarr_pipeline.workdir.checkpoints import Record

PARTITION_TAG = "dagster/partition"
_MEMORY = "memory"


def last_materialization(
    instance: dg.DagsterInstance, stage: str, key: str, names: LibraryNames = PLAIN
) -> Materialization | None:
    """Read the last result of a stage for a video, or None if none carries a record."""
    wanted = dg.AssetRecordsFilter(asset_key=names.key(stage), asset_partitions=[key])
    found = instance.fetch_materializations(wanted, limit=1).records
    return _materialization(found[0]) if found else None


def last_materializations(
    instance: dg.DagsterInstance, stage: str, keys: Iterable[str], names: LibraryNames = PLAIN
) -> dict[str, Materialization]:
    """Read the last result of a stage for many videos, with few queries to the store."""
    ids = instance.event_log_storage.get_latest_storage_id_by_partition(
        names.key(stage), dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    key_of = {ids[key]: key for key in keys if key in ids}
    found: dict[str, Materialization] = {}
    for each in read_results(instance, list(key_of)):
        key, record = key_of[each.storage_id], record_in(each.metadata)
        if record:
            found[key] = Materialization(record, each.metadata, each.timestamp, each.run_id)
    return found


def stage_results(
    instance: dg.DagsterInstance, keys: Sequence[str], names: LibraryNames
) -> StageResults:
    """Read the last results of every stage for some videos."""
    if len(keys) == 1:
        # The many are found by a look at all videos of the store.
        (key,) = keys
        last = {stage: last_materialization(instance, stage, key, names) for stage in STAGE_NAMES}
        return {stage: {key: found} if found else {} for stage, found in last.items()}
    return {stage: last_materializations(instance, stage, keys, names) for stage in STAGE_NAMES}


def record_metadata(record: Record) -> dict[str, dg.MetadataValue]:
    """Return the metadata that makes a materialization a checkpoint."""
    texts = {PREFIX + n: dg.MetadataValue.text(getattr(record, n)) for n in TEXTS}
    return {**texts, f"{PREFIX}inputs": dg.MetadataValue.json(dict(record.inputs))}


def rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures as people read them: two digits after the point, of small numbers three."""
    return {
        name: round(value, 2 if abs(value) >= 1 else 3) if isinstance(value, float) else value
        for name, value in figures.items()
    }


def memory_metadata(note: MemoryNote) -> dict[str, dg.MetadataValue]:
    """Return the metadata by which a result carries its stage's memory figures."""
    return {_MEMORY: dg.MetadataValue.json(note_as_json(note))}


def memory_of(metadata: Mapping[str, Any]) -> MemoryNote | None:
    """Return the memory figures that a result carries; None where they were not measured."""
    value = metadata.get(_MEMORY)
    return note_from_json(value.value) if isinstance(value, dg.JsonMetadataValue) else None


def _materialization(found: dg.EventLogRecord) -> Materialization | None:
    """Return an event as a result, or None if it carries no record."""
    event = found.asset_materialization
    record = record_in(event.metadata) if event else None
    if not (event and record):
        return None
    return Materialization(record, event.metadata, found.timestamp, found.run_id)


videos = PLAIN.videos
stage_key = PLAIN.key


def add_video(instance: dg.DagsterInstance, key: str, names: LibraryNames = PLAIN) -> None:
    """Add a video to the partitions, unless it is one."""
    partitions = str(names.videos.name)
    if not instance.has_dynamic_partition(partitions, key):
        instance.add_dynamic_partitions(partitions, [key])


def remove_video(instance: dg.DagsterInstance, key: str, names: LibraryNames) -> None:
    """Remove a video from the partitions; its records stay in the store's log."""
    partitions = str(names.videos.name)
    if instance.has_dynamic_partition(partitions, key):
        instance.delete_dynamic_partition(partitions, key)


def newest_run(
    instance: dg.DagsterInstance, key: str, names: LibraryNames = PLAIN
) -> dg.RunRecord | None:
    """Return the newest run of a video, or None."""
    wanted = dg.RunsFilter(tags={PARTITION_TAG: key})
    # Only where another library has the same video, the newest of all is not the library's own.
    for limit in (1, None):
        for record in instance.get_run_records(wanted, limit=limit):
            if names.has(record.dagster_run):
                return record
    return None


def report_address(key: str) -> str:
    """Return the address of a film's report, below that of Dagster's webserver."""
    return f"/dubarr/report/{key}"


FILM_TAGS = ("Film", "Language")
"""They go first in the list, which Dagster sorts: capitals before its own and ours."""


def film_tags(video: Video) -> dict[str, str]:
    """Return the tags by which a person knows a run."""
    values = (printable(video.source.stem)[:60], ", ".join(video.target_langs))
    return dict(zip(FILM_TAGS, values, strict=True))
