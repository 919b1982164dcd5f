"""The tempo of takes: one set of limits, for their verdicts and for their placement.

All limits are fractions, so that a take exactly on one is judged as on it (``100 * 1.15`` is
114.99... in floats).
"""

from dataclasses import dataclass
from fractions import Fraction

DOES_NOT_FIT = "does_not_fit"
"""Name of the failure of a line whose take no tempo within the limits fits into its window."""


@dataclass(frozen=True, slots=True)
class TempoLimits:
    """Limits of a take's tempo, and the lengths that need none.

    Attributes:
        shorter: shortest length that needs no tempo, as a multiple (above 0) of the original's.
        longer: longest length that needs no tempo, as a multiple of the original's.
        gentle_slow: lowest tempo (1 is untouched) that is preferred to another take.
        gentle_fast: highest tempo (1 is untouched) that is preferred to another take.
        slowest: lowest tempo of any take, above 0 and at most 1.
        fastest: highest tempo of any take, at least 1.
    """

    shorter: Fraction = Fraction(90, 100)
    longer: Fraction = Fraction(105, 100)
    slowest: Fraction = Fraction(85, 100)
    fastest: Fraction = Fraction(120, 100)
    gentle_slow: Fraction = Fraction(90, 100)
    gentle_fast: Fraction = Fraction(110, 100)

    def __post_init__(self) -> None:
        if self.shorter > self.longer:
            raise ValueError(f"shorter must be at most longer ({self.longer})")

    def is_gentle(self, tempo: Fraction) -> bool:
        """Return whether a tempo is preferred to another take."""
        # A bound tighter than the gentle range counts, or the placement would refuse the take.
        gentle = max(self.slowest, self.gentle_slow) <= tempo <= self.gentle_fast
        return gentle and tempo <= self.fastest


@dataclass(frozen=True, slots=True)
class Fit:
    """A take's length at its own tempo, the budget, and the window's whole reach, in seconds."""

    spoken: Fraction
    wanted: Fraction
    limit: Fraction

    def __post_init__(self) -> None:
        if self.spoken <= 0 or self.wanted <= 0 or self.limit < 0:
            raise ValueError(f"a take and its window must have lengths: {self}")


def needed_tempo(fit: Fit, limits: TempoLimits | None = None) -> Fraction:
    """Return the tempo that brings the take within tolerance; 1 if it is there already.

    A window of no length needs an endless tempo: it counts as one part in a million of the budget.
    """
    limits = limits or TempoLimits()
    upper = min(fit.wanted * limits.longer, fit.limit)
    lower = min(fit.wanted * limits.shorter, upper)
    if fit.spoken > upper:
        return fit.spoken / max(upper, fit.wanted / 1_000_000)
    if fit.spoken < lower:
        return fit.spoken / lower
    return Fraction(1)


def aim_s(wanted: float, limit: float, limits: TempoLimits | None = None) -> float:
    """Return the seconds that a wording should take: the middle of those that need no tempo."""
    limits = limits or TempoLimits()
    upper = min(wanted * float(limits.longer), limit)
    return (min(wanted * float(limits.shorter), upper) + upper) / 2
