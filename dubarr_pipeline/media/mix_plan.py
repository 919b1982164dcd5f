"""What is decided before the first sample is mixed: the level and the place of every line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.media.dialogue_level import LineLevel, line_gains, measure_lines, read_take
from dubarr_pipeline.media.mix_options import Codec, MixOptions, MixSources, PlacedTake
from dubarr_pipeline.media.panning import dialogue_channels, film_shares, pan_gains
from dubarr_pipeline.media.placed_takes import LevelledTake
from dubarr_pipeline.media.room_match import Room, measure_room
from dubarr_pipeline.media.sound_reader import read_mono
from dubarr_pipeline.media.waveform import WaveFile
from dubarr_pipeline.timeline.spans import Span, intersect, merge

_DULLED_CODECS: tuple[Codec, ...] = ("aac",)
"""What the encoder leaves out is heard in the loudness: measured, 0.4 LU of music for AAC; the
others lose as much only of white noise, and the proof tells."""


@dataclass(frozen=True, slots=True)
class OpenFilm:
    """The two stems, open."""

    accompaniment: WaveFile
    vocals: WaveFile

    @property
    def rate(self) -> int:
        return self.accompaniment.rate

    @property
    def channels(self) -> int:
        return self.accompaniment.channels

    @property
    def layout(self) -> str | None:
        return self.accompaniment.layout

    @property
    def samples(self) -> int:
        return self.accompaniment.samples


@contextlib.contextmanager
def open_film(sources: MixSources) -> Iterator[OpenFilm]:
    """Open both stems.

    Raises:
        ArtifactError: if one is missing or damaged, or they do not match each other.
    """
    with WaveFile(sources.accompaniment) as bed, WaveFile(sources.vocals) as vocals:
        shapes = [(f.rate, f.channels, f.samples) for f in (bed, vocals)]
        if shapes[0] != shapes[1]:
            raise ArtifactError(
                f"{bed.path} and {vocals.path} are not of one film (rate, channels, samples:"
                f" {shapes[0]} and {shapes[1]}): delete both, and `vocals` makes them anew"
            )
        yield OpenFilm(bed, vocals)


@dataclass(frozen=True, slots=True)
class MixPlan:
    """All that is decided before the first sample is written.

    Attributes:
        lines: what was measured, in the order of the takes.
        takes: the same takes with gain and place.
        dialogue: the channels that are changed.
        gain_db: on the whole programme.
        ceiling_dbtp: of the limiter.
        trim_db: by how much all takes were moved together, included in their gains.
    """

    sources: MixSources
    options: MixOptions
    lines: tuple[LineLevel, ...]
    takes: tuple[LevelledTake, ...]
    dialogue: tuple[int, ...]
    gain_db: float
    ceiling_dbtp: float
    trim_db: float = 0.0

    def louder(self, dub_db: float) -> MixPlan:
        """The same plan with all of the dub moved."""
        takes = tuple(replace(t, gain_db=t.gain_db + dub_db) for t in self.takes)
        return replace(self, takes=takes, trim_db=self.trim_db + dub_db)

    @property
    def trim_bounds_db(self) -> tuple[float, float]:
        """How far all takes may still move, down and up."""
        most_db = self.options.levels.trim_db
        return -most_db - self.trim_db, most_db - self.trim_db

    @property
    def target_lufs(self) -> float:
        """What the finished programme should measure."""
        target = self.options.target
        return target.programme_lufs if target else self.sources.loudness.integrated_lufs

    @property
    def decodes_again(self) -> bool:
        """Whether the finished file is what is measured, rather than what is fed to the encoder."""
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
        """Where somebody speaks: dubbed, or in the original voice."""
        return merge([*self.spoken, *intersect(self.sources.speech, self.sources.kept)])

    @property
    def spoken(self) -> list[Span]:
        """Where the dub sounds."""
        return [t.span for t in self.takes if t.span.length and t.pan.any()]


def plan_mix(
    film: OpenFilm, sources: MixSources, takes: Sequence[PlacedTake], options: MixOptions
) -> MixPlan:
    """Measure every line and decide gain and place of every take.

    Raises:
        ArtifactError: if a take is missing, damaged or not mono.
    """
    lines = measure_lines(takes, film.vocals)
    shares = film_shares(lines, film.channels)
    dialogue = dialogue_channels(shares, film.layout)
    spans = [_heard(take, line, film.samples) for take, line in zip(takes, lines, strict=True)]
    gains = line_gains(lines, options.levels)
    levelled = tuple(
        LevelledTake(
            take,
            span,
            gain + take.gain_db,
            pan_gains(line.shares, shares, dialogue, film.layout),
            _room(take, film) if options.room_match else None,
        )
        for take, line, span, gain in zip(takes, lines, spans, gains, strict=True)
    )
    ceiling_dbtp = _ceiling(sources, options)
    return MixPlan(sources, options, tuple(lines), levelled, dialogue, 0.0, ceiling_dbtp)


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
