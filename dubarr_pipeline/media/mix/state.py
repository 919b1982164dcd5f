"""State of a finished mix, kept beside it, so that a changed line need not mix the whole anew."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from dubarr_pipeline.files import whole_file
from dubarr_pipeline.media.mix.check import ProofParts, TrackProof
from dubarr_pipeline.media.mix.check_bed import BedPiece
from dubarr_pipeline.media.mix.check_takes import FoundTake
from dubarr_pipeline.media.mix.levels import LineLevel
from dubarr_pipeline.media.mix.mix import MixedTrack, ProvenTrack
from dubarr_pipeline.media.mix.options import MixOptions, MixSources, PlacedTake
from dubarr_pipeline.media.mix.plan import MixPlan
from dubarr_pipeline.media.mix.report import MixReport
from dubarr_pipeline.spans import Span

_SCHEMA = 1
_NOTHING = np.zeros(0)


@dataclass(frozen=True, slots=True)
class KeptMix:
    """A finished track, and what it was made of.

    Attributes:
        made: report, plan and proof; the takes' own powers are not kept.
        asked: the takes as they were asked for, before the plan.
        digests: of the sounds of the takes, in their order.
        track: digest of the track's file.
        made_of: digest of all else that the track depends on.
    """

    made: ProvenTrack
    asked: tuple[PlacedTake, ...]
    digests: tuple[str, ...]
    track: str
    made_of: str = ""

    def belongs_to(self, track: str, made_of: str) -> bool:
        """Return whether it is the state of this file, made of this."""
        return (self.track, self.made_of) == (track, made_of)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A take of a track: as it was asked for, and as it was planned."""

    start: int
    path: str
    speaker: str
    window: Span
    asked_db: float
    gain_db: float
    span: Span
    digest: str


@dataclass(frozen=True, slots=True)
class _Document:
    schema: int
    track: str
    made_of: str
    report: MixReport
    proof: TrackProof
    takes: tuple[_Asked, ...]
    kept: tuple[Span, ...]
    found: tuple[FoundTake, ...]
    bed: dict[int, BedPiece]
    dialogue: tuple[int, ...]
    ceiling_dbtp: float


_DOCUMENT = TypeAdapter(_Document)


def keep_mix(path: Path, state: KeptMix) -> None:
    """Write the state of a finished track. Raises `DiskFull` or `NotWritable`."""
    made = state.made
    plan, report, proof = made.mixed.plan, made.mixed.report, made.proof
    takes = tuple(
        _Asked(
            *(take.start, str(take.path), take.speaker, take.window, take.gain_db),
            *(planned.gain_db, planned.span, digest),
        )
        for take, planned, digest in zip(state.asked, plan.takes, state.digests, strict=True)
    )
    document = _Document(
        *(_SCHEMA, state.track, state.made_of, report, proof, takes, plan.sources.kept),
        *(made.parts.takes, dict(made.parts.bed), plan.dialogue, plan.ceiling_dbtp),
    )
    text = _DOCUMENT.dump_json(document)
    levels = [[x.original_lufs, x.dub_lufs, x.original_power, x.samples] for x in plan.lines]
    content = io.BytesIO()
    np.savez(
        content,
        document=np.frombuffer(text, np.uint8),
        frames=made.mixed.frames,
        voices=made.parts.voices,
        levels=np.array(levels, np.float64).reshape(-1, 4),
        shares=np.array([x.shares for x in plan.lines], np.float64),
        pans=np.array([take.pan for take in plan.takes], np.float32),
    )
    with whole_file(path) as temporary:
        temporary.write_bytes(content.getvalue())


def read_mix(path: Path, sources: MixSources, options: MixOptions) -> KeptMix | None:
    """Return the state of a finished track; None if there is none, or it is not readable.

    `sources` are the same but for the original voices that stay.
    """
    if not path.is_file():
        return None
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            kept = {name: np.array(arrays[name]) for name in arrays.files}
        document = _DOCUMENT.validate_json(kept["document"].tobytes())
        if document.schema != _SCHEMA:
            return None
        return _kept(document, kept, sources, options)
    except (KeyError, OSError, ValueError, zipfile.BadZipFile, EOFError):
        return None


def _kept(
    document: _Document, arrays: dict[str, Any], sources: MixSources, options: MixOptions
) -> KeptMix:
    lines = tuple(
        LineLevel(original, dub, shares, power, _NOTHING, int(samples))
        for (original, dub, power, samples), shares in zip(
            arrays["levels"].tolist(), arrays["shares"], strict=True
        )
    )
    asked = tuple(
        PlacedTake(t.start, Path(t.path), t.speaker, t.window, t.asked_db) for t in document.takes
    )
    planned = tuple(
        replace(take, gain_db=t.gain_db, span=t.span, pan=pan)
        for take, t, pan in zip(asked, document.takes, arrays["pans"], strict=True)
    )
    report = document.report
    plan = MixPlan(
        replace(sources, kept=document.kept),
        options,
        lines,
        planned,
        document.dialogue,
        report.gain_db,
        document.ceiling_dbtp,
        report.dub_trim_db,
    )
    parts = ProofParts(document.bed, arrays["voices"], document.found)
    mixed = MixedTrack(report, plan, arrays["frames"])
    digests = tuple(take.digest for take in document.takes)
    made = ProvenTrack(mixed, document.proof, parts)
    return KeptMix(made, asked, digests, document.track, document.made_of)
