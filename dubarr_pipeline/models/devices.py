"""Which processor a model works on, and that no two runs take the same one.

Devices are asked of the driver's own tool, so that no process but an engine's child ever imports a
model library or holds a CUDA context. Their numbers are those of ``nvidia-smi`` (PCI order), less
what ``CUDA_VISIBLE_DEVICES`` hides; the engines' children are told to count in the same order.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from dubarr_pipeline.errors import SettingsError

CHOICES = "auto, cuda, cuda:N, GPU-<uuid>, mps, cpu"
_QUERY = "index,uuid,name,memory.total,memory.used,memory.free"
_PATIENCE_S = 20.0
_MIB = 1 << 20
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU that this process may use.

    Attributes:
        name: as PyTorch calls it, ``"cuda:0"``.
        uuid: as the driver calls it, ``"GPU-..."``; the same in every process.
        model: e.g. ``"NVIDIA H200"``.
        total_bytes, used_bytes, free_bytes: its memory now, whoever uses it.
    """

    name: str
    uuid: str
    model: str
    total_bytes: int
    used_bytes: int
    free_bytes: int

    def __str__(self) -> str:
        free = f"{self.free_bytes / 1e9:.1f} of {self.total_bytes / 1e9:.1f} GB free"
        return f"{self.name} ({self.model}, {self.uuid}, {free})"


def devices() -> tuple[Device, ...]:
    """Return the GPUs that this process may use, by number; none without NVIDIA's driver."""
    rows = [row for line in _nvidia_smi(_QUERY) if (row := _device(line))]
    return tuple(
        Device(f"cuda:{number}", row.uuid, row.model, *_memory_of(row))
        for number, row in enumerate(_visible(rows, os.environ.get("CUDA_VISIBLE_DEVICES")))
    )


def choose_device(asked: str, *, torch: bool = True) -> str:
    """Return the device to work on: ``"cuda:N"``, ``"mps"`` or ``"cpu"``.

    Args:
        asked: "auto" takes the GPU with most free memory, else Apple's, else the CPU; "cuda" must
            be a GPU; "cuda:N" and "GPU-<uuid>" (or its beginning) are one.
        torch: whether the model runs in PyTorch; CTranslate2 brings CUDA of its own and has no mps.

    Raises:
        SettingsError: if it is not here; it says why and lists the choices.
    """
    return _candidates(asked, torch)[0][0]


@dataclass(frozen=True, slots=True)
class DeviceLease:
    """A device that no other run of ours uses meanwhile.

    Attributes:
        device: as PyTorch calls it.
        held: descriptors to be held open by a child that works on it, so that the device stays
            taken until the child is gone too, even if this process is killed.
    """

    device: str
    held: tuple[int, ...] = ()


@contextlib.contextmanager
def lease_device(
    asked: str, *, torch: bool = True, on_wait: Callable[[str], None] | None = None
) -> Iterator[DeviceLease]:
    """Take a device for as long as the block lasts; wait while all that would do are taken.

    Several GPUs are used side by side: each run takes a free one. Engines of one process share
    theirs. The CPU is never waited for.

    Args:
        asked: as in `choose_device`.
        torch: as in `choose_device`.
        on_wait: told once what is waited for.

    Raises:
        SettingsError: as `choose_device`.
    """
    candidates = _candidates(asked, torch)
    taken = _take_one(candidates)
    if taken is None:
        names = ", ".join(name for name, _ in candidates)
        (on_wait or _ignore)(f"waiting for {names}: another run works there")
    while taken is None:
        time.sleep(_LOOK_EVERY_S)
        taken = _take_one(candidates)
    name, uuid, held = taken
    try:
        yield DeviceLease(name, held)
    finally:
        _give_back(uuid)


def _ignore(_: str) -> None: ...


def _candidates(asked: str, torch: bool) -> list[tuple[str, str | None]]:
    """What would do, best first: (name, uuid), without uuid where nothing is to be leased."""
    if asked == "cpu":
        return [("cpu", None)]
    apple = torch and _is_apple()
    if asked == "mps":
        if not apple:
            raise _not_here(asked, "this is no Mac with Apple silicon", devices())
        return [("mps", None)]
    if not re.fullmatch(r"auto|cuda(:\d+)?|GPU-[0-9a-fA-F-]+", asked):
        raise SettingsError(f"unknown device {asked!r}; choose one of: {CHOICES}")
    here, fault = devices(), _cuda_fault(torch)
    if asked == "auto":
        usable = [] if fault else _freest_first(here)
        return usable or [("mps" if apple else "cpu", None)]
    fault = fault or (None if here else _why_none())
    if fault:
        raise _not_here(asked, fault, here)
    return _matching(asked, here)


def _matching(asked: str, here: Sequence[Device]) -> list[tuple[str, str | None]]:
    if asked == "cuda":
        return _freest_first(here)
    found = [d for d in here if asked == d.name or d.uuid.lower().startswith(asked.lower())]
    if len(found) != 1:
        why = "no such GPU is here" if not found else "that begins several names"
        raise _not_here(asked, why, here)
    return [(found[0].name, found[0].uuid)]


def _freest_first(here: Sequence[Device]) -> list[tuple[str, str | None]]:
    return [(d.name, d.uuid) for d in sorted(here, key=lambda d: -d.free_bytes)]


def _not_here(asked: str, why: str, here: Sequence[Device]) -> SettingsError:
    listed = ", ".join([*(str(device) for device in here), "cpu"])
    return SettingsError(f"device {asked!r}: {why}; here are: {listed}; or set device = auto")


def _is_apple() -> bool:
    return sys.platform == "darwin" and platform.machine() == "arm64"


def _why_none() -> str:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and any(_nvidia_smi(_QUERY)):
        return f"CUDA_VISIBLE_DEVICES={hidden!r} hides every GPU"
    if shutil.which("nvidia-smi") is None:
        return "there is no NVIDIA driver (nvidia-smi is not installed)"
    return "nvidia-smi shows no GPU"


def _cuda_fault(torch: bool) -> str | None:
    """Why PyTorch could not use a GPU, told without importing it; None if it could."""
    if not torch:
        return None
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return "PyTorch is not installed: pip install 'dubarr-pipeline[studio]'"
    # 100 lines of constants that PyTorch writes when it is built.
    version = Path(spec.origin).with_name("version.py")
    text = version.read_text(encoding="utf-8") if version.exists() else ""
    if re.search(r"^cuda\b.*=\s*None\s*$", text, re.MULTILINE):
        return "the installed PyTorch is built for the CPU alone: install its CUDA build"
    return None


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of nvidia-smi; memory in MiB, None where it is not told."""

    uuid: str
    model: str
    total: int | None
    used: int | None
    free: int | None


def _nvidia_smi(query: str) -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, f"--query-gpu={query}", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return told.stdout.splitlines() if told.returncode == 0 else []


def _device(line: str) -> _Row | None:
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) != len(_QUERY.split(",")):
        return None
    total, used, free = (int(cell) if cell.isdigit() else None for cell in cells[3:])
    return _Row(cells[1], cells[2], total, used, free)


def _memory_of(row: _Row) -> tuple[int, int, int]:
    """Total, used and free bytes; where free is not told, what is left of the total."""
    total, used = row.total or 0, row.used or 0
    free = row.free if row.free is not None else max(0, total - used)
    return total * _MIB, used * _MIB, free * _MIB


def _visible(rows: list[_Row], variable: str | None) -> list[_Row]:
    """What CUDA shows, in its order: up to the first entry that names nothing (as CUDA does)."""
    if variable is None:
        return rows
    shown: list[_Row] = []
    for entry in (part.strip() for part in variable.split(",")):
        row = _entry(rows, entry)
        if row is None or row in shown:
            break
        shown.append(row)
    return shown


def _entry(rows: list[_Row], entry: str) -> _Row | None:
    if entry.isdigit():
        return rows[int(entry)] if int(entry) < len(rows) else None
    if entry.startswith("MIG-"):
        # A part of a GPU; the driver's tool does not tell its memory.
        return _Row(entry, "part of a GPU", None, None, None)
    found = [row for row in rows if entry and row.uuid.startswith(entry)]
    return found[0] if len(found) == 1 else None


_leases_lock = threading.Lock()
_leases: dict[str, tuple[int, int]] = {}
"""Of this process: uuid -> (descriptor, how many hold it)."""


def _take_one(
    candidates: Sequence[tuple[str, str | None]],
) -> tuple[str, str | None, tuple[int, ...]] | None:
    with _leases_lock:
        ours = [c for c in candidates if c[1] in _leases]
        for name, uuid in [*ours, *candidates]:
            if uuid is None:
                return name, None, ()
            descriptor = _lock(uuid)
            if descriptor is not None:
                return name, uuid, (descriptor,)
    return None


def _lock(uuid: str) -> int | None:
    """The descriptor of a device's lock, or None while another process holds it."""
    if uuid in _leases:
        descriptor, count = _leases[uuid]
        _leases[uuid] = (descriptor, count + 1)
        return descriptor
    descriptor = _open(Path(tempfile.gettempdir()) / f"dubarr-{uuid}.lock")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    _leases[uuid] = (descriptor, 1)
    return descriptor


def _open(path: Path) -> int:
    # Not created if it is there: Linux refuses that for another user's file in a shared folder.
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _give_back(uuid: str | None) -> None:
    if uuid is None:
        return
    with _leases_lock:
        descriptor, count = _leases[uuid]
        if count > 1:
            _leases[uuid] = (descriptor, count - 1)
            return
        del _leases[uuid]
        os.close(descriptor)
