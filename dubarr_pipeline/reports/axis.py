"""Marks of a time axis: round times, as many as there is room for."""

from __future__ import annotations

import math

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)


def step_s(duration_s: float, most: int) -> float:
    """Return the smallest round step that gives at most `most` intervals."""
    least = duration_s / max(1, most)
    if least <= 1:
        return _small_step(least)
    if least > _STEPS_S[-1]:
        return math.ceil(least / _STEPS_S[-1]) * _STEPS_S[-1]
    return next(step for step in _STEPS_S if step >= least)


def _small_step(least: float) -> float:
    unit = 10.0 ** math.floor(math.log10(max(least, 1e-4)))
    return next(n * unit for n in (1, 2, 5, 10) if n * unit >= least * (1 - 1e-9))


def ticks(duration_s: float, most: int) -> list[tuple[float, str]]:
    """Return times in seconds and their labels, from 0 to at most `duration_s`."""
    step = step_s(duration_s, most)
    return [(n * step, clock(n * step, step)) for n in range(int(duration_s / step + 1e-9) + 1)]


def clock(seconds: float, step: float = 1.0) -> str:
    """Return a time as people read it: ``0.25 s``, ``0:07``, ``1:02:03``."""
    if step < 1:
        return f"{seconds:.{max(1, math.ceil(-math.log10(step)))}f} s"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours}:{minutes:02}:{whole % 60:02}"
    return f"{minutes}:{whole % 60:02}"
