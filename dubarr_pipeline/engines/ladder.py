"""Out of memory is no end: an engine steps down, rung by rung, until its work fits.

Smaller batches first, which cost only time; then smaller numbers, then a smaller window, which cost
a little quality; the CPU last, and only where that is allowed.
"""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TypeVar

from dubarr_pipeline.errors import OutOfMemory

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_WORDS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "bad_alloc",
    "failed to allocate",
    "alloc_failed",
    "insufficient memory",
)
"""What torch, CTranslate2, cuBLAS, cuDNN, ONNX Runtime and C++ say of it, in small letters."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is a lack of memory. Imports no library."""
    while error is not None:
        if isinstance(error, OutOfMemory | MemoryError):
            return True
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return True
        if type(error).__name__ == "OutOfMemoryError" or speaks_of_memory(error):
            return True
        error = error.__cause__
    return False


def speaks_of_memory(error: BaseException | str) -> bool:
    """Whether a library's words tell of a lack of memory."""
    if isinstance(error, BaseException) and not isinstance(error, RuntimeError):
        return False
    return any(word in str(error).lower() for word in _WORDS)


@dataclass(frozen=True, slots=True)
class Footing:
    """How much an engine takes on at once, and where.

    Attributes:
        device: ``"cuda:0"``, ``"mps"`` or ``"cpu"``.
        batch: pieces of work at once.
        precision: the numbers it calculates with, e.g. ``"float32"``, ``"float16"``, ``"int8"``.
        window_s: seconds of sound heard at once; None where the engine has no such choice.
    """

    device: str
    batch: int = 1
    precision: str = "float32"
    window_s: float | None = None

    def __str__(self) -> str:
        window = "" if self.window_s is None else f", windows of {self.window_s:g} s"
        return f"{self.device}, batch {self.batch}, {self.precision}{window}"


def rungs_below(
    first: Footing,
    *,
    precisions: Sequence[str] = (),
    windows_s: Sequence[float] = (),
    allow_cpu: bool = False,
    cpu_precision: str = "float32",
) -> tuple[Footing, ...]:
    """Return the rungs of an engine's ladder, from `first` down.

    The batch is halved down to one; then come smaller numbers, smaller windows, and the CPU.

    Args:
        first: where the engine would like to stand.
        precisions: what it can calculate with, finest first; those after `first`'s own count.
        windows_s: windows it can hear by, longest first; those shorter than `first`'s count.
        allow_cpu: whether it may leave the GPU.
        cpu_precision: what it calculates with there.
    """
    found = [first]
    while found[-1].batch > 1:
        found.append(replace(found[-1], batch=found[-1].batch // 2))
    coarser = precisions[precisions.index(first.precision) + 1 :] if precisions else ()
    for precision in coarser:
        found.append(replace(found[-1], precision=precision))
    for window_s in windows_s:
        if first.window_s is None or window_s < first.window_s:
            found.append(replace(found[-1], window_s=window_s))
    if allow_cpu and first.device != "cpu":
        found.append(replace(first, device="cpu", batch=1, precision=cpu_precision))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class StepDown:
    """One step down the ladder, for the stage's metadata and the report.

    Attributes:
        engine: who ran out of memory.
        left, taken: the rung that was too much, and the next.
        reason: what the library said.
    """

    engine: str
    left: str
    taken: str
    reason: str


_steps: ContextVar[list[StepDown] | None] = ContextVar("dubarr_steps_down", default=None)


@contextlib.contextmanager
def recording_steps() -> Iterator[list[StepDown]]:
    """Collect the steps down that engines take inside the block (in this thread's context)."""
    found: list[StepDown] = []
    token = _steps.set(found)
    try:
        yield found
    finally:
        _steps.reset(token)


class Ladder:
    """The ladder of one engine; it stays on the rung that it has come down to.

    Attributes:
        steps: those taken so far.
    """

    def __init__(self, engine: str, rungs: Sequence[Footing]) -> None:
        if not rungs:
            raise ValueError(f"the ladder of {engine} has no rung")
        self._engine, self._rungs = engine, tuple(rungs)
        self.steps: list[StepDown] = []

    @property
    def footing(self) -> Footing:
        """The present rung."""
        return self._rungs[len(self.steps)]

    def run(self, work: Callable[[Footing], _T]) -> _T:
        """Do `work` on the present rung, and again on lower ones while memory runs out.

        `work` gives back what a failed attempt has taken before it raises.

        Raises:
            OutOfMemory: if it does not fit on the lowest rung either.
        """
        while True:
            try:
                return work(self.footing)
            # Libraries tell of full memory in classes of their own; all that is not it goes on.
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).strip() or type(error).__name__
            self._step_down(reason)

    def _step_down(self, reason: str) -> None:
        left, below = self.footing, self._rungs[len(self.steps) + 1 :]
        if not below:
            raise OutOfMemory(
                f"{self._engine} ran out of memory even with {left}: free some memory, choose a "
                "smaller model or another device, or set allow_cpu = true where the engine has it "
                f"({reason[-300:]})"
            )
        step = StepDown(self._engine, str(left), str(below[0]), reason[-300:])
        self.steps.append(step)
        _log.warning("%s ran out of memory with %s; going on with %s", self._engine, left, below[0])
        collected = _steps.get()
        if collected is not None:
            collected.append(step)
