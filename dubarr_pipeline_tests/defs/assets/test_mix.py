"""Where the mix keeps the original voice: everywhere but in lines that have a dub."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dubarr_pipeline.defs.assets import mix
from dubarr_pipeline.media.container.extract import ExtractedAudio
from dubarr_pipeline.segments.results import LineResult
from dubarr_pipeline.spans import Span
from dubarr_pipeline.workdir.artifacts import SourceSound
from dubarr_pipeline.workdir.layout import WorkDir

RATE = 100
SPEECH = (Span(100, 400), Span(600, 700), Span(900, 1200))


def line(span: Span, outcome: str) -> LineResult:
    found = LineResult("es", 0, "A", span, span, outcome)
    return replace(found, start=span.start, length=span.length)


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ([], SPEECH),
        ([line(Span(100, 400), "placed"), line(Span(900, 1200), "placed")], (Span(600, 700),)),
        ([line(Span(100, 200), "placed")], (Span(230, 400), *SPEECH[1:])),
        ([line(Span(100, 380), "placed")], SPEECH[1:]),
        ([line(Span(600, 700), "failed:too_long")], SPEECH),
        (
            [line(Span(100, 390), "placed"), line(Span(390, 400), "failed:refused")],
            (Span(390, 400), *SPEECH[1:]),
        ),
        ([line(Span(740, 880), "kept_original")], (*SPEECH[:2], Span(740, 880), SPEECH[2])),
    ],
    ids=["no line", "unscripted", "rest of a line", "edge", "failed", "failed beside", "a song"],
)
def test_the_original_voice_stays_where_no_line_has_a_dub(
    lines: list[LineResult], kept: tuple[Span, ...], tmp_path: Path
) -> None:
    audio = ExtractedAudio(
        rate=RATE,
        channels=1,
        layout=None,
        samples=2000,
        offset_s=0.0,
        loudness_lufs=-23.0,
        true_peak_dbtp=-1.0,
        lra_lu=5.0,
    )
    sound = SourceSound(1, audio, SPEECH[:2], SPEECH)
    context: Any = SimpleNamespace(work=WorkDir(tmp_path))
    sources = mix._original(context, sound)
    assert mix._kept(sound, tuple(lines)) == kept
    assert (sources.speech, sources.detected) == (SPEECH, SPEECH[:2])
