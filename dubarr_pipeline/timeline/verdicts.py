"""What becomes of a take: kept, stretched, reworded or given up; and which of several is the best.

All limits are exact: lengths are whole samples or `Fraction` seconds, limits are fractions, so
that a take that lies exactly on a limit is judged as on it (``100 * 1.15`` is 114.99... in
floats).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Verdict = Literal["keep", "stretch", "rewrite", "give_up"]
TakeFault = Literal["silent", "clipped", "babble", "misspoken"]
MISSPOKEN: TakeFault = "misspoken"
"""The fault of a take in which other words are heard than its line has."""
DOES_NOT_FIT = "does_not_fit"


@dataclass(frozen=True, slots=True)
class VerdictOptions:
    """How far a take's length may lie from the original's.

    Attributes:
        shorter, longer: kept as it is between these multiples of the wanted length.
        slowest, fastest: bounds of the tempo for a line that cannot be reworded any more.
        gentle_slow, gentle_fast: a tempo within these is preferred to another take.
        takes: after so many, no other wording is asked for.
    """

    shorter: Fraction = Fraction(90, 100)
    longer: Fraction = Fraction(105, 100)
    slowest: Fraction = Fraction(85, 100)
    fastest: Fraction = Fraction(120, 100)
    gentle_slow: Fraction = Fraction(90, 100)
    gentle_fast: Fraction = Fraction(110, 100)
    takes: int = 3


@dataclass(frozen=True, slots=True)
class Fit:
    """A take's length against its window, in seconds.

    Attributes:
        spoken: the take at its own tempo.
        wanted: the budget: the original's span.
        limit: the whole reach of the window; nothing may be longer.
    """

    spoken: Fraction
    wanted: Fraction
    limit: Fraction

    def __post_init__(self) -> None:
        if self.spoken <= 0 or self.wanted <= 0 or self.limit < 0:
            raise ValueError(f"a take and its window must have lengths: {self}")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to do with a take.

    Attributes:
        tempo: that brings it nearest to its window: 1 unless the verdict is ``stretch``.
        syllables: to lose (negative) or to gain, if the verdict is ``rewrite``.
        failure: the name, if the verdict is ``give_up``.
    """

    verdict: Verdict
    tempo: Fraction = Fraction(1)
    syllables: int = 0
    failure: str | None = None


def judge(
    fit: Fit,
    attempt: int,
    syllables: float,
    *,
    can_rewrite: bool,
    limits: VerdictOptions | None = None,
) -> Judgement:
    """Say what becomes of a take.

    Args:
        fit: its length and the window's.
        attempt: 1 for the first take of the line.
        syllables: of the text that was spoken.
        can_rewrite: whether anyone can be asked for another wording.
        limits: see `VerdictOptions`.
    """
    limits = limits or VerdictOptions()
    tempo = needed_tempo(fit, limits)
    if tempo == 1:
        return Judgement("keep")
    if limits.gentle_slow <= tempo <= limits.gentle_fast:
        return Judgement("stretch", tempo)
    if can_rewrite and attempt < limits.takes:
        change = syllable_change(fit, syllables)
        if change:
            return Judgement("rewrite", syllables=change)
    if tempo < 1:
        return Judgement("stretch", max(tempo, limits.slowest))
    hard = fit.spoken / fit.limit if fit.limit else None
    if hard is None or hard > limits.fastest:
        return Judgement("give_up", failure=DOES_NOT_FIT)
    return Judgement("stretch", max(hard, min(tempo, limits.fastest)))


def needed_tempo(fit: Fit, limits: VerdictOptions | None = None) -> Fraction:
    """Return the tempo that brings the take within tolerance; 1 if it is there already.

    Too long: to the upper tolerance, or to the window's end where that comes first. Too short: to
    the lower tolerance. A window of no length needs an endless tempo; it is given as that of one
    part in a million.
    """
    limits = limits or VerdictOptions()
    upper = min(fit.wanted * limits.longer, fit.limit)
    lower = min(fit.wanted * limits.shorter, upper)
    if fit.spoken > upper:
        return fit.spoken / max(upper, fit.wanted / 1_000_000)
    if fit.spoken < lower:
        return fit.spoken / lower
    return Fraction(1)


def syllable_change(fit: Fit, syllables: float) -> int:
    """Return the syllables to gain (positive) or lose for the take to last as long as wanted.

    Rounded away from zero when losing, so that the next wording fits, and towards it when gaining.
    """
    wanted = min(fit.wanted, fit.limit)
    change = Fraction(syllables) * (wanted - fit.spoken) / fit.spoken
    return math.floor(change)


@dataclass(frozen=True, slots=True, order=True)
class TakeScore:
    """How good a take is: fit first, then naturalness. Greater is better.

    Attributes:
        fit: minus the whole per cents by which its tempo must differ from 1; 0 within tolerance.
        naturalness: 0 to 1; see `naturalness`.
        closeness: minus the distance from the wanted length, relative: decides between equals.
    """

    fit: int
    naturalness: Fraction
    closeness: Fraction


def score(
    fit: Fit, natural: Fraction = Fraction(1), limits: VerdictOptions | None = None
) -> TakeScore:
    """Score a take that has no fault.

    ``fit = -ceil(100 |tempo - 1|)`` with the tempo that it needs; then `natural`; then
    ``-|spoken / wanted - 1|``.
    """
    away = abs(needed_tempo(fit, limits) - 1)
    return TakeScore(-math.ceil(100 * away), natural, -abs(fit.spoken / fit.wanted - 1))


def naturalness(length_ratio: Fraction, clipped_share: Fraction = Fraction(0)) -> Fraction:
    """Return how natural a take can be expected to sound, 0 to 1.

    ``max(0, 1 - |measured / predicted - 1| - 10 clipped)``: a voice that takes unlike its own
    habit long for a text is hurried, dragging or babbling.
    """
    return max(Fraction(0), 1 - abs(length_ratio - 1) - 10 * clipped_share)


def best(scores: Sequence[TakeScore]) -> int:
    """Return which take is the best; the earliest among equals, never simply the last.

    Raises:
        ValueError: if there is none.
    """
    return max(range(len(scores)), key=lambda at: (scores[at], -at))


def closest_version(predicted_s: Sequence[float], fit: tuple[float, float]) -> int:
    """Return which wording of a draft is likeliest to fit, by its predicted seconds.

    The one that is relatively nearest to `aim_s`, where one that is longer than its whole window
    counts after all that are not; the earliest among equals.

    Args:
        predicted_s: seconds predicted for each wording; at least one.
        fit: wanted seconds and the window's whole seconds.
    """
    wanted, limit = fit
    aim = aim_s(wanted, limit)
    return min(
        range(len(predicted_s)),
        key=lambda at: (predicted_s[at] > limit, abs(predicted_s[at] - aim), at),
    )


def aim_s(wanted: float, limit: float, limits: VerdictOptions | None = None) -> float:
    """Return the seconds that a wording should take: the middle of those that need no tempo.

    So chance may make the take a little longer or shorter and it still fits.
    """
    limits = limits or VerdictOptions()
    upper = min(wanted * float(limits.longer), limit)
    return (min(wanted * float(limits.shorter), upper) + upper) / 2


@dataclass(frozen=True, slots=True)
class TakeMeasure:
    """What was measured on a take.

    Attributes:
        samples, rate: its length.
        peak: highest absolute sample, 1.0 is full scale.
        rms: root mean square over the take.
        clipped: samples that lie in runs at full scale.
        predicted_s: seconds that the length model expected, or 0 where nothing was.
    """

    samples: int
    rate: int
    peak: float
    rms: float
    clipped: int
    predicted_s: float


@dataclass(frozen=True, slots=True)
class FaultLimits:
    """When a take is no rendering of its line.

    Attributes:
        silent_peak: quieter than this throughout (-40 dBFS) is silence.
        silent_rms: on average quieter than this (-60 dBFS) is silence.
        clipped_share: more samples in clipped runs than this are heard as distortion.
        longest, shortest: beyond these multiples of the prediction it repeats itself, or swallowed
            text.
        grace_s: plus this, so that a "Yes." may take its time.
    """

    silent_peak: float = 0.01
    silent_rms: float = 0.001
    clipped_share: Fraction = Fraction(1, 1000)
    longest: Fraction = Fraction(2)
    shortest: Fraction = Fraction(2, 5)
    grace_s: Fraction = Fraction(3, 10)


def fault(measure: TakeMeasure, limits: FaultLimits | None = None) -> TakeFault | None:
    """Name what is wrong with a take, or None if nothing is."""
    limits = limits or FaultLimits()
    if is_silent(measure, limits):
        return "silent"
    if is_clipped(measure, limits):
        return "clipped"
    return "babble" if is_babble(measure, limits) else None


def is_silent(measure: TakeMeasure, limits: FaultLimits) -> bool:
    """Whether nothing is heard."""
    quiet = measure.peak < limits.silent_peak or measure.rms < limits.silent_rms
    return not measure.samples or quiet


def is_clipped(measure: TakeMeasure, limits: FaultLimits) -> bool:
    """Whether it is distorted: more than the allowed share of samples at full scale."""
    return measure.clipped > limits.clipped_share * measure.samples


def is_babble(measure: TakeMeasure, limits: FaultLimits) -> bool:
    """Whether its length is so far from the prediction that it cannot be this text, once."""
    if measure.predicted_s <= 0:
        return False
    spoken, expected = Fraction(measure.samples, measure.rate), Fraction(measure.predicted_s)
    too_long = spoken > expected * limits.longest + limits.grace_s
    return too_long or spoken < expected * limits.shortest - limits.grace_s
