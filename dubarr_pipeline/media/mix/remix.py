"""A finished track with some of its lines changed: only the blocks that they touch are mixed anew.

The gains of all other lines stay, and so does the level of the dub as a whole, so that everything
outside those blocks is the same, byte for byte. Where the programme would leave its tolerance, or
the codec has no frames that stand alone, the whole is mixed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dubarr_pipeline.files import whole_file
from dubarr_pipeline.media.audio.k_weighting import Powers, frame_length
from dubarr_pipeline.media.audio.loudness import (
    SILENCE_DBTP,
    SILENCE_LUFS,
    LoudnessMeter,
    TruePeakMeter,
    integrated,
    loudness_range,
    speaking_lufs,
)
from dubarr_pipeline.media.mix.check import (
    ProofParts,
    Prover,
    block_samples,
)
from dubarr_pipeline.media.mix.encode import SoundFormat, choose_format, is_converted
from dubarr_pipeline.media.mix.mix import TOLERANCE_LU, MixedTrack, ProvenTrack, line_mixes
from dubarr_pipeline.media.mix.options import MixSources, PlacedTake
from dubarr_pipeline.media.mix.plan import MixPlan, OpenFilm, changed_plan, open_film
from dubarr_pipeline.media.mix.render import moved_faders, render
from dubarr_pipeline.media.mix.report import MixReport
from dubarr_pipeline.media.mix.splice import (
    FRAME,
    CodedTrack,
    PartEncoder,
    coded_track,
    decoded_part,
    splice,
)
from dubarr_pipeline.media.mix.state import KeptMix
from dubarr_pipeline.spans import Span, merge, total

logger = logging.getLogger(__name__)

_SURROUNDINGS = 8 * FRAME
"""Samples around a part in which limiter, meter and encoder get under way."""
_LIMITER_REACH = 4096
_MOST_SHARE = 0.5
"""Of a film: where more is touched, the whole is mixed, and its levels found anew."""
_HEARD_BLOCKS = 12
IN_PARTS = (
    "mixed anew in parts: peaks, clipped and limited samples of the rest are those of the last "
    "whole mix"
)


@dataclass(frozen=True, slots=True)
class _Remix:
    """A change of a finished track.

    Attributes:
        parts: of the film, in whole blocks, that are mixed anew.
        known: each take's number in the finished track, or None for a new one.
    """

    film: OpenFilm
    kept: KeptMix
    plan: MixPlan
    coded: CodedTrack
    parts: tuple[Span, ...]
    known: tuple[int | None, ...]


def remix(
    sources: MixSources,
    takes: Sequence[PlacedTake],
    digests: Sequence[str],
    track: Path,
    kept: KeptMix,
) -> ProvenTrack | None:
    """Change a finished track to these takes; None if it must be mixed as a whole.

    `track` is replaced as a whole or not at all. `digests` are of the sounds of the takes.

    Raises:
        ArtifactError: if a stem or a take is missing or damaged.
        MediaToolError, DiskFull, NotWritable: from the encoder and the disk.
    """
    report, options = kept.made.mixed.report, kept.made.mixed.plan.options
    sound = SoundFormat(report.rate, report.channels, report.layout)
    form = choose_format(options.codec, sound, options.bitrate_kbps)
    coded = coded_track(track, form)
    whole = options.target or options.pcm or options.room_match or report.measured_on == "track"
    if whole or coded is None or is_converted(sound, form) or not takes:
        return None
    stays = {_same(d, t): n for n, (d, t) in enumerate(zip(kept.digests, kept.asked, strict=True))}
    known = [stays.get(_same(d, take)) for d, take in zip(digests, takes, strict=True)]
    before = kept.made.mixed.plan
    with open_film(sources) as film:
        plan = changed_plan(film, before, sources, takes, known)
        parts = _touched(kept, plan, known, film)
        if plan.dialogue != before.dialogue or total(parts) > _MOST_SHARE * film.samples:
            return None
        try:
            with whole_file(track) as path:
                made = _remixed(_Remix(film, kept, plan, coded, parts, tuple(known)), path)
        except _OffTarget as error:
            logger.info("%s: %s: the whole is mixed", track.name, error)
            return None
    logger.info("%s: %d of %d takes new", track.name, known.count(None), len(takes))
    return made


class _OffTarget(Exception):
    """A programme that would leave its tolerance if the rest of it stayed."""


def _same(digest: str, take: PlacedTake) -> tuple[str, PlacedTake]:
    """Return what makes a take the same as another, wherever its file lies."""
    return digest, replace(take, path=Path())


def _remixed(job: _Remix, path: Path) -> ProvenTrack:
    report, before = job.kept.made.mixed.report, job.kept.made.proof
    frames = _mix_parts(job, path)
    if not _is_level(report, integrated(frames)):
        raise _OffTarget(f"{integrated(frames):.2f} LUFS are too far from {report.target_lufs:.2f}")
    mixed = MixedTrack(_report(job, frames), job.plan, frames)
    made = _proven(job, mixed, replace(job.coded, path=path))
    off_lu = abs(made.proof.loudness_lufs - report.target_lufs)
    if off_lu > max(TOLERANCE_LU, abs(before.loudness_lufs - report.target_lufs)):
        raise _OffTarget(f"its proof is {off_lu:.2f} LU off")
    return made


def _is_level(report: MixReport, level_lufs: float) -> bool:
    miss_lu = abs(level_lufs - report.target_lufs)
    silent = report.target_lufs <= SILENCE_LUFS
    return silent or miss_lu <= max(TOLERANCE_LU, abs(report.miss_lu) + 0.01)


def _touched(
    kept: KeptMix, plan: MixPlan, known: Sequence[int | None], film: OpenFilm
) -> tuple[Span, ...]:
    """Return the parts of the film, in whole blocks, that may sound otherwise."""
    before = kept.made.mixed.plan
    stay = set(known)
    spans = [take.span for n, take in enumerate(before.takes) if n not in stay]
    spans += [take.span for take, n in zip(plan.takes, known, strict=True) if n is None]
    spans = [span for span in spans if span.length]
    spans += moved_faders(before, plan, film.rate)
    block, whole = block_samples(film.rate), Span(0, film.samples)
    reach = [span.pad(_LIMITER_REACH, _LIMITER_REACH).clip(whole) for span in spans]
    blocks = (
        Span(s.start // block * block, min(film.samples, -(-s.end // block) * block))
        for s in reach
        if s
    )
    return tuple(merge(blocks))


def _mix_parts(job: _Remix, path: Path) -> Powers:
    """Write the track with its parts coded anew; return the powers of every tenth of a second."""
    film, report = job.film, job.kept.made.mixed.report
    options = job.plan.options
    sound = SoundFormat(report.rate, report.channels, report.layout)
    form = choose_format(options.codec, sound, options.bitrate_kbps)
    hop, frames = frame_length(film.rate), job.kept.made.mixed.frames.copy()
    data: list[tuple[range, bytes]] = []
    for part in job.parts:
        around = part.pad(_SURROUNDINGS, _SURROUNDINGS).clip(Span(0, film.samples)) or part
        heard = part.pad(hop, hop).clip(around) or part
        meter = LoudnessMeter(film.rate, film.channels, film.layout)
        piece = path.with_name(f"{path.stem}.piece{path.suffix}")
        encoder, at = PartEncoder(job.coded, part, film.samples), around.start
        try:
            with encoder.encoding(piece, sound, form, report.dialnorm) as run:
                for block in render(film, job.plan, around):
                    run.add(at, block)
                    here = Span(at, at + block.shape[1]).clip(heard)
                    if here and here.length:
                        meter.add(block[:, here.start - at : here.end - at])
                    at += block.shape[1]
            data.append((encoder.frames, encoder.coded(piece)))
        finally:
            piece.unlink(missing_ok=True)
        meter.finish()
        skipped, first = (part.start - heard.start) // hop, part.start // hop
        powers = meter.frames[skipped : skipped + -(-part.length // hop)]
        powers = powers[: max(0, frames.size - first)]
        frames[first : first + powers.size] = powers
    splice(job.coded, data, path)
    return frames


def _report(job: _Remix, frames: Powers) -> MixReport:
    before, plan = job.kept.made.mixed.report, job.plan
    loudness = integrated(frames)
    notes = before.notes if IN_PARTS in before.notes else (*before.notes, IN_PARTS)
    ducker = render(job.film, plan).ducker
    dips = ducker.dips if ducker else ()
    lowered_s = round(sum(dip.edge - dip.top for dip in dips) / job.film.rate, 3)
    return replace(
        before,
        loudness_lufs=loudness,
        lra_lu=loudness_range(frames),
        dialogue_lufs=speaking_lufs(frames, job.film.rate, plan.voiced),
        miss_lu=loudness - before.target_lufs,
        ducking=replace(before.ducking, moves=len(dips), lowered_s=lowered_s),
        lines=line_mixes(plan),
        notes=notes,
    )


def _proven(job: _Remix, mixed: MixedTrack, coded: CodedTrack) -> ProvenTrack:
    """Prove the parts by what the file holds there; what stays, byte for byte, stays proven."""
    before, old = job.kept.made, job.kept.made.parts
    prover = Prover(job.plan.sources, job.plan.takes, mixed.report, job.plan.options)
    bed, voices = dict(old.bed), old.voices.copy()
    found = [None if n is None else old.takes[n] for n in job.known]
    peak_dbtp, block = SILENCE_DBTP, prover.block
    hop = frame_length(prover.track.rate)
    with prover.stems() as (under, original):
        for part in _listened(job, prover):
            listener = prover.listener(under, original, part)
            peaks = TruePeakMeter(prover.track.channels)
            for chunk in _chunks(part, _HEARD_BLOCKS * block):
                sound = decoded_part(coded, prover.track, chunk)
                for at in range(0, sound.shape[1], block):
                    peaks.add(sound[:, at : at + block])
                    listener.hear(sound[:, at : at + block])
            peak_dbtp = max(peak_dbtp, peaks.peak_dbtp)
            heard = listener.parts()
            bed |= heard.bed
            tenths = slice(part.start // hop, -(-part.end // hop))
            voices[:, tenths] = heard.voices[:, tenths]
            for number, take in zip(listener.numbers, heard.takes, strict=True):
                span = prover.expected[number].span
                if part.start <= span.start and span.end <= part.end:
                    found[number] = take
    parts = ProofParts(bed, voices, tuple(take for take in found if take is not None))
    change_lu = integrated(mixed.frames) - integrated(before.mixed.frames)
    loudness_lufs = before.proof.loudness_lufs + change_lu
    peak_dbtp = max(before.proof.true_peak_dbtp, peak_dbtp)
    return ProvenTrack(mixed, prover.proof(loudness_lufs, peak_dbtp, parts), parts)


def _listened(job: _Remix, prover: Prover) -> list[Span]:
    """Return the parts, in whole blocks, with all of the takes that reach into them."""
    spans, block = list(job.parts), prover.block
    for part in job.parts:
        spans += [take.span for take in prover.expected if take.span.overlap(part)]
    return merge(
        Span(s.start // block * block, min(prover.length, -(-s.end // block) * block))
        for s in spans
        if s.length
    )


def _chunks(part: Span, size: int) -> Iterator[Span]:
    for start in range(part.start, part.end, size):
        yield Span(start, min(part.end, start + size))
