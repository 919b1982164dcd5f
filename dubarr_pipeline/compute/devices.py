"""Devices: the choice of a processor for a model, and leases so that no two runs take the same.

GPUs are listed by the driver's own tool, so that no process but an engine's child ever imports a
model library or holds a CUDA context. Their numbers are those of ``nvidia-smi`` (PCI order), less
those that ``CUDA_VISIBLE_DEVICES`` hides; the engines' children count in the same order.
"""

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
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from dubarr_pipeline.errors import SettingsError

CHOICES = "auto, cuda, cuda:N, GPU-<uuid>, mps, cpu"
_QUERY = "index,uuid,name,memory.total,memory.used,memory.free"
_QUERY_TIMEOUT_S = 20.0
_MIB = 1 << 20
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU that this process may use: PyTorch's name, the driver's uuid, and its memory now."""

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
    listed: list[Device] = []
    for line in _nvidia_smi(_QUERY):
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == len(_QUERY.split(",")):
            total, used, free = (int(cell) * _MIB if cell.isdigit() else None for cell in cells[3:])
            total, used = total or 0, used or 0
            # Where the tool does not report it, what is unused counts as free.
            free = max(0, total - used) if free is None else free
            listed.append(Device("", cells[1], cells[2], total, used, free))
    shown = _visible(listed, os.environ.get("CUDA_VISIBLE_DEVICES"))
    return tuple(replace(gpu, name=f"cuda:{number}") for number, gpu in enumerate(shown))


def choose_device(requested: str, *, torch: bool = True) -> str:
    """Return the device to work on: ``"cuda:N"``, ``"mps"`` or ``"cpu"``.

    Args:
        requested: "auto" takes the GPU with most free memory, else Apple's, else the CPU; "cuda"
            must be a GPU; "cuda:N" and "GPU-<uuid>" (or its beginning) are one.
        torch: whether the model runs in PyTorch; CTranslate2 brings CUDA of its own and has no mps.

    Raises:
        SettingsError: if it is not available.
    """
    return _candidates(requested, torch)[0][0]


@dataclass(frozen=True, slots=True)
class DeviceLease:
    """Lease of a device, which no other run of ours uses meanwhile.

    Attributes:
        device: as PyTorch calls it.
        held: descriptors that a child on the device keeps open, so that the device stays leased
            until the child is gone too, even if this process is killed.
    """

    device: str
    held: tuple[int, ...] = ()


@contextlib.contextmanager
def lease_device(
    requested: str, *, torch: bool = True, on_wait: Callable[[str], None] | None = None
) -> Iterator[DeviceLease]:
    """Lease a device for the block; wait while all suitable ones are leased.

    Several GPUs are used in parallel: each run takes a free one. Engines of one process share
    theirs. The CPU needs no lease. `on_wait` takes, once, a line about the wait.

    Raises:
        SettingsError: as `choose_device`.
    """
    candidates = _candidates(requested, torch)
    taken = _take_one(candidates)
    if taken is None:
        names = ", ".join(name for name, _ in candidates)
        if on_wait:
            on_wait(f"waiting for {names}: another run works there")
    while taken is None:
        time.sleep(_POLL_S)
        taken = _take_one(candidates)
    name, uuid, held = taken
    try:
        yield DeviceLease(name, held)
    finally:
        if uuid is not None:
            with _leases_lock:
                descriptor, count = _leases.pop(uuid)
                if count > 1:
                    _leases[uuid] = (descriptor, count - 1)
                else:
                    os.close(descriptor)


def _candidates(requested: str, torch: bool) -> list[tuple[str, str | None]]:
    """Return the suitable devices as (name, uuid), best first; uuid None needs no lease."""
    if requested == "cpu":
        return [("cpu", None)]
    apple = torch and sys.platform == "darwin" and platform.machine() == "arm64"
    if requested == "mps":
        if not apple:
            raise _not_here(requested, "MPS needs a Mac with Apple silicon", devices())
        return [("mps", None)]
    if not re.fullmatch(r"auto|cuda(:\d+)?|GPU-[0-9a-fA-F-]+", requested):
        raise SettingsError(f"unknown device {requested!r}; choose one of: {CHOICES}")
    here, fault = devices(), _cuda_fault(torch)
    if requested == "auto":
        usable = [] if fault else _freest_first(here)
        return usable or [("mps" if apple else "cpu", None)]
    fault = fault or (None if here else _why_none())
    if fault:
        raise _not_here(requested, fault, here)
    return _matching(requested, here)


def _matching(requested: str, here: Sequence[Device]) -> list[tuple[str, str | None]]:
    if requested == "cuda":
        return _freest_first(here)
    found = [d for d in here if requested == d.name or d.uuid.lower().startswith(requested.lower())]
    if len(found) != 1:
        why = "there is no such GPU" if not found else "several GPUs have that prefix"
        raise _not_here(requested, why, here)
    return [(found[0].name, found[0].uuid)]


def _freest_first(here: Sequence[Device]) -> list[tuple[str, str | None]]:
    return [(d.name, d.uuid) for d in sorted(here, key=lambda d: -d.free_bytes)]


def _not_here(requested: str, why: str, here: Sequence[Device]) -> SettingsError:
    listed = ", ".join([*(str(device) for device in here), "cpu"])
    return SettingsError(f"device {requested!r}: {why}; available: {listed}; or set device = auto")


def _why_none() -> str:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and any(_nvidia_smi(_QUERY)):
        return f"CUDA_VISIBLE_DEVICES={hidden!r} hides every GPU"
    if shutil.which("nvidia-smi") is None:
        return "there is no NVIDIA driver (nvidia-smi is not installed)"
    return "nvidia-smi shows no GPU"


def _cuda_fault(torch: bool) -> str | None:
    """Return why PyTorch cannot use a GPU, without importing it; None if it can."""
    if not torch:
        return None
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return "PyTorch is not installed: pip install 'dubarr-pipeline[studio]'"
    # PyTorch's build writes its constants there.
    version = Path(spec.origin).with_name("version.py")
    text = version.read_text(encoding="utf-8") if version.exists() else ""
    if re.search(r"^cuda\b.*=\s*None\s*$", text, re.MULTILINE):
        return "the installed PyTorch is built for the CPU alone: install its CUDA build"
    return None


def _nvidia_smi(query: str) -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, f"--query-gpu={query}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_QUERY_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return answer.stdout.splitlines() if answer.returncode == 0 else []


def _visible(listed: list[Device], variable: str | None) -> list[Device]:
    """Return the GPUs that CUDA shows, in its order: up to the first entry that names none."""
    if variable is None:
        return listed
    shown: list[Device] = []
    for entry in (part.strip() for part in variable.split(",")):
        if entry.isdigit():
            found = listed[int(entry) :][:1]
        elif entry.startswith("MIG-"):
            # A part of a GPU; the driver's tool does not report its memory.
            found = [Device("", entry, "part of a GPU", 0, 0, 0)]
        else:
            found = [gpu for gpu in listed if entry and gpu.uuid.startswith(entry)]
        if len(found) != 1 or found[0] in shown:
            break
        shown += found
    return shown


_leases_lock = threading.Lock()
_leases: dict[str, tuple[int, int]] = {}
"""This process's leases: uuid -> (descriptor, number of holders)."""


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
    """Return the descriptor of a device's lock, or None while another process holds it."""
    if uuid in _leases:
        descriptor, count = _leases[uuid]
        _leases[uuid] = (descriptor, count + 1)
        return descriptor
    path = Path(tempfile.gettempdir()) / f"dubarr-{uuid}.lock"
    try:
        # Without O_CREAT first: Linux refuses that for another user's file in a shared folder.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    _leases[uuid] = (descriptor, 1)
    return descriptor


_EXTENSION = "torchaudio._extension"


def prepare_torchaudio() -> None:
    """Make torchaudio importable with a CPU build of PyTorch; call this before its first import.

    The package index has torchaudio only with an extension that needs CUDA libraries, without which
    its import fails. pyannote.audio and coqui-tts use only its Python part (filter banks,
    resampling).
    """
    import torch

    if torch.version.cuda is not None or "torchaudio" in sys.modules:
        return

    def refused(wanted: Callable[..., Any]) -> Callable[..., NoReturn]:
        def refuse(*_: Any, **__: Any) -> NoReturn:
            raise RuntimeError(f"{wanted.__name__} needs torchaudio's extension, which is missing")

        return refuse

    # Stands in for the module that loads the extension, and reports that there is none.
    module = ModuleType(_EXTENSION)
    module.__path__ = []
    vars(module).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        _check_cuda_version=lambda: None,
        fail_if_no_align=refused,
    )
    sys.modules[_EXTENSION] = module
