"""Position of the dialogue in the sound picture: its channels, and their middle."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.engines.interfaces import AudioReader
from dubarr_pipeline.engines.separation.pauses import (
    DialogueLine,
    PauseSums,
    pause_power,
    sound_of,
)
from dubarr_pipeline.engines.separation.spectrum import TINY, Grid, Spectrum, power
from dubarr_pipeline.spans import Span

_VOICE_BAND_HZ = (200.0, 4000.0)
_LINES_LOOKED_AT = 40
_FRAMES_AT_ONCE = 48
"""Worked on together: what their arrays hold stays in the processor's cache."""
_STANDS_OUT = 8.0
"""Times (9 dB) that a bin must rise above the pauses to count as the voice's."""
_MOST_LEAN = 0.98
"""40 dB between left and right; beyond that the voice is in one channel alone."""
_ALONE = np.float32(0.1)
_ONE_PLACE = 0.85
"""Share of a line's voices at one place; music as loud as a voice in the middle leaves it that."""
_CENTRE_CHANNEL = 2
"""In the order of WAV files: left, right, centre..."""


Method = Literal["auto", "centre", "wiener"]


@dataclass(frozen=True, slots=True)
class SeparationOptions:
    """Options of separation without a trained model.

    Attributes:
        method: ``auto`` measures each line; ``centre`` and ``wiener`` force one.
        most_spread_db: spread of a voice beside its own position in the stereo picture, in dB,
            above which it is not a point and the Wiener filter is taken (a point under equally loud
            music: -12 dB or less).
        least_side_db: level beside that position in the pauses, against that at it, in dB, below
            which left and right are one and the same sound.
        centre_caution: how many times (above 0) the expected background is kept out of the centre's
            voice.
        wiener_caution: how many times (above 0) the expected background is kept out by the Wiener
            filter; more leaves more of the voice in the accompaniment, less takes more music into
            the vocals.
        dialogue_rise_db: rise of a channel's voice band inside speech, in dB, from which it carries
            dialogue; for three channels and more.
        dialogue_reach_db: how far under the strongest channel another dialogue channel may lie, in
            dB (negative).
    """

    method: Method = "auto"
    most_spread_db: float = -10.0
    least_side_db: float = -30.0
    centre_caution: float = 1.0
    wiener_caution: float = 4.0
    dialogue_rise_db: float = 3.0
    dialogue_reach_db: float = -15.0


def dialogue_channels(
    source: AudioReader, lines: Sequence[DialogueLine], grid: Grid, options: SeparationOptions
) -> list[tuple[int, ...]]:
    """Return the channels that carry dialogue, in groups that are worked on together.

    Mono and stereo are taken whole. With more channels the voice band of each is compared between
    speech and pauses, over up to 40 lines spread over the film; front left and right stay a pair.
    """
    if source.channels <= 2:
        return [tuple(range(source.channels))]
    if not lines:
        return []
    carrying = _carrying(*_voice_band_levels(source, lines, grid), options)
    if {0, 1} <= set(carrying):
        return [(0, 1), *((c,) for c in carrying if c > 1)]
    return [(c,) for c in carrying]


def _carrying(
    speech: NDArray[np.float64], pause: NDArray[np.float64] | None, options: SeparationOptions
) -> list[int]:
    """Channels that gain from speech; without any pause the centre, unless it is nearly silent."""
    reach = 10 ** (options.dialogue_reach_db / 10)
    if pause is None:
        if speech[_CENTRE_CHANNEL] >= speech.max() * reach:
            return [_CENTRE_CHANNEL]
        pause = np.zeros_like(speech)
    added = np.maximum(speech - pause, 0)
    rises = speech >= pause * 10 ** (options.dialogue_rise_db / 10) + TINY
    strong = added >= added.max() * reach
    return [int(c) for c in np.flatnonzero(rises & strong)] or [_CENTRE_CHANNEL]


def _voice_band_levels(
    source: AudioReader, lines: Sequence[DialogueLine], grid: Grid
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Mean power of each channel in the voice band, inside speech and in the pauses beside it."""
    step = max(1, len(lines) // _LINES_LOOKED_AT)
    speech, pause = [], []
    for line in lines[::step]:
        speech.append(_voice_band(source, line.sample(source.rate, grid), grid))
        pause += [_voice_band(source, p, grid) for p in line.before + line.after]
    return np.mean(speech, axis=0), np.mean(pause, axis=0) if pause else None


def _voice_band(source: AudioReader, span: Span, grid: Grid) -> NDArray[np.float64]:
    low, high = (round(f * grid.size / source.rate) for f in _VOICE_BAND_HZ)
    sound = sound_of(source, span)
    bands = (power(grid.analyse(channel)[:, low : high + 1]) for channel in sound)
    return np.array([band.mean(dtype=np.float64) for band in bands])


@dataclass(frozen=True, slots=True)
class Position:
    """Position of a voice between two channels.

    Attributes:
        lean: -1 is all right, 0 the middle, 1 all left (amplitude panning).
        spread: power beside that position against the power at it; 0 is a point.
    """

    lean: float
    spread: float

    def gains(self) -> NDArray[np.float32]:
        """Strengths of the voice left and right; their mean is one."""
        return np.array([1 + self.lean, 1 - self.lean], np.float32)

    def turn(self, spectra: Spectrum) -> Spectrum:
        """Return the sound at the position, and the sound beside it: ``(2, frames, bins)``.

        In the middle these are (left + right) / 2 and (left - right) / 2.
        """
        left, right = self.gains()
        scale = np.float32(1 / (left * left + right * right))
        at = np.empty(spectra.shape[1:], np.complex64)
        beside = np.empty_like(at)
        # Real and imaginary parts by themselves: numpy widens a real factor to a complex one.
        for part in ("real", "imag"):
            one, other = getattr(spectra[0], part), getattr(spectra[1], part)
            setattr(at, part, left * scale * one + right * scale * other)
            setattr(beside, part, right * scale * one - left * scale * other)
        return np.stack([at, beside])


MIDDLE = Position(0.0, 0.0)


def sides(pauses: Sequence[PauseSums], heard: Spectrum) -> NDArray[np.float64]:
    """Return how much of the voices is left alone, right alone, and in both channels.

    Bins count that stand out against the pauses; one that is 10 dB stronger in a channel is its
    alone. Each frame votes for one place by its amplitude, so that a quiet voice counts too.
    """
    quiet = pause_power(pauses, None)
    votes = np.zeros(3)
    for first in range(0, heard.shape[1], _FRAMES_AT_ONCE):
        found = power(heard[:, first : first + _FRAMES_AT_ONCE])
        left, right = found if quiet is None else found * (found >= _STANDS_OUT * quiet[:, None])
        alone = left * (right <= _ALONE * left), right * (left <= _ALONE * right)
        frames = np.stack([side.sum(axis=1, dtype=np.float64) for side in (*alone, left + right)])
        frames[2] -= frames[0] + frames[1]
        votes += np.where(frames == frames.max(axis=0), np.sqrt(np.maximum(frames, 0)), 0).sum(
            axis=1
        )
    return votes


def are_apart(sides: NDArray[np.float64]) -> bool:
    """Return whether the voices of a line lie at different places: a microphone per channel."""
    return bool(sides.max() < _ONE_PLACE * sides.sum())


def position(pauses: Sequence[PauseSums], heard: Spectrum) -> Position:
    """Find where the voice lies, by the medians over the bins where it drowns the background.

    Args:
        pauses: sums of both channels beside the line.
        heard: spectra ``(2, frames, bins)`` of a sample of the line.
    """
    left, right = heard
    loudness = power((left + right) * np.float32(0.5))
    quiet = [pause.turned(0.0)[0] / np.float32(pause.frames) for pause in pauses]
    # The bins in which the voice stands out.
    least = _STANDS_OUT * np.mean(quiet, axis=0) if pauses else np.float32(0)
    voiced = loudness >= np.maximum(least, np.quantile(loudness, 0.95))
    if not voiced.any():
        voiced = loudness >= loudness.max()
    both = np.stack([left[voiced], right[voiced]])[:, None]
    mid, side = MIDDLE.turn(both)
    lean = float(np.median((side * mid.conj()).real / (power(mid) + TINY)))
    lean = float(np.sign(lean)) if abs(lean) > _MOST_LEAN else lean
    at, beside = Position(lean, 0.0).turn(both)
    return Position(lean, float(np.median(power(beside) / (power(at) + TINY))))


def tells_apart(
    place: Position, pauses: Sequence[PauseSums], heard: Spectrum, options: SeparationOptions
) -> bool:
    """Return whether the stereo picture separates a voice in one point from a wide rest."""
    if options.method != "auto":
        return options.method == "centre"
    sums = pauses or [PauseSums.of(heard)]
    at, beside = np.mean([each.turned(place.lean).mean(axis=1) / each.frames for each in sums], 0)
    wide = beside > at * 10 ** (options.least_side_db / 10)
    return bool(wide and place.spread <= 10 ** (options.most_spread_db / 10))
