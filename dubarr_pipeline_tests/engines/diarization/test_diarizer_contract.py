"""What every diarizer promises. A new engine is one more row in ENGINES."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.compute.subreaper import descendants
from dubarr_pipeline.engines.diarization.cue_clusters import CueClusterOptions, CueClusters
from dubarr_pipeline.engines.diarization.pyannote import PyannoteDiarizer, PyannoteOptions
from dubarr_pipeline.engines.interfaces import Diarizer
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.progress import Progress
from dubarr_pipeline.script.model import Diarization
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fakes.tiny import voiceprints
from dubarr_pipeline_tests.fixtures.tone_voices import RATE, Sound, Tone, sounding, speech_of

ENGINES: dict[str, Callable[[Path], Diarizer]] = {
    "cue-clusters with voiceprints": lambda model: CueClusters(
        CueClusterOptions(model=str(voiceprints.build(model.parent / "voiceprints")))
    ),
    "cue-clusters": lambda _: CueClusters(),
    "pyannote": lambda model: PyannoteDiarizer(PyannoteOptions(str(model), "cpu")),
}
SCENE = (Tone(1, 1.0, 4.5), Tone(0, 5.0, 9.0), Tone(1, 10.0, 13.9))
TEXTS = ("Where were you all day?", "I was out to sea with him.", "Nobody goes to sea today.")
CUES = tuple(Cue(tone.span, text) for tone, text in zip(SCENE, TEXTS, strict=True))


@pytest.fixture(scope="module", params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest, tiny_pyannote: Path) -> Iterator[Diarizer]:
    with ENGINES[request.param](tiny_pyannote) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def sound() -> Sound:
    return sounding(SCENE, 14.0)


def diarize(engine: Diarizer, sound: Sound) -> tuple[Diarization, list[float]]:
    told: list[float] = []

    def tell(progress: Progress) -> None:
        told.append(progress.done / progress.total)

    return engine.diarize(sound, speech_of(SCENE), CUES, tell), told


def test_turns_lie_within_the_sound_in_order(engine: Diarizer, sound: Sound) -> None:
    found, told = diarize(engine, sound)
    assert found.rate == sound.rate
    assert found.turns
    assert all(0 <= t.span.start < t.span.end <= sound.samples for t in found.turns)
    assert [t.span for t in found.turns] == sorted(t.span for t in found.turns)
    assert all(0 <= t.confidence <= 1 for t in found.turns)
    assert told == sorted(told)
    assert told[-1] == 1


def test_speakers_are_numbered_by_first_appearance(engine: Diarizer, sound: Sound) -> None:
    found, _ = diarize(engine, sound)
    first = list(dict.fromkeys(turn.speaker for turn in found.turns))
    assert first == [f"SPEAKER_{i:02d}" for i in range(len(first))]
    assert set(found.names) | set(found.embeddings) <= set(first)


def test_silence_has_no_speakers(engine: Diarizer) -> None:
    assert engine.diarize(Sound(np.zeros((1, RATE), np.float32)), [], []).turns == ()


def test_one_channel_or_six_are_as_good_as_two(engine: Diarizer) -> None:
    for channels in (1, 6):
        found, _ = diarize(engine, sounding(SCENE, 14.0, channels))
        assert found.turns


def test_without_subtitles_it_works_as_well(engine: Diarizer, sound: Sound) -> None:
    assert engine.diarize(sound, [Span(0, 4 * RATE)], []).turns


def test_identity_and_needs_are_known_without_loading(engine: Diarizer) -> None:
    assert engine.name in engine.identity()
    assert engine.identity() == engine.identity()
    assert all(need.present for need in engine.needs())


def test_two_loads_are_equal_and_unloading_leaves_nothing(engine: Diarizer, sound: Sound) -> None:
    others = set(descendants(os.getpid()))
    before, _ = diarize(engine, sound)
    engine.unload()
    engine.unload()
    assert set(descendants(os.getpid())) <= others
    engine.load()
    assert diarize(engine, sound)[0] == before
