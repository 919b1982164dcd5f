"""Batches of lines for translators."""

from __future__ import annotations

from collections.abc import Sequence

from dubarr_pipeline.engines.interfaces import DraftBatch, LineToDraft
from dubarr_pipeline.timeline.script import Context, Segment, SpeakerProfile, Term
from dubarr_pipeline.timeline.spans import Span


def batch(
    texts: Sequence[str],
    target: str = "es",
    existing: Sequence[str | None] = (),
    terms: Sequence[Term] = (),
    names: Sequence[tuple[str, str]] = (),
) -> DraftBatch:
    """English lines, indexed 10, 11, 12...; `names` are (name, gender) of speakers."""
    known = [*existing, *[None] * len(texts)]
    lines = tuple(
        LineToDraft(Segment(10 + i, Span(i, i + 1), "SPEAKER_00", text), 2.0, existing=known[i])
        for i, text in enumerate(texts)
    )
    speakers = {
        f"SPEAKER_{i:02}": SpeakerProfile(f"SPEAKER_{i:02}", name=name, gender=gender)
        for i, (name, gender) in enumerate(names)
    }
    return DraftBatch("en", target, lines, Context("", "", glossary=tuple(terms)), speakers)
