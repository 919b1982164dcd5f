"""One quality figure beside what it must be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher"]
Grade = Literal["target", "must", "missed", "shown"]
"""The target is met; only the must is; not even the must; there are no bounds to meet."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One quality figure beside what it must be.

    Attributes:
        language: of the track, or None where it is the whole file's.
        must, target: the bounds of the project's targets; None where there is none.
        basis: what it was measured on.
    """

    name: str
    value: float
    unit: str
    must: float | None = None
    target: float | None = None
    better: Better = "lower"
    basis: str = ""
    language: str | None = None

    @property
    def met(self) -> Grade:
        """Which of the bounds is met."""
        if self.must is None and self.target is None:
            return "shown"
        if self.must is not None and not self._meets(self.must):
            return "missed"
        return "target" if self.target is None or self._meets(self.target) else "must"

    def _meets(self, bound: float) -> bool:
        return self.value <= bound if self.better == "lower" else self.value >= bound

    def words(self) -> str:
        """The figure as people read it: ``12 ms``, ``94.1 %``."""
        return f"{figure(self.value)} {self.unit}".rstrip()


def figure(value: float | None) -> str:
    """Return a number with as many decimals as it deserves; a dash for none."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == round(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
