"""Fallback of an engine that runs out of memory: it steps down until its work fits.

Smaller batches come first, which cost only time; then a lower precision, then a shorter window,
which cost a little quality; the CPU comes last, and only where that is allowed.
"""

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
"""Words of torch, CTranslate2, cuBLAS, cuDNN, ONNX Runtime and C++ for it, in lower case."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether an error, or one of its causes, is a lack of memory. Imports no library."""
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
    """Return whether a library's words report a lack of memory."""
    if isinstance(error, BaseException) and not isinstance(error, RuntimeError):
        return False
    return any(word in str(error).lower() for word in _WORDS)


@dataclass(frozen=True, slots=True)
class EngineConfiguration:
    """Amount of work that an engine takes on at once, and the device for it.

    Attributes:
        device: ``"cuda:0"``, ``"mps"`` or ``"cpu"``.
        batch: pieces of work at once.
        precision: number format it calculates in, e.g. ``"float32"``, ``"float16"``, ``"int8"``.
        window_s: seconds of audio analysed at once; None where the engine has no such choice.
    """

    device: str
    batch: int = 1
    precision: str = "float32"
    window_s: float | None = None

    def __str__(self) -> str:
        window = "" if self.window_s is None else f", windows of {self.window_s:g} s"
        return f"{self.device}, batch {self.batch}, {self.precision}{window}"


def fallback_steps(
    first: EngineConfiguration,
    *,
    precisions: Sequence[str] = (),
    windows_s: Sequence[float] = (),
    allow_cpu: bool = False,
    cpu_precision: str = "float32",
) -> tuple[EngineConfiguration, ...]:
    """Return the configurations of an engine, from `first` down.

    The batch is halved down to one; then come lower precisions, shorter windows, and the CPU.

    Args:
        first: the preferred configuration.
        precisions: supported ones, finest first; those after `first`'s own are used.
        windows_s: supported ones, longest first; those shorter than `first`'s are used.
        allow_cpu: whether it may leave the GPU.
        cpu_precision: on the CPU.
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
    """One step of an engine from a configuration that was too much, with the library's words."""

    engine: str
    left: str
    taken: str
    reason: str


_steps: ContextVar[list[StepDown] | None] = ContextVar("dubarr_steps_down", default=None)


@contextlib.contextmanager
def recording_steps() -> Iterator[list[StepDown]]:
    """Collect the steps down that engines take inside the block (in this thread's context)."""
    steps: list[StepDown] = []
    token = _steps.set(steps)
    try:
        yield steps
    finally:
        _steps.reset(token)


class OomFallback:
    """Configurations of one engine; it stays at the one that it has stepped down to."""

    def __init__(self, engine: str, configurations: Sequence[EngineConfiguration]) -> None:
        if not configurations:
            raise ValueError(f"engine {engine} has no configuration to work in")
        self._engine, self._configurations = engine, tuple(configurations)
        self.steps: list[StepDown] = []

    @property
    def configuration(self) -> EngineConfiguration:
        """The present configuration."""
        return self._configurations[len(self.steps)]

    def run(self, work: Callable[[EngineConfiguration], _T]) -> _T:
        """Do `work` in the present configuration, and in lower ones while memory runs out.

        `work` frees what a failed attempt has taken before it raises.

        Raises:
            OutOfMemory: if it does not fit in the lowest configuration either.
        """
        while True:
            try:
                return work(self.configuration)
            # Libraries report full memory in classes of their own; every other error goes on.
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                reason = (str(error).strip() or type(error).__name__)[-300:]
            left, below = self.configuration, self._configurations[len(self.steps) + 1 :]
            if not below:
                raise OutOfMemory(
                    f"{self._engine} ran out of memory even with {left}: free some memory, choose "
                    "a smaller model or another device, or set allow_cpu = true where the engine "
                    f"has it ({reason})"
                )
            self.steps.append(StepDown(self._engine, str(left), str(below[0]), reason))
            _log.warning(
                "%s ran out of memory with %s; now trying %s", self._engine, left, below[0]
            )
            collected = _steps.get()
            if collected is not None:
                collected.append(self.steps[-1])
