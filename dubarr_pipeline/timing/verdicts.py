"""Verdicts on takes: keep, stretch, reword or give up; and the choice of the best of several."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from dubarr_pipeline.timing.tempo import DOES_NOT_FIT, Fit, TempoLimits, aim_s, needed_tempo

Action = Literal["keep", "stretch", "rewrite", "give_up"]
TakeFault = Literal["silent", "clipped", "babble", "misspoken"]
MISSPOKEN: TakeFault = "misspoken"
"""The fault of a take in which other words are heard than its line has."""


@dataclass(frozen=True, slots=True)
class TakeVerdict:
    """Verdict on a take.

    Attributes:
        action: next step: keep or stretch it, have another wording spoken, or give the line up.
        tempo: the one that brings it nearest to its window: 1 unless the action is ``stretch``.
        syllables: number to lose (negative) or to gain, if the action is ``rewrite``.
    """

    action: Action
    tempo: Fraction = Fraction(1)
    syllables: int = 0
    failure: str | None = None


def judge(
    fit: Fit, syllables: float, *, can_rewrite: bool, limits: TempoLimits | None = None
) -> TakeVerdict:
    """Return the verdict on a take; `syllables` are of the text that was spoken."""
    limits = limits or TempoLimits()
    tempo = needed_tempo(fit, limits)
    if tempo == 1:
        return TakeVerdict("keep")
    if limits.is_gentle(tempo):
        return TakeVerdict("stretch", tempo)
    # A change of less than a syllable cannot be asked for.
    if can_rewrite and (change := syllable_change(fit, syllables)):
        return TakeVerdict("rewrite", syllables=change)
    if tempo < 1:
        return TakeVerdict("stretch", max(tempo, limits.slowest))
    # Beyond the tolerance but inside the window, the borrowed silence is used before the voice
    # hurries.
    hard = fit.spoken / fit.limit if fit.limit else None
    if hard is None or hard > limits.fastest:
        return TakeVerdict("give_up", failure=DOES_NOT_FIT)
    return TakeVerdict("stretch", max(hard, min(tempo, limits.fastest)))


def syllable_change(fit: Fit, syllables: float) -> int:
    """Return the syllables to gain (positive) or lose for the take to last as long as wanted."""
    wanted = min(fit.wanted, fit.limit)
    # Rounded down, so that the next wording fits.
    return math.floor(Fraction(syllables) * (wanted - fit.spoken) / fit.spoken)


@dataclass(frozen=True, slots=True, order=True)
class TakeScore:
    """Score of a take: fit first, then naturalness. Greater is better.

    Attributes:
        fit: minus the whole per cents by which its tempo must differ from 1; 0 within tolerance.
        naturalness: 0 to 1; see `naturalness`.
        closeness: minus the distance from the wanted length, relative: decides between equals.
    """

    fit: int
    naturalness: Fraction
    closeness: Fraction


def score(
    fit: Fit, natural: Fraction = Fraction(1), limits: TempoLimits | None = None
) -> TakeScore:
    """Score a take that has no fault; `natural` is its `naturalness`."""
    away = abs(needed_tempo(fit, limits) - 1)
    return TakeScore(-math.ceil(100 * away), natural, -abs(fit.spoken / fit.wanted - 1))


def naturalness(length_ratio: Fraction, clipped_share: Fraction = Fraction(0)) -> Fraction:
    """Return how natural a take can be expected to sound, 0 to 1.

    ``max(0, 1 - |measured / predicted - 1| - 10 clipped)``: a take far from the voice's usual rate
    is probably rushed, dragging or babbling.
    """
    return max(Fraction(0), 1 - abs(length_ratio - 1) - 10 * clipped_share)


def best(scores: Sequence[TakeScore]) -> int:
    """Return which take is the best; the earliest among equals. At least one is given."""
    return max(range(len(scores)), key=lambda at: (scores[at], -at))


def closest_version(predicted_s: Sequence[float], fit: tuple[float, float]) -> int:
    """Return which wording of a draft is likeliest to fit, by its predicted seconds.

    That is the nearest to `aim_s` of those that fit into the whole window, if any do. `fit` is the
    wanted and the window's whole seconds.
    """
    wanted, limit = fit
    aim = aim_s(wanted, limit)
    return min(
        range(len(predicted_s)),
        key=lambda at: (predicted_s[at] > limit, abs(predicted_s[at] - aim), at),
    )


@dataclass(frozen=True, slots=True)
class TakeMeasure:
    """Measurements of a take: levels against full scale, samples that lie in runs at full scale.

    `predicted_s` is what the length model expected, or 0 where nothing was.
    """

    samples: int
    rate: int
    peak: float
    rms: float
    clipped: int
    predicted_s: float


@dataclass(frozen=True, slots=True)
class FaultLimits:
    """Limits beyond which a take is not a rendering of its line.

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


UNTRAINED_LIMITS = FaultLimits(longest=Fraction(4), shortest=Fraction(1, 5))
"""For a voice that the length model has not heard yet: only the grossest babble is named."""


def fault(measure: TakeMeasure, limits: FaultLimits | None = None) -> TakeFault | None:
    """Name what is wrong with a take, or None if nothing is."""
    limits = limits or FaultLimits()
    quiet = measure.peak < limits.silent_peak or measure.rms < limits.silent_rms
    if not measure.samples or quiet:
        return "silent"
    if measure.clipped > limits.clipped_share * measure.samples:
        return "clipped"
    if measure.predicted_s <= 0:
        return None
    # Too far from the prediction to be this text, once.
    spoken, expected = Fraction(measure.samples, measure.rate), Fraction(measure.predicted_s)
    too_long = spoken > expected * limits.longest + limits.grace_s
    too_short = spoken < expected * limits.shortest - limits.grace_s
    return "babble" if too_long or too_short else None
