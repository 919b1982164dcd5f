"""How much memory is free, how much of it is ours, and whether a stage gave back what it took."""

from __future__ import annotations

import ctypes
import gc
import os
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline.models.devices import devices

RSS_TOLERANCE_BYTES = 256 << 20
"""What this process may have grown by in a stage: libraries stay imported, caches stay warm.
Measured on a film of two lines: 34 MB by `vocals`, 17 MB and less by the others."""
CHILD_TOLERANCE_BYTES = 32 << 20
"""What processes that a stage has started may hold after it: a bare Python takes 10 MB."""
VRAM_TOLERANCE_BYTES = 256 << 20
"""A CUDA context that is left behind takes 300 MiB and more; displays and drivers move a little."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class VramReading:
    """The memory of one GPU, whoever uses it."""

    uuid: str
    used_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """Memory at one moment.

    Attributes:
        rss_bytes: resident in this process.
        children: the processes that it has started (and theirs), by id, with what they hold.
        free_ram_bytes: what the system can still give.
        vram: of every GPU that this process may use.
    """

    rss_bytes: int
    children: tuple[tuple[int, int], ...]
    free_ram_bytes: int
    vram: tuple[VramReading, ...] = ()


@dataclass(frozen=True, slots=True)
class MemoryKept:
    """What is not back at the end of a stage, against its beginning; 0 where all is.

    Attributes:
        rss_bytes, vram_bytes: growth of this process, and of what is used of all GPUs.
        child_bytes: held by processes that were started and still live.
    """

    rss_bytes: int = 0
    child_bytes: int = 0
    vram_bytes: int = 0

    @property
    def faults(self) -> tuple[str, ...]:
        """What goes beyond the tolerances, in words; empty if all was given back."""
        rows = (
            ("this process has grown by", self.rss_bytes, RSS_TOLERANCE_BYTES),
            ("processes that still live hold", self.child_bytes, CHILD_TOLERANCE_BYTES),
            ("GPU memory in use has grown by", self.vram_bytes, VRAM_TOLERANCE_BYTES),
        )
        return tuple(
            f"{words} {size / 1e6:.0f} MB (tolerated: {tolerated / 1e6:.0f})"
            for words, size, tolerated in rows
            if size > tolerated
        )


def read_memory() -> MemoryReading:
    """Measure now, with what Python and the C library keep in reserve."""
    return MemoryReading(
        rss_of(os.getpid()),
        tuple((pid, rss_of(pid)) for pid in descendants(os.getpid())),
        free_ram_bytes(),
        tuple(VramReading(d.uuid, d.used_bytes, d.free_bytes) for d in devices()),
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


def rss_of(pid: int) -> int:
    """Bytes of a process that are resident; 0 if it is gone, or where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def descendants(pid: int) -> tuple[int, ...]:
    """The processes that a process has started, and those that they have, while they live."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text(encoding="ascii").split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return tuple(found)


def free_ram_bytes() -> int:
    """What the system, and the control group that we live in, can still give."""
    return min(_available(), _left_in_group())


def _available() -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return os.sysconf("SC_PHYS_PAGES") * _PAGE
    values = dict(line.split(":", 1) for line in lines)
    return int(values["MemAvailable"].split()[0]) << 10


def _left_in_group(root: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes up to the limit of a container's control group (version 2); without one, no bound."""
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


def release_reserves() -> None:
    """Have Python collect its garbage, and the C library give back what it keeps in reserve."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
