"""The plan of a mix, made before its first sample: the level and the place of every line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.media.audio.channels import loudness_weights, positions
from dubarr_pipeline.media.audio.k_weighting import Powers
from dubarr_pipeline.media.audio.reader import Samples, read_mono
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.media.mix.levels import LineLevel, line_gains, measure_lines, read_take
from dubarr_pipeline.media.mix.options import Codec, MixOptions, MixSources, PlacedTake
from dubarr_pipeline.media.mix.room_match import Room, measure_room
from dubarr_pipeline.spans import Span, complement, intersect, merge

_DULLED_CODECS: tuple[Codec, ...] = ("aac",)
"""Codecs that lower the loudness by leaving sound out: measured, 0.4 LU of music for AAC; the
others lose as much only of white noise, and the proof tells."""


@dataclass(frozen=True, slots=True)
class OpenFilm:
    """The two stems, open, and what their headers say of both."""

    accompaniment: WaveFile
    vocals: WaveFile
    rate: int
    channels: int
    layout: str | None
    samples: int


@contextlib.contextmanager
def open_film(sources: MixSources) -> Iterator[OpenFilm]:
    """Open both stems. Raises `ArtifactError` also if they do not match each other."""
    with WaveFile(sources.accompaniment) as bed, WaveFile(sources.vocals) as vocals:
        shapes = [(f.rate, f.channels, f.samples) for f in (bed, vocals)]
        if shapes[0] != shapes[1]:
            raise ArtifactError(
                f"{bed.path} and {vocals.path} are not of one film (rate, channels, samples:"
                f" {shapes[0]} and {shapes[1]}): delete both, and `vocals` makes them anew"
            )
        yield OpenFilm(bed, vocals, bed.rate, bed.channels, bed.layout, bed.samples)


@dataclass(frozen=True, slots=True)
class MixPlan:
    """All that is decided before the first sample is written.

    Attributes:
        lines: what was measured, in the order of the takes.
        dialogue: the channels that are changed.
        gain_db: on the whole programme.
        ceiling_dbtp: of the limiter.
        trim_db: by how much all takes were moved together, included in their gains.
    """

    sources: MixSources
    options: MixOptions
    lines: tuple[LineLevel, ...]
    takes: tuple[PlacedTake, ...]
    dialogue: tuple[int, ...]
    gain_db: float
    ceiling_dbtp: float
    trim_db: float = 0.0

    def louder(self, dub_db: float) -> MixPlan:
        """Return the same plan with all of the dub moved."""
        takes = tuple(replace(t, gain_db=t.gain_db + dub_db) for t in self.takes)
        return replace(self, takes=takes, trim_db=self.trim_db + dub_db)

    @property
    def trim_bounds_db(self) -> tuple[float, float]:
        """Bounds of what all takes may still move, down and up."""
        most_db = self.options.levels.trim_db
        return -most_db - self.trim_db, most_db - self.trim_db

    @property
    def target_lufs(self) -> float:
        """Target loudness of the finished programme."""
        target = self.options.target
        return target.programme_lufs if target else self.sources.loudness.integrated_lufs

    @property
    def decodes_again(self) -> bool:
        """True if the finished file is measured, rather than the encoder's input."""
        wanted = self.options.decode_again
        if wanted is not None:
            return wanted
        return self.options.target is not None or self.options.codec in _DULLED_CODECS

    @property
    def peak_target_dbtp(self) -> float:
        """The highest true peak that the finished file may have."""
        return _ceiling(self.sources, self.options)

    @property
    def voiced(self) -> list[Span]:
        """Spans with speech: dubbed, or in the original voice."""
        return merge([*self.spoken, *intersect(self.sources.speech, self.sources.kept)])

    @property
    def spoken(self) -> list[Span]:
        """Spans in which the dub sounds."""
        return [take.span for take in self.takes if take.is_heard]


def plan_mix(
    film: OpenFilm, sources: MixSources, takes: Sequence[PlacedTake], options: MixOptions
) -> MixPlan:
    """Measure every line and decide gain and place of every take. Raises as `measure_lines`."""
    lines = measure_lines(takes, film.vocals, sources.levels)
    shares = film_shares(lines, film.channels)
    dialogue = dialogue_channels(shares, film.layout)
    spans = [_heard(take, line, film.samples) for take, line in zip(takes, lines, strict=True)]
    gains = line_gains(lines, options.levels)
    levelled = tuple(
        replace(
            take,
            span=span,
            gain_db=gain + take.gain_db,
            pan=pan_gains(line.shares, shares, dialogue, film.layout),
            room=_room(take, film) if options.room_match else None,
        )
        for take, line, span, gain in zip(takes, lines, spans, gains, strict=True)
    )
    ceiling_dbtp = _ceiling(sources, options)
    return MixPlan(sources, options, tuple(lines), levelled, dialogue, 0.0, ceiling_dbtp)


def changed_plan(
    film: OpenFilm,
    before: MixPlan,
    sources: MixSources,
    takes: Sequence[PlacedTake],
    known: Sequence[int | None],
) -> MixPlan:
    """Return a finished plan for other takes: those that stay keep their gain and their place.

    `known` has each take's number in the plan `before`, or None for a new one. Raises as
    `measure_lines`.
    """
    new = [take for take, number in zip(takes, known, strict=True) if number is None]
    measured = iter(measure_lines(new, film.vocals, sources.levels))
    lines = tuple(next(measured) if n is None else before.lines[n] for n in known)
    shares = film_shares(lines, film.channels)
    dialogue = dialogue_channels(shares, film.layout)
    gains = line_gains(lines, before.options.levels)
    planned = tuple(
        replace(
            take,
            span=_heard(take, line, film.samples),
            gain_db=gain + take.gain_db + before.trim_db,
            pan=pan_gains(line.shares, shares, dialogue, film.layout),
        )
        if n is None
        else replace(before.takes[n], path=take.path)
        for take, line, gain, n in zip(takes, lines, gains, known, strict=True)
    )
    return replace(before, sources=sources, lines=lines, takes=planned, dialogue=dialogue)


def _room(take: PlacedTake, film: OpenFilm) -> Room | None:
    """Measure how far away the original line was; None where there is none to hear."""
    original = read_mono(film.vocals, take.window)
    sound, rate = read_take(take)
    if not original.any() or not sound.any():
        return None
    return measure_room(original, film.rate, sound, rate)


def _heard(take: PlacedTake, line: LineLevel, samples: int) -> Span:
    """Return the part of a take that lies on the film; empty if none does."""
    start = min(max(0, take.start), samples)
    return Span(start, min(samples, max(start, take.start + line.samples)))


def _ceiling(sources: MixSources, options: MixOptions) -> float:
    if options.target:
        return options.target.true_peak_dbtp
    return max(options.true_peak_dbtp, sources.loudness.true_peak_dbtp)


_LINE_EDGE_S = 0.3
"""Cues and detected edges differ by some tenths of a second."""
_WORD_S = 0.4
"""Shorter rests at a line's end are its last sounds, not words."""


def undubbed_speech(speech: Sequence[Span], dub: Sequence[Span], rate: int) -> list[Span]:
    """Return the stretches of speech that no dubbed line covers: their original voice must stay.

    `dub` are the spans of the lines that have one, of the original and of the take.
    """
    edge, whole = round(_LINE_EDGE_S * rate), merge(speech)
    end = max((span.end for span in whole), default=0)
    free = complement([span.pad(edge, edge) for span in dub if span.length], Span(0, end))
    rests = intersect(whole, free)
    return [rest for rest in rests if rest.length >= _WORD_S * rate or rest in whole]


DIALOGUE_SHARE = 0.01
"""A channel with less than 1 % (-20 dB) of the film's voices has no dialogue: it is left alone."""
_BALANCED_DB = 2.0
"""Two sides as close as this are a voice in the middle, and a little music that went with it."""
_MIRRORED = {"FL": "FR", "BL": "BR", "SL": "SR", "FLC": "FRC"}


def film_shares(lines: Sequence[LineLevel], channels: int) -> Powers:
    """Return ``(channels,)``: the part of the film's dialogue in each channel; all 0 if none."""
    total = sum((line.shares * line.original_power for line in lines), np.zeros(channels))
    return total / total.sum() if total.sum() > 0 else total


def dialogue_channels(shares: Powers, layout: str | None) -> tuple[int, ...]:
    """Return the channels that carry dialogue, and so are changed at all.

    Where the film has no voice to go by, it is all of them; the low-frequency channel never.
    """
    places = positions(len(shares), layout)
    voiced = shares >= DIALOGUE_SHARE if shares.any() else np.ones(len(shares), bool)
    return tuple(i for i, place in enumerate(places) if voiced[i] and place != "LFE")


def pan_gains(
    shares: Powers, film: Powers, channels: tuple[int, ...], layout: str | None
) -> Samples:
    """Return ``(channels,)`` float32: the gain of a line's mono take in every channel.

    They follow the original's spread, at constant loudness; for a line without voice, the film's.
    """
    allowed = np.zeros(len(shares))
    allowed[list(channels)] = 1
    spread = shares * allowed if (shares * allowed).any() else film * allowed
    if not spread.any():
        places = positions(len(allowed), layout)
        front = ("FC",) if "FC" in places else ("FL", "FR")
        chosen = np.array([place in front for place in places]) * allowed
        spread = chosen if chosen.any() else allowed
    spread = _balanced(spread / spread.sum(), layout)
    spread[spread < DIALOGUE_SHARE] = 0
    spread /= spread.sum()
    weights = np.where(allowed > 0, loudness_weights(len(shares), layout), 1)
    return np.sqrt(spread / weights).astype(np.float32)


def _balanced(spread: Powers, layout: str | None) -> Powers:
    places = positions(len(spread), layout)
    for left, place in enumerate(places):
        right = places.index(_MIRRORED[place]) if _MIRRORED.get(place) in places else None
        if right is None or not spread[[left, right]].all():
            continue
        if abs(10 * np.log10(spread[left] / spread[right])) <= _BALANCED_DB:
            spread[[left, right]] = spread[[left, right]].mean()
    return spread
