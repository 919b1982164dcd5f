"""GPU sharing of services, planned by measured memory.

Where the language model and the voice fit at the same time, on one GPU or on several, both run.
Else the GPU is time-sliced: one service rests (vLLM and our speech server sleep; others are ended
and restarted) before the other wakes, and only once the memory that it needs is measured as free.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dubarr_pipeline.compute.devices import Device
from dubarr_pipeline.compute.service_process import ServiceProcess
from dubarr_pipeline.errors import OutOfMemory

_log = logging.getLogger(__name__)

MARGIN = 0.05
"""Share of a GPU's free memory to leave alone: allocators round up, contexts take some."""
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class GpuRequest:
    """Request of a service for room on a device: auto, cpu, cuda or cuda:N."""

    name: str
    device: str
    need_bytes: int


@dataclass(frozen=True, slots=True)
class SharePlan:
    """Device of each service; time-sliced if they do not fit at the same time."""

    places: Mapping[str, str]
    time_sliced: bool = False


def plan_share(requests: Sequence[GpuRequest], here: Sequence[Device]) -> SharePlan:
    """Place services on GPUs of their own, else on one, else in turns; else raise `OutOfMemory`."""
    places = {r.name: "cpu" for r in requests if not _choices(r, here)}
    on_gpu = [r for r in requests if r.name not in places]
    free = {device.name: device.free_bytes * (1 - MARGIN) for device in here}
    fitting: list[tuple[int, float, tuple[str, ...]]] = []
    for chosen in itertools.product(*(_choices(request, here) for request in on_gpu)):
        left = {device: free[device] for device in chosen}
        for request, device in zip(on_gpu, chosen, strict=True):
            left[device] -= request.need_bytes
        least = min(left.values(), default=0.0)  # on the fullest GPU
        if least >= 0:
            fitting.append((len(left), least, chosen))
    if fitting:
        best = max(fitting, key=lambda way: way[:2])[2]
        return SharePlan(places | {r.name: device for r, device in zip(on_gpu, best, strict=True)})
    for request in on_gpu:
        roomiest = max(_choices(request, here), key=lambda name: free[name])
        if request.need_bytes > free[roomiest]:
            raise OutOfMemory(no_room(request.name, request.need_bytes, free[roomiest], roomiest))
        places[request.name] = roomiest
    return SharePlan(places, time_sliced=True)


def no_room(name: str, need: float, free: float, device: str) -> str:
    """Return the message for a service that does not fit."""
    return (
        f"the {name} service needs {need / 1e9:.1f} GB, and {device} has {free / 1e9:.1f} GB free: "
        f"end other programs on it, choose a smaller model, or set {name}.device"
    )


def _choices(request: GpuRequest, here: Sequence[Device]) -> list[str]:
    """Return the GPUs that qualify; none if the CPU was requested, or is all there is."""
    if request.device in ("auto", "cuda"):
        return [device.name for device in here]
    return [device.name for device in here if request.device in (device.name, device.uuid)]


class TimeSlicing:
    """Services that share one GPU, one at a time, for `slice_s` while others wait. Thread-safe."""

    def __init__(
        self, free_bytes: Callable[[], int], slice_s: float = 20.0, release_wait_s: float = 30.0
    ) -> None:
        self._free_bytes, self._slice_s, self._release_wait_s = free_bytes, slice_s, release_wait_s
        self._changed = threading.Condition()
        self._slots: dict[str, Slot] = {}
        self._waiting: Counter[str] = Counter()
        self._active = 0
        self._holder: str | None = None
        self._since = 0.0
        self.switches = 0

    def slot(self, process: ServiceProcess, need_bytes: int, sleeps: bool) -> Slot:
        """Return a slot of the GPU for a process that is not started yet."""
        slot = Slot(self, process, need_bytes, sleeps)
        self._slots[slot.name] = slot
        return slot

    @contextmanager
    def holding(self, slot: Slot) -> Iterator[None]:
        """Hold the GPU for one call; raise `OutOfMemory` if its memory does not get free."""
        with self._changed:
            self._waiting[slot.name] += 1
            try:
                self._changed.wait_for(lambda: self._may_enter(slot.name))
                if self._holder != slot.name:
                    self._hand_over(slot)
            finally:
                self._waiting[slot.name] -= 1
                self._changed.notify_all()
            self._active += 1
        try:
            yield
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def _may_enter(self, name: str) -> bool:
        if self._holder == name:
            others = any(count for other, count in self._waiting.items() if other != name)
            return not others or time.monotonic() - self._since < self._slice_s
        if self._active:
            return False
        keeps = self._holder is not None and self._waiting[self._holder] > 0
        return not keeps or time.monotonic() - self._since >= self._slice_s

    def _hand_over(self, slot: Slot) -> None:
        """Let the holder rest, check for room, and wake the next. The caller holds the lock."""
        holder, self._holder = self._slots.get(self._holder or ""), None
        if holder is not None:
            holder.rest()
            self.switches += 1
        if not slot.runs and not self._has_room(slot):
            if holder is not None:
                holder.process.halt()
            if holder is None or not self._has_room(slot):
                raise OutOfMemory(
                    no_room(slot.name, slot.need_bytes, self._free_bytes(), "the GPU")
                )
        slot.wake()
        self._holder, self._since = slot.name, time.monotonic()
        _log.info("the %s service holds the GPU", slot.name)

    def _has_room(self, slot: Slot) -> bool:
        end = time.monotonic() + self._release_wait_s
        while self._free_bytes() < slot.need_bytes:
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL_S)
        return True


class Slot:
    """Slot of a service at a time-sliced GPU; its clients' host."""

    def __init__(
        self, slicing: TimeSlicing, process: ServiceProcess, need_bytes: int, sleeps: bool
    ) -> None:
        self.name, self.process, self.need_bytes = process.launch.name, process, need_bytes
        self.url, self.token, self.suspect = process.url, process.token, process.suspect
        self._slicing, self._sleeps, self._asleep = slicing, sleeps, False

    @property
    def runs(self) -> bool:
        """True if it holds its memory already."""
        return self.process.pid is not None and not self._asleep

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Wait for its slice, and keep the service running for one call."""
        with self._slicing.holding(self), self.process.serving():
            yield

    def rest(self) -> None:
        """Free the GPU's memory: put the process to sleep where that works, else end it."""
        if self._sleeps and self.process.post("/sleep?level=1"):
            self._asleep = True
        else:
            self.process.halt()

    def wake(self) -> None:
        """Wake the process; the next call restarts one that does not wake."""
        if self._asleep and not self.process.post("/wake_up"):
            self.process.halt()
        self._asleep = False
