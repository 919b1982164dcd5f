"""The mix of placed takes and the film's bed into the finished track, and its measurement.

One streaming pass feeds one encoder; memory does not grow with the film.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dubarr_pipeline.files import whole_file
from dubarr_pipeline.media.audio.channels import layout_of
from dubarr_pipeline.media.audio.k_weighting import Powers
from dubarr_pipeline.media.audio.loudness import SILENCE_LUFS, LoudnessMeter
from dubarr_pipeline.media.audio.reader import keep_freed_blocks
from dubarr_pipeline.media.audio.wav import WaveWriter
from dubarr_pipeline.media.mix.check import ProofParts, TrackProof, prove_in_parts
from dubarr_pipeline.media.mix.encode import (
    CODECS,
    DIALNORM_CODECS,
    MeasuredTrack,
    SoundFormat,
    TrackFormat,
    choose_format,
    dialnorm_of,
    encoding,
    measure_track,
    measured,
)
from dubarr_pipeline.media.mix.levels import LineLevel, trim_towards
from dubarr_pipeline.media.mix.options import MixOptions, MixSources, PlacedTake
from dubarr_pipeline.media.mix.plan import MixPlan, OpenFilm, open_film, plan_mix
from dubarr_pipeline.media.mix.render import Rendering, dub_frames, levelled_by_trial, render
from dubarr_pipeline.media.mix.report import DuckingReport, LineMix, MixReport
from dubarr_pipeline.progress import OnSeconds

logger = logging.getLogger(__name__)

TOLERANCE_LU = 0.2
"""Broadcasters' quality control of EBU R 128: further off than this, it is mixed again."""
_PEAK_TOLERANCE_DB = 0.05
_CODEC_PEAK_MARGIN_DB = 0.5
"""Lossy codecs raise peaks by some tenths of a dB."""


def mix(
    sources: MixSources,
    takes: Sequence[PlacedTake],
    destination: Path,
    options: MixOptions | None = None,
    on_progress: OnSeconds | None = None,
) -> MixReport:
    """Mix and encode a dubbed track; `destination` appears whole or not at all.

    The takes may be in any order; none at all leaves the film without its speech.

    Raises:
        ArtifactError: if a stem or a take is missing or damaged.
        SettingsError: if the codec cannot be had at that bitrate.
        MediaToolError, MissingRequirement, DiskFull, NotWritable: from the encoder and the disk.
    """
    return mix_whole(sources, takes, destination, options or MixOptions(), on_progress).report


@dataclass(frozen=True, slots=True)
class MixedTrack:
    """A mixed track: its report, its last plan, and the powers of every tenth of a second."""

    report: MixReport
    plan: MixPlan
    frames: Powers


def mix_whole(
    sources: MixSources,
    takes: Sequence[PlacedTake],
    destination: Path,
    options: MixOptions,
    on_progress: OnSeconds | None = None,
) -> MixedTrack:
    """Mix a track, and keep how. As `mix`."""
    keep_freed_blocks()
    with open_film(sources) as film, contextlib.ExitStack() as files:
        sound = SoundFormat(film.rate, film.channels, film.layout)
        job = _MixJob(
            film,
            sound,
            files.enter_context(whole_file(destination)),
            files.enter_context(whole_file(options.pcm)) if options.pcm else None,
            choose_format(options.codec, sound, options.bitrate_kbps),
            on_progress or (lambda *_: None),
        )
        plan = levelled_by_trial(film, plan_mix(film, sources, takes, options))
        plan = _levelled_programme(job, plan)
        done, passes = _deliver(job, plan)
        report = _report(job, done, passes)
    logger.info(
        "%s: %d takes, %.1f s, %.1f LUFS, true peak %.1f dBTP, %d passes",
        *(destination.name, len(takes), film.samples / film.rate),
        *(report.loudness_lufs, report.true_peak_dbtp, report.passes),
    )
    return MixedTrack(report, done.plan, done.measured.frames)


@dataclass(frozen=True, slots=True)
class _MixJob:
    film: OpenFilm
    sound: SoundFormat
    path: Path
    pcm: Path | None
    track: TrackFormat
    on_progress: OnSeconds


def _levelled_programme(job: _MixJob, plan: MixPlan) -> MixPlan:
    """Find the gain that brings the programme to its standard, by a pass that only listens."""
    target = plan.options.target
    if target is None:
        return plan
    film = job.film
    meter = LoudnessMeter(film.rate, film.channels, film.layout)
    unlimited = replace(plan, ceiling_dbtp=np.inf)
    for block in render(film, unlimited):
        meter.add(block)
    meter.finish()
    measured = _as_preset(plan, meter.result().integrated_lufs, meter.dialogue_lufs(plan.voiced))
    margin = _CODEC_PEAK_MARGIN_DB if job.track.bitrate_kbps else 0.0
    gain_db = target.programme_lufs - measured if measured > SILENCE_LUFS else 0.0
    return replace(plan, gain_db=gain_db, ceiling_dbtp=plan.ceiling_dbtp - margin)


def _as_preset(plan: MixPlan, programme_lufs: float, dialogue_lufs: float) -> float:
    target = plan.options.target
    if target and target.dialogue_gated and dialogue_lufs > SILENCE_LUFS:
        return dialogue_lufs
    return programme_lufs


@dataclass(frozen=True, slots=True)
class _Pass:
    """One encoded track and what it measures."""

    plan: MixPlan
    rendering: Rendering
    measured: MeasuredTrack
    dialnorm: int | None

    @property
    def level_lufs(self) -> float:
        measured = self.measured
        return _as_preset(self.plan, measured.loudness.integrated_lufs, measured.dialogue_lufs)

    @property
    def miss_lu(self) -> float:
        return self.level_lufs - self.plan.target_lufs


_Correction = tuple[MixPlan, float]
"""The plan of a better pass, and the level in LUFS that it should reach."""


def _deliver(job: _MixJob, plan: MixPlan) -> tuple[_Pass, int]:
    """Return the last of one pass or two, and how many there were."""
    done, passes = _encode(job, plan, dialnorm_of(plan.target_lufs)), 1
    better = _to_standard(done) if plan.options.target else _to_source(job, done)
    if better is None and done.dialnorm is not None:
        # Half an LU is rounding; a programme on the border is not encoded twice for it.
        off_lu = abs(done.level_lufs - done.dialnorm)
        if dialnorm_of(done.level_lufs) != done.dialnorm and off_lu > 0.75:
            better = plan, done.level_lufs
    if better:
        plan, level_lufs = better
        done, passes = _encode(job, plan, dialnorm_of(level_lufs)), 2
    return done, passes


def _to_standard(done: _Pass) -> _Correction | None:
    plan = done.plan
    excess_db = done.measured.loudness.true_peak_dbtp - plan.peak_target_dbtp
    off_lu = (
        done.miss_lu if abs(done.miss_lu) > TOLERANCE_LU and done.level_lufs > SILENCE_LUFS else 0.0
    )
    lower_db = excess_db + _PEAK_TOLERANCE_DB if excess_db > _PEAK_TOLERANCE_DB else 0.0
    if not off_lu and not lower_db:
        return None
    changed = replace(
        plan, gain_db=plan.gain_db - off_lu, ceiling_dbtp=plan.ceiling_dbtp - lower_db
    )
    return changed, done.level_lufs - off_lu


def _to_source(job: _MixJob, done: _Pass) -> _Correction | None:
    plan = done.plan
    if abs(done.miss_lu) <= TOLERANCE_LU or not plan.takes or plan.target_lufs <= SILENCE_LUFS:
        return None
    dub = dub_frames(plan.takes, plan.lines, job.film.rate / 10)
    frames = done.measured.frames
    dub_db, level_lufs = trim_towards(frames, dub, plan.target_lufs, plan.trim_bounds_db)
    if abs(level_lufs - done.level_lufs) < TOLERANCE_LU / 4:
        return None
    return plan.louder(dub_db), level_lufs


def _encode(job: _MixJob, plan: MixPlan, dialnorm: int) -> _Pass:
    film, track = job.film, job.track
    rendering = render(film, plan)
    done, total_s = 0, film.samples / film.rate
    written = dialnorm if track.codec in DIALNORM_CODECS else None
    meter = None if plan.decodes_again else LoudnessMeter(film.rate, film.channels, film.layout)
    shape = film.rate, film.channels, film.samples, layout_of(film.channels, film.layout)
    samples = WaveWriter(job.pcm, *shape) if job.pcm else contextlib.nullcontext()
    with encoding(job.path, job.sound, track, written) as encode, samples as pcm:
        for block in rendering:
            encode(block)
            if pcm:
                pcm.write(block)
            if meter:
                meter.add(block)
            done += block.shape[1]
            job.on_progress(done / film.rate, total_s)
    if meter:
        heard = measured(meter, plan.voiced, None)
    else:
        heard = measure_track(job.path, track, plan.voiced, film.rate)
    return _Pass(plan, rendering, heard, written)


def _report(job: _MixJob, done: _Pass, passes: int) -> MixReport:
    film, track, plan, heard = job.film, job.track, done.plan, done.measured
    size, ducker = job.path.stat().st_size, done.rendering.ducker
    dips = ducker.dips if ducker else ()
    lowered_s = round(sum(dip.edge - dip.top for dip in dips) / film.rate, 3)
    depth_db = plan.options.ducking.depth_db if ducker else 0.0
    return MixReport(
        samples=film.samples,
        rate=film.rate,
        channels=film.channels,
        layout=layout_of(film.channels, film.layout),
        codec=track.codec,
        track_rate=track.rate,
        track_layout=track.layout,
        # Of the finished file: encoders may lower the rate that they were asked for.
        bitrate_kbps=track.bitrate_kbps and round(8 * size * film.rate / film.samples / 1000),
        measured_on="track" if plan.decodes_again else "mix",
        loudness_lufs=heard.loudness.integrated_lufs,
        true_peak_dbtp=heard.loudness.true_peak_dbtp,
        lra_lu=heard.loudness.lra_lu,
        dialogue_lufs=heard.dialogue_lufs,
        source_lufs=plan.sources.loudness.integrated_lufs,
        target_lufs=plan.target_lufs,
        miss_lu=done.miss_lu,
        ceiling_dbtp=plan.peak_target_dbtp,
        gain_db=plan.gain_db,
        dub_trim_db=plan.trim_db,
        dialnorm=done.dialnorm,
        clipped_samples=done.rendering.clipped_samples,
        limited_samples=done.rendering.limiter.touched_samples,
        limited_db=done.rendering.limiter.deepest_db,
        encoder_delay_samples=CODECS[track.codec].delay_samples,
        decoded_samples=heard.decoded_samples,
        passes=passes,
        dialogue_channels=plan.dialogue,
        ducking=DuckingReport(len(dips), depth_db, lowered_s),
        lines=line_mixes(plan),
        notes=(*track.notes, *_shortfalls(done)),
    )


def line_mixes(plan: MixPlan) -> tuple[LineMix, ...]:
    """Return how each line lies in the track."""
    return tuple(_line(take, line) for take, line in zip(plan.takes, plan.lines, strict=True))


def _line(take: PlacedTake, line: LineLevel) -> LineMix:
    sounds = take.is_heard and line.dub_lufs > SILENCE_LUFS
    return LineMix(
        start=take.start,
        samples=line.samples,
        speaker=take.speaker,
        original_lufs=line.original_lufs,
        dub_lufs=max(SILENCE_LUFS, line.dub_lufs + take.gain_db) if sounds else SILENCE_LUFS,
        gain_db=take.gain_db,
        pan=tuple(float(gain) for gain in take.pan),
        lost_samples=line.samples - take.span.length,
    )


def _shortfalls(done: _Pass) -> Iterator[str]:
    if abs(done.miss_lu) > TOLERANCE_LU:
        yield (
            f"the programme measures {done.level_lufs:.1f} LUFS, {done.miss_lu:+.1f} LU from"
            f" {done.plan.target_lufs:.1f}: more than the bounds on the dub's level allow to mend"
        )
    cut = sum(
        t.span.length < line.samples
        for t, line in zip(done.plan.takes, done.plan.lines, strict=True)
    )
    if cut:
        yield f"{cut} takes reach over the film's ends, where nothing can be heard"


_SURELY_LU = 0.05
"""A file that is this near the mixer's own figure would not be nearer to its target after another
pass."""


@dataclass(frozen=True, slots=True)
class ProvenTrack:
    """A mixed track with its proof, and what both were put together from."""

    mixed: MixedTrack
    proof: TrackProof
    parts: ProofParts


def mix_and_prove(
    sources: MixSources,
    takes: Sequence[PlacedTake],
    destination: Path,
    options: MixOptions,
    on_progress: OnSeconds | None = None,
) -> ProvenTrack:
    """Mix a track and prove it; the file is within 0.2 LU of its target wherever the dub can do it.

    Only where its proof is off target is the film mixed again, by the file's own measure. Arguments
    and errors are those of `mix` and `prove_track`.
    """
    mixed = mix_whole(sources, takes, destination, options, on_progress)
    report = mixed.report
    proof, parts = prove_in_parts(destination, sources, takes, report, options)
    if (
        options.decode_again is None
        and takes
        and report.measured_on == "mix"
        and abs(proof.loudness_lufs - report.target_lufs) > TOLERANCE_LU
        and abs(proof.loudness_lufs - report.loudness_lufs) > _SURELY_LU
    ):
        logger.info(
            "%s measures %.2f LUFS after encoding, %.2f before: mixed again",
            *(destination.name, proof.loudness_lufs, report.loudness_lufs),
        )
        careful = replace(options, decode_again=True)
        mixed = mix_whole(sources, takes, destination, careful, on_progress)
        proof, parts = prove_in_parts(destination, sources, takes, mixed.report, careful)
    return ProvenTrack(mixed, proof, parts)
