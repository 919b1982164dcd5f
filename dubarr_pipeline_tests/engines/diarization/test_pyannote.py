"""The real pyannote.audio on a pipeline that tells tones apart, in the engine's child process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.engines import requirements
from dubarr_pipeline.engines.diarization.pyannote import PyannoteDiarizer, PyannoteOptions
from dubarr_pipeline.errors import EngineError, MissingRequirement, OutOfMemory
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.progress import Progress
from dubarr_pipeline.script.model import Diarization
from dubarr_pipeline.spans import Span, total
from dubarr_pipeline_tests.fakes.tiny.pyannote_names import MOST_AT_ONCE
from dubarr_pipeline_tests.fixtures.tone_voices import RATE, Sound, Tone, sounding, speech_of
from dubarr_pipeline_tests.fixtures.warm_children import warm_children

SCENE = (
    Tone(1, 1.0, 4.5),
    Tone(0, 5.0, 9.0),
    Tone(2, 8.0, 12.0),
    Tone(0, 14.0, 18.0),
    Tone(1, 18.5, 22.0),
    Tone(2, 23.0, 26.0),
)
IDS = {1: "SPEAKER_00", 0: "SPEAKER_01", 2: "SPEAKER_02"}
"""By first appearance."""


def listen(
    engine: PyannoteDiarizer, sound: Sound, cues: Sequence[Cue] = ()
) -> tuple[Diarization, list[float]]:
    told: list[float] = []

    def tell(progress: Progress) -> None:
        told.append(progress.done / progress.total)

    return engine.diarize(sound, speech_of(SCENE), cues, tell), told


def wrong_s(found: Diarization, tones: Sequence[Tone]) -> float:
    """Seconds that the turns of all speakers and the tones do not share."""
    wrong = 0
    for voice, speaker in IDS.items():
        said = [tone.span for tone in tones if tone.voice == voice]
        heard = [turn.span for turn in found.turns if turn.speaker == speaker]
        wrong += 2 * total([*said, *heard]) - total(said) - total(heard)
    return wrong / RATE


@pytest.fixture(autouse=True, scope="module")
def warm() -> Iterator[None]:
    with warm_children("pyannote.audio.pipelines"):
        yield


@pytest.fixture(scope="module")
def sound() -> Sound:
    return sounding(SCENE, 25.9)


@pytest.fixture(scope="module")
def engine(tiny_pyannote: Path):
    with PyannoteDiarizer(PyannoteOptions(str(tiny_pyannote), "cpu", batch=8)) as loaded:
        yield loaded


def test_voices_are_told_apart_also_where_they_overlap(
    engine: PyannoteDiarizer, sound: Sound
) -> None:
    found, told = listen(engine, sound)
    assert found.speakers == tuple(sorted(IDS.values()))
    assert wrong_s(found, SCENE) < 0.05 * len(SCENE)
    by_speaker = {s: [t.span for t in found.turns if t.speaker == s] for s in found.speakers}
    both = total(by_speaker[IDS[0]]) + total(by_speaker[IDS[2]])
    assert both - total([*by_speaker[IDS[0]], *by_speaker[IDS[2]]]) == pytest.approx(RATE, rel=0.1)
    assert all(0 <= t.span.start < t.span.end <= sound.samples for t in found.turns)
    assert told == sorted(told)
    assert told[-1] == 1
    assert engine.steps == ()


def test_voice_prints_know_their_voice(engine: PyannoteDiarizer, sound: Sound) -> None:
    found, _ = listen(engine, sound)
    prints = np.array([found.embeddings[speaker] for speaker in found.speakers])
    assert np.linalg.norm(prints, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    near = prints @ prints.T
    assert (near[~np.eye(3, dtype=bool)] < 0.3).all()


def test_names_in_the_subtitles_name_the_voices(engine: PyannoteDiarizer, sound: Sound) -> None:
    cues = [
        Cue(Span(RATE, 4 * RATE), "ANNA: Where were you all day?"),
        Cue(Span(14 * RATE, 18 * RATE), "BERT: I was out to sea with him."),
    ]
    found, _ = listen(engine, sound, cues)
    assert found.names == {IDS[1]: "Anna", IDS[0]: "Bert"}


def test_who_watches_may_stop_it_and_the_engine_is_well_afterwards(
    engine: PyannoteDiarizer, sound: Sound
) -> None:
    class Stopped(Exception):
        pass

    def stop(_: Progress) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        engine.diarize(sound, speech_of(SCENE), [], stop)
    assert wrong_s(listen(engine, sound)[0], SCENE) < 0.3


def test_windows_know_each_others_speakers_and_memory_runs_out_on_the_way(
    tiny_pyannote: Path, sound: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MOST_AT_ONCE, "4")
    options = PyannoteOptions(
        str(tiny_pyannote), "cpu", window_s=16.0, overlap_s=4.0, batch=8, exclusive=True
    )
    with PyannoteDiarizer(options) as engine:
        found, told = listen(engine, sound)
        assert [step.taken for step in engine.steps] == ["cpu, batch 4, float32"]
    assert told == sorted(told)
    assert sound.longest_read <= 33 * RATE
    assert found.speakers == tuple(sorted(IDS.values()))
    # One second that two share goes to one of them.
    assert wrong_s(found, SCENE) < 1 + 0.05 * len(SCENE)
    ordered = sorted(turn.span for turn in found.turns)
    assert all(one.end <= other.start for one, other in pairwise(ordered))


def test_where_no_batch_fits_the_error_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Full:
        pid = 1

        def __init__(self, *_: object, **arguments: object):
            tried.append((arguments["device"], arguments["batch"]))

        def load(self) -> None:
            raise OutOfMemory("CUDA out of memory")

        def unload(self) -> None: ...

    tried: list[tuple[object, object]] = []
    monkeypatch.setattr("dubarr_pipeline.engines.laddered_child.EngineChild", Full)
    options = PyannoteOptions(str(tmp_path), "cpu", batch=4)
    with pytest.raises(OutOfMemory, match="batch 1"):
        PyannoteDiarizer(options).load()
    assert tried == [("cpu", 4), ("cpu", 2), ("cpu", 1)]
    rungs = PyannoteDiarizer(options)._rungs("cuda:0")
    assert [(r.device, r.batch) for r in rungs] == [
        ("cuda:0", 4),
        ("cuda:0", 2),
        ("cuda:0", 1),
        ("cpu", 1),
    ]


def test_what_is_missing_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingRequirement, match=r"dubarr models pull .*community-1") as error:
        PyannoteDiarizer().load()
    assert "https://hf" in str(error.value) or "huggingface.co" in str(error.value)
    monkeypatch.setattr(requirements, "package_version", lambda _: "absent")
    package = PyannoteDiarizer().needs()[0]
    assert (package.present, package.cure) == (False, "pip install 'dubarr-pipeline[studio]'")
    assert PyannoteDiarizer().identity().startswith("pyannote/")


def test_unloaded_it_says_so() -> None:
    unloaded = PyannoteDiarizer()
    unloaded.unload()
    with pytest.raises(EngineError, match="not loaded"):
        unloaded.diarize(sounding(SCENE, 26), [Span(0, RATE)], [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"fewest": 3, "most": 2},
        {"overlap_s": 50.0, "window_s": 100.0},
    ],
)
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PyannoteOptions(**wrong)  # pyright: ignore[reportArgumentType]
