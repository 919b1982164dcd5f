"""The proof of a finished track: decoded once and compared with what it was made of.

That is the bed, the voices and the takes, folded and resampled where the codec asked for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media.audio.channels import layout_of
from dubarr_pipeline.media.audio.k_weighting import frame_length
from dubarr_pipeline.media.audio.loudness import (
    METER_FLAGS,
    Loudness,
    LoudnessMeter,
    meter,
    meter_said,
)
from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.media.audio.resample import Read, resampled_length
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container import ffmpeg_graph as graph
from dubarr_pipeline.media.mix.check_bed import BedComparison, BedPiece, VoiceComparison
from dubarr_pipeline.media.mix.check_takes import FoundTake, TakeDetectors
from dubarr_pipeline.media.mix.encode import (
    SoundFormat,
    TrackFormat,
    choose_format,
    converted,
    is_converted,
)
from dubarr_pipeline.media.mix.options import MixOptions, MixSources, PlacedTake
from dubarr_pipeline.media.mix.plan import undubbed_speech
from dubarr_pipeline.media.mix.report import MixReport
from dubarr_pipeline.spans import Span, complement, intersect, merge, total

_BLOCK_FRAMES = 48
_MUTED_DB = -30.0
_DOUBLED_DB = -10.0
"""The original voice this far under its own level is heard beside the dub."""
_EDGE_S = 0.05
"""Codecs smear over a frame at each side of what was changed."""


@dataclass(frozen=True, slots=True)
class TrackProof:
    """Measurements of the decoded track.

    Attributes:
        loudness_lufs, true_peak_dbtp: of the file; for a delivery standard by ffmpeg's meter.
        bed_null_db: level of the difference to the bed where nobody speaks, against the bed
            itself; -120 for none; None where there is no such place to compare.
        bed_gain_db: the level there against the bed's.
        offset_ms: the largest displacement of the bed in any piece heard; None as above.
        line_gains_db: of each take in its window, against the gain that the mixer reports; -120
            where the take is not there.
        heard_together: how many of them could be told only with the others that sound with them;
            theirs is the gain of all.
        speech_s: seconds of detected speech.
        dubbed_s: seconds of it in lines that have a dub.
        muted_s: start and end of speech with neither a dub nor the original voice, in seconds.
        original_left_db: the original voice under the dub, all takes together; None without any.
        doubled_s: starts of takes under which the original voice is heard, in seconds.
    """

    loudness_lufs: float
    true_peak_dbtp: float
    bed_null_db: float | None
    bed_gain_db: float | None
    offset_ms: float | None
    line_gains_db: tuple[float, ...]
    heard_together: int = 0
    speech_s: float = 0.0
    dubbed_s: float = 0.0
    muted_s: tuple[tuple[float, float], ...] = ()
    original_left_db: float | None = None
    doubled_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ProofParts:
    """Measurements that a proof is put together from: those of a part can be made anew.

    Attributes:
        bed: by the first sample of each block, at the track's rate.
        voices: ``(3, tenths of a second)``, as `VoiceComparison` sums them.
        takes: in the order of the takes.
    """

    bed: Mapping[int, BedPiece]
    voices: NDArray[np.float64]
    takes: tuple[FoundTake, ...]


def prove_track(
    path: Path,
    sources: MixSources,
    takes: Sequence[PlacedTake],
    report: MixReport,
    options: MixOptions,
) -> TrackProof:
    """Decode a track once and compare it with what `mix` made it of; `takes` in the same order.

    Raises:
        MediaToolError: if the track cannot be decoded.
        ArtifactError: if a stem or a take is missing or damaged.
    """
    return prove_in_parts(path, sources, takes, report, options)[0]


def prove_in_parts(
    path: Path,
    sources: MixSources,
    takes: Sequence[PlacedTake],
    report: MixReport,
    options: MixOptions,
) -> tuple[TrackProof, ProofParts]:
    """Prove a track, and keep what the proof was put together from. As `prove_track`."""
    prover = Prover(sources, takes, report, options)
    with prover.stems() as (bed, original):
        listener = prover.listener(bed, original)
        strict = options.target is not None
        measured = play_track(path, prover.track, prover.block, listener.hear, strict=strict)
    parts = listener.parts()
    return prover.proof(measured.integrated_lufs, measured.true_peak_dbtp, parts), parts


class Prover:
    """Knowledge of what a track must hold, from its sources and the mixer's report.

    `block` samples at the track's rate are heard at a time: whole tenths of a second.
    """

    def __init__(
        self,
        sources: MixSources,
        takes: Sequence[PlacedTake],
        report: MixReport,
        options: MixOptions,
    ) -> None:
        self._sources, self._report = sources, report
        self._sound = sound = SoundFormat(report.rate, report.channels, report.layout)
        self.track = track = choose_format(options.codec, sound, options.bitrate_kbps)
        self._clock = clock = _Clock(report.rate, track.rate)
        self.expected = _expected(takes, report, clock, folding(sound, track))
        self._gain = 10 ** (report.gain_db / 20)
        self._untouched = [clock.span(s) for s in _untouched(sources, report, options)]
        detected = sources.speech if sources.detected is None else sources.detected
        self._speech = merge(detected)
        dub = [Span(line.start, line.start + line.samples) for line in report.lines]
        lines = [*dub, *(take.window for take in takes)]
        self._undubbed = undubbed_speech(self._speech, lines, report.rate)
        self.length = clock.moment(report.samples)
        self.block = block_samples(track.rate)

    @contextlib.contextmanager
    def stems(self) -> Iterator[tuple[Read, Read]]:
        """Open bed and voices as they would sound in the track. Raises as `prove_track`."""
        with (
            as_in_track(self._sources.accompaniment, self._sound, self.track) as bed,
            as_in_track(self._sources.vocals, self._sound, self.track) as original,
        ):
            yield bed, original

    def listener(self, bed: Read, original: Read, part: Span | None = None) -> TrackListener:
        """Return a listener for the track, or for a part of it that begins with a block."""
        part = part or Span(0, self.length)
        edge = round(_EDGE_S * self.track.rate)
        voiced = [self._clock.span(span).pad(-edge, -edge) for span in self._undubbed]
        speech = [self._clock.span(span) for span in self._speech]
        here = [n for n, take in enumerate(self.expected) if take.span.overlap(part)]
        if part.start == 0 and part.end >= self.length:
            here = list(range(len(self.expected)))
        return TrackListener(
            bed,
            original,
            BedComparison(self.track.rate, self._gain, self._untouched),
            VoiceComparison(self.track.rate, self._gain, voiced, self.length),
            TakeDetectors([self.expected[n] for n in here], self.track, speech),
            self.length,
            here,
            part.start,
        )

    def proof(self, loudness_lufs: float, true_peak_dbtp: float, parts: ProofParts) -> TrackProof:
        """Return the proof that these parts are."""
        bed = BedComparison(self.track.rate, self._gain, ())
        bed.pieces |= parts.bed
        voices = VoiceComparison(self.track.rate, self._gain, (), self.length)
        voices.sums[:] = parts.voices
        back = _Clock(self.track.rate, self._report.rate)
        missing = [back.span(span) for span in voices.missing()]
        return TrackProof(
            loudness_lufs,
            true_peak_dbtp,
            *bed.result(),
            tuple(take.gain_db for take in parts.takes),
            sum(take.together for take in parts.takes),
            **_as_heard(self._speech, self._undubbed, self._report, parts.takes, missing),
        )


def block_samples(rate: int) -> int:
    """Return how many samples of a track, at `rate` Hz, are heard at a time: 4.8 s."""
    return _BLOCK_FRAMES * frame_length(rate)


def _as_heard(
    speech: Sequence[Span],
    undubbed: Sequence[Span],
    report: MixReport,
    takes: Sequence[FoundTake],
    missing: Sequence[Span],
) -> dict[str, Any]:
    """Return the figures on speech and on the original voice under the dub."""
    rate = report.rate
    silent = [
        Span(line.start, line.start + line.samples)
        for line, take in zip(report.lines, takes, strict=True)
        if take.gain_db <= _MUTED_DB and not take.together
    ]
    weight = sum(take.weight for take in takes)
    left = abs(sum(take.original * take.weight for take in takes)) / weight if weight else 0.0
    doubled = 10 ** (_DOUBLED_DB / 20)
    return {
        "speech_s": round(total(speech) / rate, 3),
        "dubbed_s": round((total(speech) - total(undubbed)) / rate, 3),
        "muted_s": tuple(
            (round(span.start / rate, 3), round(span.end / rate, 3))
            for span in merge([*missing, *intersect(speech, silent)])
        ),
        "original_left_db": round(20 * float(np.log10(max(left, 1e-3))), 1) if weight else None,
        "doubled_s": tuple(
            round(line.start / rate, 3)
            for line, take in zip(report.lines, takes, strict=True)
            if take.original > doubled
        ),
    }


@dataclass(frozen=True, slots=True)
class _Clock:
    """From the samples of one rate to those of another."""

    rate: int
    wanted: int

    def moment(self, sample: int) -> int:
        return resampled_length(sample, self.rate, self.wanted)

    def span(self, span: Span) -> Span:
        return Span(self.moment(span.start), self.moment(span.end))


def _expected(
    takes: Sequence[PlacedTake], report: MixReport, clock: _Clock, fold: np.ndarray
) -> list[PlacedTake]:
    """Return every take with its place and all its gains in the track, on the track's clock."""
    expected: list[PlacedTake] = []
    for take, line in zip(takes, report.lines, strict=True):
        first = max(0, line.start)
        last = max(first, min(report.samples, line.start + line.samples))
        gain = 10 ** ((line.gain_db + report.gain_db) / 20)
        gains = (gain * fold @ np.array(line.pan, np.float64)).astype(np.float32)
        span = clock.span(Span(first, last))
        start = clock.moment(line.start)
        expected.append(replace(take, start=start, span=span, pan=gains, gain_db=0.0))
    return expected


@dataclass(slots=True)
class TrackListener:
    """Distributor of each block of the track, with its stems, to all detectors.

    Attributes:
        samples: length of the film at the track's rate.
        numbers: of the takes that it listens for, among all.
        start: the sample that comes next.
    """

    bed: Read
    original: Read
    comparison: BedComparison
    voices: VoiceComparison
    takes: TakeDetectors
    samples: int
    numbers: Sequence[int]
    start: int = 0

    def hear(self, block: Samples) -> None:
        """Hear the next ``(channels, samples)``: a whole block, but for the last."""
        heard = block[:, : max(0, self.samples - self.start)]
        if heard.shape[1]:
            under = self.bed(self.start, self.start + heard.shape[1])
            voices = self.original(self.start, self.start + heard.shape[1])
            self.comparison.hear(self.start, heard, under)
            self.voices.hear(self.start, heard, under, voices)
            self.takes.hear(self.start, heard, under, voices)
        self.start += block.shape[1]

    def parts(self) -> ProofParts:
        """Return what was heard."""
        found = tuple(self.takes.gains())
        return ProofParts(self.comparison.pieces, self.voices.sums, found)


def _untouched(sources: MixSources, report: MixReport, options: MixOptions) -> list[Span]:
    """Return where nobody speaks and nothing is lowered."""
    fader = options.ducking
    moves_s = 0.0
    if options.preset != "film":
        moves_s = (fader.look_ahead_ms + fader.attack_ms + fader.hold_ms + fader.release_ms) / 1000
    edge, moving = (round(s * report.rate) for s in (_EDGE_S, _EDGE_S + moves_s))
    speech = [span.pad(edge, edge) for span in sources.speech]
    dub = [Span(n.start, n.start + n.samples).pad(moving, moving) for n in report.lines]
    return complement(merge([*speech, *dub]), Span(0, report.samples))


_PROBE_SAMPLES = 4800


def play_track(
    path: Path, track: TrackFormat, block: int, on_block: Callable[[Samples], None], *, strict: bool
) -> Loudness:
    """Decode a track once, hand out its blocks, and return what it measures.

    `on_block` is told every ``(channels, block)``, the last may be shorter. With `strict` it is
    ffmpeg that measures, else our meter (as ffmpeg's within 0.01 LU, at a quarter of the price).
    Raises as `prove_track`.
    """
    own = None if strict else LoudnessMeter(track.rate, track.channels, track.layout)
    played, samples = graph.open_input(path).stream("a:0"), 0
    decoded = graph.output([played if own else meter(played)], "pipe:1", graph.FLOATS)
    with ffmpeg.reader(graph.command(decoded, flags=() if own else METER_FLAGS)) as pipe:
        for heard in pipe.sound(track.channels, block):
            if own:
                own.add(heard)
            samples += heard.shape[1]
            on_block(heard)
    if own is None:
        return meter_said(pipe.stderr, path)
    own.finish()
    return own.result_of_whole(samples)


@contextlib.contextmanager
def as_in_track(path: Path, sound: SoundFormat, track: TrackFormat) -> Iterator[Read]:
    """Open a stem as it would sound in a track: folded and resampled as the encoder's input is.

    It is read from its beginning to its end. Raises as `prove_track`.
    """
    if not is_converted(sound, track):
        with WaveFile(path) as wave:
            yield wave.read
        return
    folded = converted(_named(graph.open_input(path).stream("a:0"), sound), sound, track)
    with ffmpeg.reader(graph.command(graph.output([folded], "pipe:1", graph.FLOATS))) as pipe:

        def read(start: int, stop: int) -> Samples:
            block = np.zeros((track.channels, stop - start), np.float32)
            heard = next(pipe.sound(track.channels, stop - start), block)
            block[:, : heard.shape[1]] = heard
            return block

        yield read
        while pipe.read(1 << 20):
            pass


def _named(link: graph.Link, sound: SoundFormat) -> graph.Link:
    """Have ffmpeg take the channels for what the mixer takes them for."""
    layout = layout_of(sound.channels, sound.layout)
    if layout.endswith("c"):
        return link
    order = "|".join(map(str, range(sound.channels)))
    return link.filter("channelmap", {"map": order, "channel_layout": layout})


def folding(sound: SoundFormat, track: TrackFormat) -> NDArray[np.float64]:
    """Return ``(track channels, film channels)``: the gains of ffmpeg's own fold, as measured."""
    at_rate = SoundFormat(track.rate, sound.channels, sound.layout)
    if not is_converted(at_rate, track):
        return np.eye(sound.channels)
    one_by_one = np.repeat(np.eye(sound.channels, dtype="<f4"), _PROBE_SAMPLES, axis=0)
    bare: graph.Options = {"f": "f32le", "ar": track.rate, "ac": sound.channels}
    given = graph.open_input("pipe:0", bare).stream("a:0")
    folded = converted(_named(given, sound), at_rate, track)
    command = graph.command(graph.output([folded], "pipe:1", graph.FLOATS))
    found = ffmpeg.run(command, stdin=one_by_one.tobytes()).stdout
    heard = np.frombuffer(found, "<f4").reshape(-1, track.channels)
    return heard[_PROBE_SAMPLES // 2 :: _PROBE_SAMPLES][: sound.channels].T.astype(np.float64)
