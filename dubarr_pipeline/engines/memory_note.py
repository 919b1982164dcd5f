"""What a stage's work did to memory: what is free, what was not given back, who stepped down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.engines.ladder import StepDown, recording_steps
from dubarr_pipeline.models.memory import MemoryKept, kept, read_memory, release_reserves

_T = TypeVar("_T")
_MB = 1e6


@dataclass(frozen=True, slots=True)
class MemoryNote:
    """Memory after a stage's work, in MB (10^6 bytes).

    Attributes:
        rss_mb: resident in this process.
        free_ram_mb: what the system can still give.
        free_vram_mb: the same of every GPU, by UUID.
        kept: what the work did not give back.
        faults: what of it goes beyond the tolerances, in words.
        steps_down: where an engine ran out of memory, and how it went on.
    """

    rss_mb: float
    free_ram_mb: float
    free_vram_mb: Mapping[str, float] = field(default_factory=dict[str, float])
    kept: MemoryKept = field(default_factory=MemoryKept)
    faults: tuple[str, ...] = ()
    steps_down: tuple[StepDown, ...] = ()


def measured(work: Callable[[], _T]) -> tuple[_T, MemoryNote]:
    """Do a stage's work, and measure memory before and after it.

    Collecting garbage takes longer than many a stage: it is done where something seems kept.
    """
    before = read_memory()
    with recording_steps() as steps:
        result = work()
    after = read_memory()
    found = kept(before, after)
    if found.faults:
        release_reserves()
        after = read_memory()
        found = kept(before, after)
    note = MemoryNote(
        round(after.rss_bytes / _MB, 1),
        round(after.free_ram_bytes / _MB, 1),
        {gpu.uuid: round(gpu.free_bytes / _MB, 1) for gpu in after.vram},
        found,
        found.faults,
        tuple(steps),
    )
    return result, note


_NOTES = TypeAdapter(MemoryNote)


def note_as_json(note: MemoryNote) -> dict[str, Any]:
    """The note as a JSON object."""
    return _NOTES.dump_python(note, mode="json")


def note_from_json(document: object) -> MemoryNote | None:
    """Read a note again; None if it is none."""
    try:
        return _NOTES.validate_python(document)
    except ValidationError:
        return None
