"""The check that a stage gave its memory back, told from what was recorded with its result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dubarr_pipeline.engines.memory_note import MemoryNote, note_as_json, note_from_json
from dubarr_pipeline.records import stage_key

MEMORY = "memory"
_CHECK = "memory_returned"
_WITH_MODELS = ("vocals", "diarization", "transcript", "context", "segments")


def memory_specs(stage: str) -> list[dg.AssetCheckSpec]:
    """The check of a stage that loads models; none for the others."""
    if stage not in _WITH_MODELS:
        return []
    described = "The stage gave back all memory of the system and of the GPUs."
    return [dg.AssetCheckSpec(_CHECK, asset=stage_key(stage), description=described)]


def memory_results(stage: str, metadata: Mapping[str, Any]) -> list[dg.AssetCheckResult]:
    """The check's result, from the metadata of the stage's result, made now or earlier."""
    if stage not in _WITH_MODELS:
        return []
    note = note_of(metadata)
    if note is None:
        return [dg.AssetCheckResult(check_name=_CHECK, passed=True, metadata={"measured": False})]
    shown = {
        "grown_mb": note.kept.rss_bytes / 1e6,
        "processes_mb": note.kept.child_bytes / 1e6,
        "vram_mb": note.kept.vram_bytes / 1e6,
        "faults": "; ".join(note.faults) or "none",
    }
    return [
        dg.AssetCheckResult(
            check_name=_CHECK,
            passed=not note.faults,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata=shown,
        )
    ]


def note_metadata(note: MemoryNote) -> dict[str, Any]:
    """What a result carries of its stage's memory."""
    return {MEMORY: dg.MetadataValue.json(note_as_json(note))}


def note_of(metadata: Mapping[str, Any]) -> MemoryNote | None:
    """The memory that a result tells of; None where it was not measured."""
    value = metadata.get(MEMORY)
    return note_from_json(value.value) if isinstance(value, dg.JsonMetadataValue) else None
