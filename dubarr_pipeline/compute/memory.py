"""Memory: free, held by this process, and not given back by a stage."""

import contextlib
import gc
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.compute.devices import Device, devices
from dubarr_pipeline.compute.oom_fallback import StepDown, recording_steps
from dubarr_pipeline.compute.reserves import give_back_reserve, share_reserve
from dubarr_pipeline.compute.subreaper import descendants

RSS_TOLERANCE_BYTES = 256 << 20
"""Tolerated growth of this process in a stage: libraries stay imported, caches stay warm.
Measured on a film of two lines: 34 MB by `vocals`, 17 MB and less by the others."""
CHILD_TOLERANCE_BYTES = 32 << 20
"""Tolerated memory of processes that a stage leaves running: a bare Python takes 10 MB."""
VRAM_TOLERANCE_BYTES = 256 << 20
"""Less than a CUDA context takes that is left behind (300 MiB and more); displays vary a little."""
_COLLECTED_BYTES = 8 << 20
"""Growth from which a stage's garbage is worth looking for: in three hours of film, 20 MB of it."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """Memory at one moment: of this process, its descendants by id, the system, and every GPU."""

    rss_bytes: int
    children: tuple[tuple[int, int], ...]
    free_ram_bytes: int
    vram: tuple[Device, ...] = ()


@dataclass(frozen=True, slots=True)
class MemoryKept:
    """Growth of this process and of all GPUs' use in a stage, and what its left processes hold."""

    rss_bytes: int = 0
    child_bytes: int = 0
    vram_bytes: int = 0

    @property
    def faults(self) -> tuple[str, ...]:
        """Violations of the tolerances, in words; empty if everything was given back."""
        rows = (
            ("this process has grown by", self.rss_bytes, RSS_TOLERANCE_BYTES),
            ("processes that still run hold", self.child_bytes, CHILD_TOLERANCE_BYTES),
            ("GPU memory in use has grown by", self.vram_bytes, VRAM_TOLERANCE_BYTES),
        )
        return tuple(
            f"{words} {size / 1e6:.0f} MB (tolerated: {tolerated / 1e6:.0f})"
            for words, size, tolerated in rows
            if size > tolerated
        )


def read_memory() -> MemoryReading:
    """Measure now, including the reserves of Python and the C library."""
    return MemoryReading(
        rss_of(os.getpid()),
        tuple((pid, rss) for pid in _below(os.getpid()) if (rss := rss_of(pid))),
        free_ram_bytes(),
        devices(),
    )


def kept(before: MemoryReading, after: MemoryReading) -> MemoryKept:
    """Compare the end of a stage with its beginning."""
    known = {pid for pid, _ in before.children}
    used = {reading.uuid: reading.used_bytes for reading in before.vram}
    return MemoryKept(
        max(0, after.rss_bytes - before.rss_bytes),
        sum(rss for pid, rss in after.children if pid not in known),
        sum(max(0, r.used_bytes - used.get(r.uuid, r.used_bytes)) for r in after.vram),
    )


def _below(pid: int) -> Iterable[int]:
    """Return every process below one as the kernel lists them, where it does.

    That takes a tenth of a look at all ninety processes of an idle system, and a stage looks twice.
    One may be left out while another ends: enough to measure by, not to end them all by.
    """
    listed = Path(f"/proc/{pid}/task/{pid}/children").is_file()
    return _listed_below(pid) if listed else descendants(pid)


def _listed_below(pid: int) -> Iterator[int]:
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text(encoding="ascii").split():
                yield int(child)
                yield from _listed_below(int(child))


def rss_of(pid: int) -> int:
    """Return a process's resident bytes; 0 if it is gone, or on systems that do not report them."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def free_ram_bytes() -> int:
    """Return the bytes that the system, and our control group, can still give."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        available = os.sysconf("SC_PHYS_PAGES") * _PAGE
    else:
        values = dict(line.split(":", 1) for line in lines)
        available = int(values["MemAvailable"].split()[0]) << 10
    return min(available, _left_in_group())


def _left_in_group(root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes left in a container's control group (version 2); without one, no bound."""
    try:
        limit = (root / "memory.max").read_text(encoding="ascii").strip()
        used = int((root / "memory.current").read_text(encoding="ascii"))
        stat = (root / "memory.stat").read_text(encoding="ascii")
    except (OSError, ValueError):
        return 1 << 62
    if not limit.isdigit():
        return 1 << 62
    reclaimable = dict(line.split() for line in stat.splitlines()).get("inactive_file", "0")
    return max(0, int(limit) - used + int(reclaimable))


_T = TypeVar("_T")
_MB = 1e6


@dataclass(frozen=True, slots=True)
class MemoryNote:
    """Memory after a stage's work, in MB (10^6 bytes), and the steps down of its engines."""

    rss_mb: float
    free_ram_mb: float
    free_vram_mb: Mapping[str, float] = field(default_factory=dict[str, float])
    kept: MemoryKept = field(default_factory=MemoryKept)
    faults: tuple[str, ...] = ()
    steps_down: tuple[StepDown, ...] = ()


def measured(work: Callable[[], _T]) -> tuple[_T, MemoryNote]:
    """Do a stage's work, and measure memory before and after it.

    The C library's reserves go back to the system, so that stages' peaks do not add up. Garbage is
    collected only if memory seems kept: to look at all takes longer than many a stage.
    """
    share_reserve()
    give_back_reserve()
    before = read_memory()
    with recording_steps() as steps:
        result = work()
    give_back_reserve()
    # Garbage of this stage alone: what was here before is of an older generation after the first.
    if rss_of(os.getpid()) - before.rss_bytes > _COLLECTED_BYTES:
        gc.collect(0)
        give_back_reserve()
    after = read_memory()
    growth = kept(before, after)
    if growth.faults:
        gc.collect()
        give_back_reserve()
        after = read_memory()
        growth = kept(before, after)
    note = MemoryNote(
        round(after.rss_bytes / _MB, 1),
        round(after.free_ram_bytes / _MB, 1),
        {gpu.uuid: round(gpu.free_bytes / _MB, 1) for gpu in after.vram},
        growth,
        growth.faults,
        tuple(steps),
    )
    return result, note


_NOTES = TypeAdapter(MemoryNote)


def note_as_json(note: MemoryNote) -> dict[str, Any]:
    """Return the note as a JSON object."""
    return _NOTES.dump_python(note, mode="json")


def note_from_json(document: object) -> MemoryNote | None:
    """Return the note in a JSON document, or None if it holds none."""
    try:
        return _NOTES.validate_python(document)
    except ValidationError:
        return None
