"""Hears a finished track again, with other means than the mixer's, and says what a listener gets.

Loudness and true peak come from ffmpeg's meter. The rest is told from the decoded samples, the bed
and the takes: whether the bed came through where nobody speaks, whether it lies where it lay, and
whether each take is in its window. One pass, a few seconds of film in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.media.dialogue_level import read_take
from dubarr_pipeline.media.loudness import measure_file
from dubarr_pipeline.media.mix_options import MixOptions, MixSources, PlacedTake
from dubarr_pipeline.media.mix_report import LineMix, MixReport
from dubarr_pipeline.media.resample import resample
from dubarr_pipeline.media.sound_reader import Samples
from dubarr_pipeline.media.waveform import WaveFile
from dubarr_pipeline.timeline.spans import Span, complement, merge

_BLOCK_SAMPLES = 1 << 18
_EDGE_S = 0.05
"""Codecs smear over a frame at each side of what was changed."""
_PIECE_SAMPLES = 1 << 14
_MOST_LAG_S = 0.05
_FINER = 8
_ALIKE = 0.5
_UNHEARD_DB = -120.0


@dataclass(frozen=True, slots=True)
class TrackProof:
    """What was found in the decoded track.

    Attributes:
        loudness_lufs, true_peak_dbtp: by ffmpeg's meter, on the file.
        bed_null_db: level of the difference to the bed (with the programme's gain) where nobody
            speaks, against the bed itself; -120 for no difference; None where there is no such
            place, or the codec made rate or channels others.
        bed_gain_db: the level there against the bed's.
        offset_ms: the largest displacement of the bed in any piece heard; None as above.
        line_gains_db: of each take in its window, against the gain that the mixer reports; -120
            where the take is not there.
    """

    loudness_lufs: float
    true_peak_dbtp: float
    bed_null_db: float | None
    bed_gain_db: float | None
    offset_ms: float | None
    line_gains_db: tuple[float, ...]


def prove_track(
    path: Path,
    sources: MixSources,
    takes: Sequence[PlacedTake],
    report: MixReport,
    options: MixOptions,
) -> TrackProof:
    """Decode a track and compare it with what it was made of.

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
    measured = measure_file(path)
    same = report.track_rate == report.rate and report.track_layout == report.layout
    if not same:
        gains = tuple(0.0 for _ in report.lines)
        found = (None, None, None, gains)
    else:
        found = _compare(path, sources, takes, report, options)
    return TrackProof(measured.integrated_lufs, measured.true_peak_dbtp, *found)


def _compare(
    path: Path,
    sources: MixSources,
    takes: Sequence[PlacedTake],
    report: MixReport,
    options: MixOptions,
) -> tuple[float | None, float | None, float | None, tuple[float, ...]]:
    ears = [_LineEar(take, line, report) for take, line in zip(takes, report.lines, strict=True)]
    gain = 10 ** (report.gain_db / 20)
    bed_ear = _BedEar(report.rate, gain, _untouched(sources, report, options))
    waiting = sorted(ears, key=lambda ear: ear.span.start, reverse=True)
    sounding: list[_LineEar] = []
    with WaveFile(sources.accompaniment) as bed:
        for start, heard in _decoded(path, report):
            stop = start + heard.shape[1]
            under = bed.read(start, stop)
            while waiting and waiting[-1].span.start < stop:
                sounding.append(waiting.pop())
            for ear in sounding:
                ear.hear(start, heard, under)
            sounding = [ear for ear in sounding if ear.span.end > stop]
            bed_ear.hear(start, heard, under)
    return (*bed_ear.result(), tuple(ear.gain_db() for ear in ears))


def _decoded(path: Path, report: MixReport) -> Iterator[tuple[int, Samples]]:
    """Yield ``(start, (channels, samples))``, no longer than the film."""
    arguments = ["-i", ffmpeg.file_url(path), "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "f32le"]
    start, size = 0, 4 * report.channels
    with ffmpeg.reader([*arguments, "pipe:1"]) as pipe:
        while data := pipe.read(_BLOCK_SAMPLES * size):
            frames = np.frombuffer(data, "<f4").reshape(-1, report.channels)
            inside = frames[: max(0, report.samples - start)]
            if len(inside):
                yield start, np.ascontiguousarray(inside.T, np.float32)
            start += len(frames)


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


@dataclass(slots=True)
class _LineEar:
    """Listens for one take: how much of it is in its window, beside how much of the bed."""

    take: PlacedTake
    line: LineMix
    report: MixReport
    span: Span = field(init=False)
    _channel: int = field(init=False)
    _sound: Samples | None = None
    _gram: NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, 2)))
    _found: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    def __post_init__(self) -> None:
        first = max(0, self.line.start)
        last = min(self.report.samples, self.line.start + self.line.samples)
        self.span = Span(first, max(first, last))
        self._channel = int(np.argmax(self.line.pan))

    def hear(self, start: int, heard: Samples, bed: Samples) -> None:
        part = self.span.clip(Span(start, start + heard.shape[1]))
        if part is None:
            return
        if self._sound is None:
            self._sound = resample(*read_take(self.take), self.report.rate)
        window = slice(part.start - start, part.end - start)
        offset = self.line.start
        voice = self._sound[part.start - offset : part.end - offset]
        both = np.stack([bed[self._channel, window][: voice.size], voice])
        self._gram += both @ both.T
        self._found += both @ heard[self._channel, window][: voice.size]
        if part.end == self.span.end:
            self._sound = None

    def gain_db(self) -> float:
        """The take's gain in the track, against the reported one."""
        wanted = 10 ** ((self.line.gain_db + self.report.gain_db) / 20) * max(self.line.pan)
        if wanted <= 0 or self._gram[1, 1] <= 0:
            return _UNHEARD_DB
        share = np.linalg.lstsq(self._gram, self._found, rcond=1e-9)[0][1] / wanted
        return max(_UNHEARD_DB, 20 * float(np.log10(max(share, 1e-9))))


class _BedEar:
    """Compares the bed with itself where nothing was done to it."""

    def __init__(self, rate: int, gain: float, places: Sequence[Span]) -> None:
        self._gain = np.float32(gain)
        self._places = list(places)
        self._reach = round(_MOST_LAG_S * rate)
        self._rate = rate
        self._bed = self._rest = self._heard = 0.0
        self._lags: list[float] = []

    def hear(self, start: int, heard: Samples, bed: Samples) -> None:
        here = Span(start, start + heard.shape[1])
        longest = Span(start, start)
        for place in self._places:
            part = place.clip(here)
            if part is None:
                continue
            window = slice(part.start - start, part.end - start)
            theirs, ours = bed[:, window].ravel(), heard[:, window].ravel()
            self._bed += float(theirs @ theirs)
            self._heard += float(ours @ ours)
            rest = ours - self._gain * theirs
            self._rest += float(rest @ rest)
            longest = max(longest, part, key=lambda span: span.length)
        self._places = [place for place in self._places if place.end > here.end]
        if longest.length >= _PIECE_SAMPLES:
            first = longest.start - start
            self._locate(heard[:, first:][:, :_PIECE_SAMPLES], bed[:, first:][:, :_PIECE_SAMPLES])

    def _locate(self, heard: Samples, bed: Samples) -> None:
        """Find by how much the bed moved in this piece, where it is heard well enough to tell."""
        size = 2 * _PIECE_SAMPLES
        cross = (np.fft.rfft(heard, size) * np.conj(np.fft.rfft(bed, size))).sum(axis=0)
        fine = np.fft.irfft(cross, size * _FINER) * _FINER
        near = np.roll(fine, self._reach * _FINER)[: 2 * self._reach * _FINER + 1]
        power = float(np.sqrt(np.square(heard).sum() * np.square(bed).sum()))
        if power > 0 and near.max() >= _ALIKE * power:
            self._lags.append(float(near.argmax()) / _FINER - self._reach)

    def result(self) -> tuple[float | None, float | None, float | None]:
        """The null in dB, the gain in dB, the largest displacement in ms."""
        offset_ms = max((abs(lag) for lag in self._lags), default=None)
        if offset_ms is not None:
            offset_ms *= 1000 / self._rate
        if self._bed <= 0:
            return None, None, offset_ms
        bed = self._bed * float(self._gain) ** 2
        null_db = 10 * float(np.log10(max(self._rest / bed, 1e-12)))
        level_db = 10 * float(np.log10(max(self._heard / self._bed, 1e-12)))
        return null_db, level_db, offset_ms
