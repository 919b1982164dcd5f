"""Hears a finished track again and says what a listener gets.

The file is decoded once. Its samples are compared with the bed and the takes as they were meant to
be: folded and resampled where the codec asked for it. Told is whether the bed came through where
nobody speaks, whether it lies where it lay, and whether each take is in its window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dubarr_pipeline.media.bed_ear import BedEar
from dubarr_pipeline.media.encoding import SoundFormat, TrackFormat, choose_format
from dubarr_pipeline.media.mix_options import MixOptions, MixSources, PlacedTake
from dubarr_pipeline.media.mix_report import MixReport
from dubarr_pipeline.media.resample import resampled_length
from dubarr_pipeline.media.sound_reader import Samples
from dubarr_pipeline.media.take_ears import ExpectedTake, TakeEars, listening_step
from dubarr_pipeline.media.track_listening import InOrder, as_in_track, folding, play_track
from dubarr_pipeline.timeline.spans import Span, complement, merge

_BLOCK_SAMPLES = 1 << 18
_EDGE_S = 0.05
"""Codecs smear over a frame at each side of what was changed."""


@dataclass(frozen=True, slots=True)
class TrackProof:
    """What was found in the decoded track.

    Attributes:
        loudness_lufs, true_peak_dbtp: of the file; for a delivery standard by ffmpeg's meter.
        bed_null_db: level of the difference to the bed (with the programme's gain, folded and
            resampled as the track is) where nobody speaks, against the bed itself; -120 for no
            difference; None where there is no such place to compare.
        bed_gain_db: the level there against the bed's.
        offset_ms: the largest displacement of the bed in any piece heard; None as above.
        line_gains_db: of each take in its window, against the gain that the mixer reports; -120
            where the take is not there.
        heard_together: how many of them could be told only with the others that sound with them:
            drowned by those, or too much alike. Theirs is the gain of all of them.
    """

    loudness_lufs: float
    true_peak_dbtp: float
    bed_null_db: float | None
    bed_gain_db: float | None
    offset_ms: float | None
    line_gains_db: tuple[float, ...]
    heard_together: int = 0


def prove_track(
    path: Path,
    sources: MixSources,
    takes: Sequence[PlacedTake],
    report: MixReport,
    options: MixOptions,
) -> TrackProof:
    """Decode a track once and compare it with what it was made of.

    Args:
        path: the finished track.
        sources: the stems.
        takes: in the order in which they were mixed.
        report: of the mixer.
        options: that it was mixed with.

    Raises:
        MediaToolError: if the track cannot be decoded.
        ArtifactError: if a stem or a take is missing or damaged.
    """
    sound = SoundFormat(report.rate, report.channels, report.layout)
    track = choose_format(options.codec, sound, options.bitrate_kbps)
    clock = _Clock(report.rate, track.rate)
    expected = _expected(takes, report, clock, folding(sound, track))
    gain = 10 ** (report.gain_db / 20)
    places = [clock.span(span) for span in _untouched(sources, report, options)]
    with as_in_track(sources.accompaniment, sound, track) as bed:
        listener = _Listener(
            bed,
            BedEar(track.rate, gain, places),
            TakeEars(expected, track),
            clock.moment(report.samples),
        )
        block = _block(track)
        strict = options.target is not None
        measured = play_track(path, track, block, listener.hear, strict=strict)
    gains = listener.takes.gains()
    return TrackProof(
        measured.integrated_lufs,
        measured.true_peak_dbtp,
        *listener.bed_ear.result(),
        tuple(gain.gain_db for gain in gains),
        sum(gain.together for gain in gains),
    )


def _block(track: TrackFormat) -> int:
    step = listening_step(track.rate)
    return _BLOCK_SAMPLES // step * step


@dataclass(frozen=True, slots=True)
class _Clock:
    """From the film's samples to the track's."""

    film_rate: int
    track_rate: int

    def moment(self, sample: int) -> int:
        return resampled_length(sample, self.film_rate, self.track_rate)

    def span(self, span: Span) -> Span:
        return Span(self.moment(span.start), self.moment(span.end))


def _expected(
    takes: Sequence[PlacedTake], report: MixReport, clock: _Clock, fold: np.ndarray
) -> list[ExpectedTake]:
    """Every take with its place and its gains in the track."""
    found = []
    for take, line in zip(takes, report.lines, strict=True):
        first = max(0, line.start)
        last = max(first, min(report.samples, line.start + line.samples))
        gain = 10 ** ((line.gain_db + report.gain_db) / 20)
        gains = (gain * fold @ np.array(line.pan, np.float64)).astype(np.float32)
        span = clock.span(Span(first, last))
        found.append(ExpectedTake(take, clock.moment(line.start), span, gains))
    return found


@dataclass(slots=True)
class _Listener:
    """Hands each block of the track, and the bed that belongs to it, to all ears."""

    bed: InOrder
    bed_ear: BedEar
    takes: TakeEars
    samples: int
    _start: int = 0

    def hear(self, block: Samples) -> None:
        heard = block[:, : max(0, self.samples - self._start)]
        if heard.shape[1]:
            under = self.bed.read(self._start, self._start + heard.shape[1])
            self.bed_ear.hear(self._start, heard, under)
            self.takes.hear(self._start, heard, under)
        self._start += block.shape[1]


def _untouched(sources: MixSources, report: MixReport, options: MixOptions) -> list[Span]:
    """Return where nobody speaks and nothing is lowered."""
    fader = options.ducking
    moves_s = 0.0
    if options.preset != "film":
        moves_s = (fader.look_ahead_ms + fader.attack_ms + fader.hold_ms + fader.release_ms) / 1000
    edge, moving = (round(s * report.rate) for s in (_EDGE_S, _EDGE_S + moves_s))
    speech = [span.pad(edge, edge) for span in (*sources.speech, *sources.kept)]
    dub = [Span(n.start, n.start + n.samples).pad(moving, moving) for n in report.lines]
    return complement(merge([*speech, *dub]), Span(0, report.samples))
