"""Mixes a track, hears the file, and mixes once more where the encoder changed its loudness."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dubarr_pipeline.media.mix_options import MixOptions, MixSources, PlacedTake
from dubarr_pipeline.media.mix_proof import TrackProof, prove_track
from dubarr_pipeline.media.mix_report import MixReport
from dubarr_pipeline.media.mixdown import TOLERANCE_LU, OnSeconds, mix

logger = logging.getLogger(__name__)

_SURELY_LU = 0.05
"""A file that is this near the mixer's own figure would not be nearer to its target after another
pass."""


@dataclass(frozen=True, slots=True)
class ProvenTrack:
    """What was mixed, and what was heard of the file."""

    report: MixReport
    proof: TrackProof


def mix_and_prove(
    sources: MixSources,
    takes: Sequence[PlacedTake],
    destination: Path,
    options: MixOptions,
    on_progress: OnSeconds | None = None,
) -> ProvenTrack:
    """Mix a track and hear it; the file is within 0.2 LU of its target wherever the dub can do it.

    What goes into the encoder is measured on the way; the file is decoded for its proof anyhow.
    Only where that finds it off is the mix made anew, by the file's own measure. Arguments and
    errors are those of `mix` and `prove_track`.
    """
    report = mix(sources, takes, destination, options, on_progress)
    proof = prove_track(destination, sources, takes, report, options)
    if options.decode_again is None and takes and _dulled(report, proof):
        logger.info(
            "%s measures %.2f LUFS after encoding, %.2f before: mixed again",
            *(destination.name, proof.loudness_lufs, report.loudness_lufs),
        )
        careful = replace(options, decode_again=True)
        report = mix(sources, takes, destination, careful, on_progress)
        proof = prove_track(destination, sources, takes, report, careful)
    return ProvenTrack(report, proof)


def _dulled(report: MixReport, proof: TrackProof) -> bool:
    return (
        report.measured_on == "mix"
        and abs(proof.loudness_lufs - report.target_lufs) > TOLERANCE_LU
        and abs(proof.loudness_lufs - report.loudness_lufs) > _SURELY_LU
    )
