"""How Whisper steps down when memory runs out: batch, numbers, a smaller model, the CPU."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dubarr_pipeline.engines.ladder import Footing, rungs_below
from dubarr_pipeline.errors import SettingsError

_FINEST_FIRST = ("float32", "bfloat16", "float16", "int8_float16", "int8")
_GPU_ALONE = ("float16", "bfloat16", "int8_float16", "int8_bfloat16")
"""CTranslate2 refuses them on a CPU, or calculates in float32 unasked."""


@dataclass(frozen=True, slots=True)
class WhisperFooting(Footing):
    """A footing, and the model that stands on it."""

    model: str = ""

    def __str__(self) -> str:
        return f"{self.model} on {self.device}, batch {self.batch}, {self.precision}"


def whisper_rungs(
    first: WhisperFooting, smaller: str | None, allow_cpu: bool
) -> tuple[Footing, ...]:
    """Return the ladder of a model, from the wished footing down.

    Args:
        first: with the precision as it is set, "auto" included.
        smaller: a smaller model that is here, or None.
        allow_cpu: whether it may leave the GPU.

    Raises:
        SettingsError: if the CPU is asked for numbers that it has not.
    """
    on_cpu = first.device == "cpu"
    if on_cpu and first.precision in _GPU_ALONE:
        raise SettingsError(
            f"precision {first.precision!r} needs a GPU: set transcript.precision to auto, int8 "
            "or float32"
        )
    if first.precision == "auto":
        first = replace(first, precision="int8" if on_cpu else "float16")
    known = first.precision in _FINEST_FIRST
    coarser = _FINEST_FIRST if known and not on_cpu else ()
    found = [*rungs_below(first, precisions=_without_odd(coarser, first.precision))]
    if smaller:
        found.append(replace(found[-1], model=smaller))  # pyright: ignore[reportCallIssue]
    if allow_cpu and not on_cpu:
        found.append(replace(first, device="cpu", batch=1, precision="int8"))
    return tuple(found)


def _without_odd(precisions: tuple[str, ...], kept: str) -> tuple[str, ...]:
    """The usual steps only: not every GPU has bfloat16."""
    return tuple(p for p in precisions if p == kept or p in ("float16", "int8_float16", "int8"))
