"""Series in the store: their partitions, and what is recorded of their casts."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from dubarr_pipeline.defs.assets.checks import table
from dubarr_pipeline.defs.library_names import PLAIN, LibraryNames, names_of
from dubarr_pipeline.defs.stages import CAST
from dubarr_pipeline.library.series.corrections import (
    affected_episodes,
    cast_of,
    peoples_word,
)
from dubarr_pipeline.library.series.memory import CastMemory, SeriesFolder

_SHOWN = 20


def memory_dep(name: str, names: LibraryNames = PLAIN) -> dg.AssetDep:
    """Return the edge from a memory of series to a stage of videos.

    It is drawn, and nothing more: that a series remembers more makes no film stale, and a mapping
    without partitions costs nothing however many series there are.
    """
    nothing = dg.SpecificPartitionsPartitionMapping([])
    return dg.AssetDep(names.key(name), partition_mapping=nothing)


def record_cast(
    instance: dg.DagsterInstance,
    series: str,
    work_dir: Path,
    names: LibraryNames | None = None,
) -> None:
    """Record the cast of a series as it is now, unless that was recorded last."""
    folder = SeriesFolder.of(series, work_dir)
    memory = folder.read()
    if memory is None:
        return
    names = names or names_of(work_dir)
    partitions, asset = str(names.series.name), names.key(CAST)
    if not instance.has_dynamic_partition(partitions, series):
        instance.add_dynamic_partitions(partitions, [series])
    wanted = dg.AssetRecordsFilter(asset, asset_partitions=[series])
    last = instance.fetch_materializations(wanted, limit=1).records
    known = last[0].asset_materialization if last else None
    version = {DATA_VERSION_TAG: cast_version(folder)}
    if known is None or (known.tags or {}).get(DATA_VERSION_TAG) != version[DATA_VERSION_TAG]:
        about = cast_metadata(memory, folder)
        event = dg.AssetMaterialization(asset, partition=series, metadata=about, tags=version)
        instance.report_runless_asset_event(event)


def cast_version(folder: SeriesFolder) -> str:
    """Return a digest of a memory's file."""
    return hashlib.sha256(folder.cast.read_bytes()).hexdigest()[:32]


def cast_metadata(memory: CastMemory, folder: SeriesFolder) -> dict[str, Any]:
    """Return a series' people, and whom a person is asked about, for the UI."""
    word = peoples_word(memory)
    seen: dict[str, list[str]] = {name: [] for name in memory.characters}
    unsure: list[tuple[object, ...]] = []
    for key, episode in memory.episodes.items():
        own = cast_of(memory, key, word)
        for name in own.values():
            seen[name].append(episode.title)
        unsure += [
            (episode.title, who, each.proposed, each.why)
            for who, each in episode.speakers.items()
            if each.proposed and who not in own
        ]
    rows: list[tuple[object, ...]] = []
    for name, each in memory.characters.items():
        spoken = "; ".join(
            f"{engine} {language}: {voice}"
            for engine, chosen in each.voices.items()
            for language, voice in {**chosen, **word.voices.get(name, {}).get(engine, {})}.items()
        )
        called = word.names.get(name) or each.name or "-"
        rows.append((name, called, each.gender or "-", spoken or "-", len(seen[name])))
    return {
        "title": memory.title,
        "characters": len(memory.characters),
        "episodes": len(memory.episodes),
        "proposed": len(unsure),
        "not_respoken": ", ".join(affected_episodes(memory)[:_SHOWN]) or "none",
        "cast": table(("character", "name", "sex", "voices", "episodes"), rows),
        "unsure": table(("episode", "speaker", "may be", "why"), unsure[:_SHOWN]),
        "file": dg.MetadataValue.path(str(folder.cast)),
    }
