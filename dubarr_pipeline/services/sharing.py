"""Which services may use a GPU at once: told by memory that is measured, never by hope.

Where the language model and the voice fit side by side, on one GPU or on several, they run so. Else
they take turns: one rests (vLLM and our speech server sleep; whatever does not is ended and started
again) before the other is woken, and only when the memory that it needs is seen to be free.
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

from dubarr_pipeline.errors import OutOfMemory
from dubarr_pipeline.models.devices import Device
from dubarr_pipeline.services.processes import ServiceProcess

_log = logging.getLogger(__name__)

MARGIN = 0.05
"""Of a GPU's free memory so much is left alone: allocators round up, contexts take some."""
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Wish:
    """A service that wants a place.

    Attributes:
        device: as asked for: auto, cpu, cuda or cuda:N.
        need_bytes: GPU memory that it cannot do without.
    """

    name: str
    device: str
    need_bytes: int


@dataclass(frozen=True, slots=True)
class SharePlan:
    """Where each service goes, and whether they take turns there."""

    places: Mapping[str, str]
    turns: bool = False


def plan_share(wishes: Sequence[Wish], here: Sequence[Device]) -> SharePlan:
    """Find places for services: on GPUs of their own, else side by side on one, else in turns.

    Args:
        wishes: who wants a place.
        here: the GPUs with their memory as it is now.

    Raises:
        OutOfMemory: if a service does not fit even alone; it names the cure.
    """
    places = {wish.name: "cpu" for wish in wishes if not _choices(wish, here)}
    on_gpu = [wish for wish in wishes if wish.name not in places]
    free = {device.name: device.free_bytes * (1 - MARGIN) for device in here}
    ways = [
        (len(set(chosen)), _least_left(on_gpu, chosen, free), chosen)
        for chosen in itertools.product(*(_choices(wish, here) for wish in on_gpu))
    ]
    fitting = [way for way in ways if way[1] >= 0]
    if fitting:
        best = max(fitting, key=lambda way: way[:2])[2]
        return SharePlan(places | {w.name: device for w, device in zip(on_gpu, best, strict=True)})
    for wish in on_gpu:
        roomiest = max(_choices(wish, here), key=lambda name: free[name])
        if wish.need_bytes > free[roomiest]:
            raise OutOfMemory(no_room(wish.name, wish.need_bytes, free[roomiest], roomiest))
        places[wish.name] = roomiest
    return SharePlan(places, turns=True)


def no_room(name: str, need: float, free: float, device: str) -> str:
    """What is told when a service does not fit."""
    return (
        f"the {name} service needs {need / 1e9:.1f} GB, and {device} has {free / 1e9:.1f} GB free: "
        f"end what else uses it, choose a smaller model, or set {name}.device"
    )


def _choices(wish: Wish, here: Sequence[Device]) -> list[str]:
    """The GPUs that would do; none: the CPU was asked for, or is all there is."""
    if wish.device in ("auto", "cuda"):
        return [device.name for device in here]
    return [device.name for device in here if wish.device in (device.name, device.uuid)]


def _least_left(wishes: Sequence[Wish], chosen: Sequence[str], free: Mapping[str, float]) -> float:
    """Bytes that would be left on the fullest of the chosen GPUs; below 0: it does not fit."""
    left = {device: free[device] for device in chosen}
    for wish, device in zip(wishes, chosen, strict=True):
        left[device] -= wish.need_bytes
    return min(left.values(), default=0.0)


class Turns:
    """Services that share one GPU, one at a time. For many threads.

    Args:
        free_bytes: measures the GPU's free memory.
        slice_s: so long a service may go on while another waits.
        patience_s: how long to wait until memory that was given back is seen to be free.
    """

    def __init__(
        self, free_bytes: Callable[[], int], slice_s: float = 20.0, patience_s: float = 30.0
    ) -> None:
        self._free_bytes, self._slice_s, self._patience_s = free_bytes, slice_s, patience_s
        self._changed = threading.Condition()
        self._seats: dict[str, Seat] = {}
        self._waiting: Counter[str] = Counter()
        self._active = 0
        self._holder: str | None = None
        self._since = 0.0
        self.switches = 0

    def seat(self, process: ServiceProcess, need_bytes: int, sleeps: bool) -> Seat:
        """A place at the GPU for a process that is not started yet; it starts in its turn."""
        made = Seat(self, process, need_bytes, sleeps)
        self._seats[made.name] = made
        return made

    @contextmanager
    def holding(self, seat: Seat) -> Iterator[None]:
        """Hold the GPU for one call. Raises `OutOfMemory` if its memory does not get free."""
        with self._changed:
            self._waiting[seat.name] += 1
            try:
                self._changed.wait_for(lambda: self._may_enter(seat.name))
                if self._holder != seat.name:
                    self._hand_over(seat)
            finally:
                self._waiting[seat.name] -= 1
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

    def _hand_over(self, seat: Seat) -> None:
        """Let the holder rest, see that there is room, and wake the next; the lock is held."""
        holder, self._holder = self._seats.get(self._holder or ""), None
        if holder is not None:
            holder.rest()
            self.switches += 1
        if not seat.runs and not self._has_room(seat):
            if holder is not None:
                holder.process.halt()
            if holder is None or not self._has_room(seat):
                raise OutOfMemory(
                    no_room(seat.name, seat.need_bytes, self._free_bytes(), "the GPU")
                )
        seat.wake()
        self._holder, self._since = seat.name, time.monotonic()
        _log.info("the GPU is the %s service's", seat.name)

    def _has_room(self, seat: Seat) -> bool:
        end = time.monotonic() + self._patience_s
        while self._free_bytes() < seat.need_bytes:
            if time.monotonic() >= end:
                return False
            time.sleep(_LOOK_S)
        return True


class Seat:
    """A service that waits for its turn at the GPU: what a client takes for its host."""

    def __init__(
        self, turns: Turns, process: ServiceProcess, need_bytes: int, sleeps: bool
    ) -> None:
        self.name, self.process = process.launch.name, process
        self.need_bytes = need_bytes
        self._turns, self._sleeps, self._asleep = turns, sleeps, False

    @property
    def url(self) -> str:
        """The process's address."""
        return self.process.url

    @property
    def token(self) -> str:
        """The process's token."""
        return self.process.token

    @property
    def runs(self) -> bool:
        """Whether its memory is taken already."""
        return self.process.pid is not None and not self._asleep

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Wait for the turn, and see that the service runs."""
        with self._turns.holding(self), self.process.serving():
            yield

    def suspect(self) -> None:
        """A call failed: see whether the process is well."""
        self.process.suspect()

    def rest(self) -> None:
        """Give the GPU's memory back: asleep where that works, else ended."""
        if self._sleeps and self.process.order("/sleep?level=1"):
            self._asleep = True
        else:
            self.process.halt()

    def wake(self) -> None:
        """Come back to the GPU; what does not wake is started anew by the next call."""
        if self._asleep and not self.process.order("/wake_up"):
            self.process.halt()
        self._asleep = False
