"""What every transcriber promises. A new engine is one more row in ENGINES."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.compute.subreaper import descendants
from dubarr_pipeline.engines.interfaces import Hearing, Transcriber
from dubarr_pipeline.engines.transcription.faster_whisper import (
    FasterWhisperOptions,
    FasterWhisperTranscriber,
)
from dubarr_pipeline.engines.transcription.subtitles import SubtitleTranscriber
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.progress import Progress
from dubarr_pipeline.script.model import Diarization, Transcript, Turn
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.tone_voices import RATE, Sound

ENGINES: dict[str, Callable[[Path], Transcriber]] = {
    "faster-whisper": lambda model: FasterWhisperTranscriber(
        FasterWhisperOptions(str(model), "", "cpu")
    ),
    "subtitles": lambda _: SubtitleTranscriber(),
}
LINES = ("Good morning. We need a boat.", "Silence! I hear a bell.")
SPEECH = (Span(7_200, 105_600), Span(132_000, 211_200))
CUES = tuple(Cue(span, text) for span, text in zip(SPEECH, LINES, strict=True))
TURNS = tuple(Turn(span, f"SPEAKER_{i:02d}") for i, span in enumerate(SPEECH))


@pytest.fixture(scope="module", params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest, tiny_whisper: Path) -> Iterator[Transcriber]:
    with ENGINES[request.param](tiny_whisper) as loaded:
        yield loaded


def transcribe(engine: Transcriber, channels: int = 2) -> tuple[Transcript, list[float]]:
    random = np.random.default_rng(3)
    sound = Sound((0.01 * random.standard_normal((channels, 5 * RATE))).astype(np.float32))
    hearing = Hearing(sound, SPEECH, Diarization(RATE, TURNS), CUES, "en")
    told: list[float] = []

    def tell(progress: Progress) -> None:
        told.append(progress.done / progress.total)

    return engine.transcribe(hearing, tell), told


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_lines_come_in_order_with_one_speaker_each(engine: Transcriber, channels: int) -> None:
    found, told = transcribe(engine, channels)
    assert [line.index for line in found.segments] == list(range(len(found.segments)))
    assert [(line.speaker, line.text) for line in found.segments] == [
        (turn.speaker, text) for turn, text in zip(TURNS, LINES, strict=True)
    ]
    assert (found.rate, found.samples, found.language) == (RATE, 5 * RATE, "en")
    assert told == sorted(told)
    assert told[-1] == 1


def test_words_lie_within_their_lines_and_are_all_of_their_text(engine: Transcriber) -> None:
    found, _ = transcribe(engine)
    for line in found.segments:
        assert " ".join(word.text for word in line.words) == line.text
        assert line.span.start <= line.words[0].span.start
        assert line.words[-1].span.end <= line.span.end <= found.samples
        assert all(a.span.end <= b.span.start for a, b in pairwise(line.words))
        assert all(0 <= word.probability <= 1 for word in line.words)
        assert 0 <= line.confidence <= 1


def test_identity_and_needs_are_known_without_loading(engine: Transcriber) -> None:
    assert engine.name in engine.identity()
    assert all(need.present for need in engine.needs())


def test_two_loads_are_equal_and_unloading_leaves_nothing(engine: Transcriber) -> None:
    others = set(descendants(os.getpid()))
    before, _ = transcribe(engine)
    engine.unload()
    engine.unload()
    assert set(descendants(os.getpid())) <= others
    engine.load()
    assert transcribe(engine)[0] == before
