"""Mixes placed takes and the film's bed into the finished track, and measures what came out.

One streaming pass feeds one encoder. Memory does not grow with the film: a few blocks, the takes
that sound now, and some bytes for every tenth of a second of loudness.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dubarr_pipeline.media.channels import layout_of
from dubarr_pipeline.media.dialogue_level import LineLevel, level_after, trim_towards
from dubarr_pipeline.media.encoded_track import MeasuredTrack, measure_track, measured
from dubarr_pipeline.media.encoding import (
    CODECS,
    DIALNORM_CODECS,
    SoundFormat,
    TrackFormat,
    choose_format,
    dialnorm_of,
    encoding,
)
from dubarr_pipeline.media.loudness import SILENCE_LUFS, LoudnessMeter
from dubarr_pipeline.media.mix_options import MixOptions, MixSources, PlacedTake
from dubarr_pipeline.media.mix_plan import MixPlan, OpenFilm, open_film, plan_mix
from dubarr_pipeline.media.mix_report import DuckingReport, LineMix, MixReport
from dubarr_pipeline.media.placed_takes import LevelledTake, dub_frames
from dubarr_pipeline.media.rehearsal import rehearsed
from dubarr_pipeline.media.rendering import Rendering, render
from dubarr_pipeline.media.waveform import WaveWriter
from dubarr_pipeline.workdir import whole_file

logger = logging.getLogger(__name__)

OnSeconds = Callable[[float, float], None]
"""Told the seconds that are done, and of how many."""

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

    Args:
        sources: the original sound in two stems, and where its voices stay.
        takes: the dubbed lines, in any order; none at all leaves the film without its speech.
        destination: the encoded file.
        options: presets, codec and bounds.
        on_progress: told the seconds mixed, and of how many.

    Raises:
        ArtifactError: if a stem or a take is missing or damaged.
        SettingsError: if the codec cannot be had at that bitrate.
        MediaToolError, MissingRequirement, DiskFull, NotWritable: from the encoder and the disk.
    """
    options = options or MixOptions()
    _settle_allocator()
    with open_film(sources) as film, contextlib.ExitStack() as files:
        job = _Job(
            film,
            files.enter_context(whole_file(destination)),
            files.enter_context(whole_file(options.pcm)) if options.pcm else None,
            _format(film, options),
            on_progress or _nobody_watches,
        )
        plan = rehearsed(film, plan_mix(film, sources, takes, options))
        plan = _levelled_programme(job, plan)
        report = _deliver(job, plan)
    logger.info(
        "%s: %d takes, %.1f s, %.1f LUFS, true peak %.1f dBTP, %d passes",
        *(destination.name, len(takes), film.samples / film.rate),
        *(report.loudness_lufs, report.true_peak_dbtp, report.passes),
    )
    return report


def _nobody_watches(_done_s: float, _total_s: float) -> None:
    """Where no progress is asked for."""


def _settle_allocator() -> None:
    """Have glibc keep freed blocks: without it a third of the mixer's time goes into page faults.

    Freeing one mapped block raises its thresholds for mapping and trimming to that block's size
    (mallopt(3), M_MMAP_THRESHOLD); the block is never written to, and costs nothing.
    """
    np.empty(31 << 20, np.uint8)


@dataclass(frozen=True, slots=True)
class _Job:
    film: OpenFilm
    path: Path
    pcm: Path | None
    track: TrackFormat
    on_progress: OnSeconds

    @property
    def sound(self) -> SoundFormat:
        return SoundFormat(self.film.rate, self.film.channels, self.film.layout)


def _format(film: OpenFilm, options: MixOptions) -> TrackFormat:
    sound = SoundFormat(film.rate, film.channels, film.layout)
    return choose_format(options.codec, sound, options.bitrate_kbps)


def _levelled_programme(job: _Job, plan: MixPlan) -> MixPlan:
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


@dataclass(frozen=True, slots=True)
class _Correction:
    """What the next pass does better, and the level it is expected to reach."""

    plan: MixPlan
    level_lufs: float


def _deliver(job: _Job, plan: MixPlan) -> MixReport:
    done = _encode(job, plan, dialnorm_of(plan.target_lufs))
    better = _corrected(job, done)
    if better is None:
        return _report(job, done, passes=1)
    done = _encode(job, better.plan, dialnorm_of(better.level_lufs))
    return _report(job, done, passes=2)


def _corrected(job: _Job, done: _Pass) -> _Correction | None:
    """Return what a second pass would do better, or None where the first is good."""
    better = _to_standard(done) if done.plan.options.target else _to_source(job, done)
    if better:
        return better
    if done.dialnorm is not None and _dialnorm_is_wrong(done):
        return _Correction(done.plan, done.level_lufs)
    return None


def _dialnorm_is_wrong(done: _Pass) -> bool:
    # Half an LU is rounding; a programme on the border is not encoded twice for it.
    written = done.dialnorm or 0
    return dialnorm_of(done.level_lufs) != written and abs(done.level_lufs - written) > 0.75


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
    return _Correction(changed, done.level_lufs - off_lu)


def _to_source(job: _Job, done: _Pass) -> _Correction | None:
    plan = done.plan
    if abs(done.miss_lu) <= TOLERANCE_LU or not plan.takes or plan.target_lufs <= SILENCE_LUFS:
        return None
    dub = dub_frames(plan.takes, plan.lines, job.film.rate / 10)
    trim = trim_towards(done.measured.frames, dub, plan.target_lufs, plan.trim_bounds_db)
    if abs(trim.programme_lufs - done.level_lufs) < TOLERANCE_LU / 4:
        return None
    return _Correction(plan.louder(trim.dub_db), trim.programme_lufs)


def _encode(job: _Job, plan: MixPlan, dialnorm: int) -> _Pass:
    film, track = job.film, job.track
    rendering = render(film, plan)
    done, total_s = 0, film.samples / film.rate
    written = dialnorm if track.codec in DIALNORM_CODECS else None
    meter = None if plan.decodes_again else LoudnessMeter(film.rate, film.channels, film.layout)
    with encoding(job.path, job.sound, track, written) as encoder, _pcm(job) as pcm:
        for block in rendering:
            encoder.write(block)
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


@contextlib.contextmanager
def _pcm(job: _Job) -> Iterator[WaveWriter | None]:
    film = job.film
    if job.pcm is None:
        yield None
        return
    layout = layout_of(film.channels, film.layout)
    with WaveWriter(job.pcm, film.rate, film.channels, film.samples, layout) as writer:
        yield writer


def _report(job: _Job, done: _Pass, passes: int) -> MixReport:
    film, track, plan, heard = job.film, job.track, done.plan, done.measured
    return MixReport(
        samples=film.samples,
        rate=film.rate,
        channels=film.channels,
        layout=layout_of(film.channels, film.layout),
        codec=track.codec,
        track_rate=track.rate,
        track_layout=track.layout,
        bitrate_kbps=track.bitrate_kbps,
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
        ducking=_ducking(done.rendering, plan, film.rate),
        lines=tuple(_line(t, line) for t, line in zip(plan.takes, plan.lines, strict=True)),
        notes=(*track.notes, *_shortfalls(done)),
    )


def _ducking(rendering: Rendering, plan: MixPlan, rate: int) -> DuckingReport:
    if rendering.ducker is None:
        return DuckingReport()
    hills = rendering.ducker.hills
    lowered = sum(hill.edge - hill.top for hill in hills)
    return DuckingReport(len(hills), plan.options.ducking.depth_db, round(lowered / rate, 3))


def _line(placed: LevelledTake, line: LineLevel) -> LineMix:
    heard = placed.span.length > 0 and bool(placed.pan.any())
    return LineMix(
        start=placed.take.start,
        samples=line.samples,
        speaker=placed.take.speaker,
        original_lufs=line.original_lufs,
        dub_lufs=level_after(line.dub_lufs, placed.gain_db) if heard else SILENCE_LUFS,
        gain_db=placed.gain_db,
        pan=tuple(float(gain) for gain in placed.pan),
        lost_samples=line.samples - placed.span.length,
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
