"""Sum of placed takes and the film's bed, block by block.

Outside speech and the short fades at its edges the samples are the original's, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dubarr_pipeline.media.audio.channels import loudness_weights
from dubarr_pipeline.media.audio.k_weighting import (
    FRAMES_PER_S,
    Powers,
    frame_length,
    summed_powers,
)
from dubarr_pipeline.media.audio.loudness import SILENCE_LUFS, integrated
from dubarr_pipeline.media.audio.reader import Samples, is_silent
from dubarr_pipeline.media.audio.resample import resample
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.media.mix.ducking import (
    Ducker,
    Envelope,
    Plateau,
    around,
    half_cosine,
    within,
)
from dubarr_pipeline.media.mix.levels import LineLevel, read_take, trim_towards
from dubarr_pipeline.media.mix.limiter import Limiter
from dubarr_pipeline.media.mix.options import PlacedTake
from dubarr_pipeline.media.mix.plan import MixPlan, OpenFilm
from dubarr_pipeline.media.mix.room_match import in_room
from dubarr_pipeline.spans import Span, merge

_BLOCK_SAMPLES = 1 << 16
"""1.4 s at 48 kHz: larger blocks fall out of the processor's cache, smaller ones pay for Python."""
_SEARCHED_S = 1
"""Reach beyond the known speech in which voices are restored: separators fade over its edges."""


@dataclass(slots=True)
class Rendering:
    """One pass over the film: its blocks as they come, and their clipped samples."""

    limiter: Limiter
    ducker: Ducker | None
    blocks: Iterator[Samples]
    full_scale: float = 1.0
    """A film whose own peaks lie over 1 is not clipped by keeping them."""
    clipped_samples: int = 0

    def __iter__(self) -> Iterator[Samples]:
        for block in self.blocks:
            if block.size and max(block.max(), -block.min()) > self.full_scale:
                self.clipped_samples += int(np.count_nonzero(np.abs(block) > self.full_scale))
            yield block


def render(film: OpenFilm, plan: MixPlan, part: Span | None = None) -> Rendering:
    """Return the finished film: ``(channels, samples)`` float32 blocks of any length, in order.

    Of a `part`, which begins at a multiple of 256 samples, all but the outer 4,096 samples at
    either end are those of the whole film.
    """
    part = part or Span(0, film.samples)
    bed, fade = bed_of(film, plan), _fade(plan, film.rate)
    limiter = Limiter(film.rate, plan.ceiling_dbtp)
    if not plan.options.target:
        limiter = Limiter(film.rate, plan.ceiling_dbtp, plan.dialogue, within(plan.spoken, fade))
    takes = TakesOnTrack(plan.takes, film.rate, film.samples, fade)
    summed = _summed(bed, takes, part, plan.gain_db)
    full_scale = max(1.0, 10 ** (plan.ceiling_dbtp / 20))
    return Rendering(limiter, bed.ducker, limiter.limit(summed, part.start), full_scale)


def moved_faders(old: MixPlan, new: MixPlan, rate: int) -> list[Span]:
    """Return where two plans of one film move a fader otherwise, in samples: the takes' own aside.

    That is the original voice's, the limiter's and, under a preset that ducks, the bed's.
    """
    fade, ducking = _fade(new, rate), new.options.ducking
    ducks = new.options.preset != "film"

    def hills(plan: MixPlan) -> set[Plateau]:
        ducked = Ducker(plan.spoken, rate, ducking).dips if ducks else ()
        kept = around(plan.sources.kept, fade).plateaus
        return {*within(plan.spoken, fade).plateaus, *kept, *ducked}

    moved = hills(old) ^ hills(new)
    return merge(Span(max(0, hill.rise), max(0, hill.rise, hill.end)) for hill in moved)


def bed_of(film: OpenFilm, plan: MixPlan) -> Bed:
    """Return the film without its dialogue, as the preset wants it under the dub."""
    options, rate = plan.options, film.rate
    film_preset, voice_over = options.preset == "film", options.preset == "voice-over"
    return Bed(
        film.accompaniment,
        film.vocals,
        removed=around(plan.sources.speech, _SEARCHED_S * rate),
        kept=None if voice_over else around(plan.sources.kept, _fade(plan, rate)),
        dialogue=plan.dialogue,
        ducker=None if film_preset else Ducker(plan.spoken, rate, options.ducking),
    )


def _fade(plan: MixPlan, rate: int) -> int:
    return max(1, round(plan.options.fade_ms * rate / 1000))


def _summed(bed: Bed, takes: TakesOnTrack, part: Span, gain_db: float) -> Iterator[Samples]:
    gain = np.float32(10 ** (gain_db / 20))
    for start in range(part.start, part.end, _BLOCK_SAMPLES):
        block = bed.read(start, min(part.end, start + _BLOCK_SAMPLES))
        takes.add_to(start, block)
        if gain_db:
            block *= gain
        yield block


@dataclass(frozen=True, slots=True)
class Bed:
    """The bed, read block by block.

    Attributes:
        removed: where vocals were taken out at all; elsewhere there are none to add.
        kept: weight of the original voice, or None where it stays throughout (voice-over).
        dialogue: the channels that carry dialogue; the others are the original's.
        ducker: the gain under the dub, or None.
    """

    accompaniment: WaveFile
    vocals: WaveFile
    removed: Envelope
    kept: Envelope | None
    dialogue: tuple[int, ...]
    ducker: Ducker | None

    def read(self, start: int, stop: int) -> Samples:
        """Return ``(channels, stop - start)`` float32, free to be written to; all inside the film.

        It lies in memory as in the file, interleaved, which is how the encoder wants it: for its
        sake every step works channel by channel.
        """
        block = self.accompaniment.read_frames(start, stop).T
        if self.removed.touches(start, stop):
            self._give_back_voices(block, start, stop)
        if self.ducker:
            self.ducker.lower(start, block)
        return block

    def _give_back_voices(self, block: Samples, start: int, stop: int) -> None:
        weight = self.kept.weight(start, stop) if self.kept else None
        everywhere = self.kept is None
        others = [c for c in range(len(block)) if everywhere or c not in self.dialogue]
        if weight is None and not others:
            return
        voices = self.vocals.read(start, stop)
        for channel in others:
            _add(block[channel], voices[channel])
        if weight is not None:
            for channel in self.dialogue:
                _add(block[channel], voices[channel] * weight)


def _add(channel: Samples, voice: Samples) -> None:
    # Only where there is a voice: adding zeros would turn -0.0 into 0.0, and cost a pass.
    if not is_silent(voice):
        np.add(channel, voice, out=channel, where=voice != 0)


@dataclass(slots=True)
class _Sounding:
    sound: Samples
    take: PlacedTake
    start: int


class TakesOnTrack:
    """Takes to be added to blocks of the film; holds only those that sound.

    `rate` and `samples` are the film's: what lies beyond is cut off. Both ends of every take fade
    over `fade` samples.
    """

    def __init__(self, takes: Sequence[PlacedTake], rate: int, samples: int, fade: int) -> None:
        self._waiting = sorted(takes, key=lambda t: t.span.start, reverse=True)
        self._rate, self._samples, self._fade = rate, samples, fade
        self._sounding: list[_Sounding] = []

    def add_to(self, start: int, block: Samples) -> None:
        """Add what sounds from `start` on to the ``(channels, samples)``; blocks come in order."""
        stop = start + block.shape[1]
        while self._waiting and self._waiting[-1].span.start < stop:
            take = self._waiting.pop()
            if take.span.end > start and take.pan.any():
                self._sounding.append(self._opened(take))
        for each in self._sounding:
            first, last = max(start, each.start), min(stop, each.start + each.sound.size)
            part = each.sound[first - each.start : max(first, last) - each.start]
            for channel in np.flatnonzero(each.take.pan) if part.size else ():
                block[channel, first - start : last - start] += part * each.take.pan[channel]
        self._sounding = [s for s in self._sounding if s.start + s.sound.size > stop]

    def _opened(self, take: PlacedTake) -> _Sounding:
        sound, rate = read_take(take)
        if take.room:
            sound = in_room(sound, rate, take.room)
        sound = resample(sound, rate, self._rate)
        start = max(0, take.start)
        sound = sound[start - take.start : self._samples - take.start]
        sound = sound * np.float32(10 ** (take.gain_db / 20))
        fade = min(self._fade, sound.size // 2)
        if fade:
            slope = half_cosine(fade)
            sound[:fade] *= slope
            sound[-fade:] *= slope[::-1]
        return _Sounding(sound, take, start)


def dub_frames(takes: Sequence[PlacedTake], lines: Sequence[LineLevel], hop: float) -> Powers:
    """Return the dub's power in every tenth of a second (`hop` samples) of the film."""
    ends = [round(t.start / hop) + n.dub_powers.size for t, n in zip(takes, lines, strict=True)]
    frames = np.zeros(max([0, *ends]))
    for take, line in zip(takes, lines, strict=True):
        first = round(take.start / hop)
        powers = line.dub_powers[max(0, -first) :] * 10 ** (take.gain_db / 10)
        frames[max(0, first) : max(0, first) + powers.size] += powers
    return frames


_PIECE_S = 4
_GOLDEN = 0.618034
_LEAST_PARTS, _LONGEST_STEP_S = 24, 64
"""Mix and original are compared on the same parts, so that what the others are like hardly matters:
measured on synthetic films, the whole is then right to 0.1 LU."""


def levelled_by_trial(film: OpenFilm, plan: MixPlan) -> MixPlan:
    """Return the plan with all takes moved together so that the programme keeps its loudness.

    They move at most `LevelOptions.trim_db`; the bed is never touched for this.
    """
    if not plan.takes:
        return plan
    heard = list(_trial_pass(film, plan))
    original, bed, dub = (np.concatenate(frames) for frames in zip(*heard, strict=True))
    target_lufs = integrated(original)
    if target_lufs <= SILENCE_LUFS or not dub.any():
        return plan
    return plan.louder(trim_towards(bed + dub, dub, target_lufs, plan.trim_bounds_db)[0])


def _trial_pass(film: OpenFilm, plan: MixPlan) -> Iterator[tuple[Powers, Powers, Powers]]:
    """Yield the powers of original, bed and dub in each part: of unrelated sounds they add up."""
    weights, known = loudness_weights(film.channels, film.layout), plan.sources.levels.parts
    bed, hop = bed_of(film, plan), frame_length(film.rate)
    takes = dub_frames(plan.takes, plan.lines, film.rate / FRAMES_PER_S)
    for part in _parts(film.samples, film.rate):
        if part not in known:
            original = film.accompaniment.read_frames(part.start, part.end)
            original += film.vocals.read_frames(part.start, part.end)
            known[part] = summed_powers(original.T, film.rate, weights)
        before = known[part]
        after = summed_powers(bed.read(part.start, part.end), film.rate, weights)
        dub = np.zeros_like(before)
        sounding = takes[part.start // hop : part.start // hop + dub.size]
        dub[: sounding.size] = sounding
        yield before, after, dub


def _parts(samples: int, rate: int) -> Iterator[Span]:
    """Yield parts of 4 s all over the film: all of a short one, a sixteenth of a long one."""
    step_s = min(_LONGEST_STEP_S, samples / rate / _LEAST_PARTS)
    step, piece = round(max(_PIECE_S, step_s) * rate), _PIECE_S * rate
    for number, first in enumerate(range(0, samples, step)):
        # Irregular (golden section), so that no rhythm of the film is met always at the same beat.
        start = first + int(number * _GOLDEN % 1 * (step - piece))
        start -= start % frame_length(rate)
        if start < samples:
            yield Span(start, min(samples, start + piece))
