from __future__ import annotations

import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.media.container.extract import ExtractedAudio
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.model import (
    Diarization,
    Segment,
    SpeakerProfile,
    Transcript,
    Turn,
    Word,
    WordEdit,
)
from dubarr_pipeline.spans import Span
from dubarr_pipeline.workdir.artifacts import (
    SourceCues,
    SourceSound,
    read_cues_document,
    read_diarization,
    read_sound,
    read_speakers,
    read_transcript,
    write_cues,
    write_diarization,
    write_sound,
    write_speakers,
    write_transcript,
)

RATE = 44_100
spans = st.builds(
    lambda start, length: Span(start, start + length),
    st.integers(0, RATE * 4 * 3600),
    st.integers(0, RATE * 60),
)
shares = st.integers(0, 10_000).map(lambda number: number / 10_000)
texts = st.text(max_size=12)
words = st.builds(Word, spans, texts, shares)
segments = st.builds(
    Segment,
    st.integers(0, 5000),
    spans,
    texts,
    texts,
    st.sampled_from(["speech", "song"]),
    st.lists(words, max_size=3).map(tuple),
    shares,
)
edits = st.builds(WordEdit, spans, texts, texts)


def film(folder: Any) -> Path:
    return folder.getbasetemp() / "artifact.json"


@given(st.lists(segments, max_size=3).map(tuple), st.lists(edits, max_size=2).map(tuple))
def test_a_transcript_comes_back_to_the_sample(
    tmp_path_factory: pytest.TempPathFactory,
    lines: tuple[Segment, ...],
    edited: tuple[WordEdit, ...],
) -> None:
    transcript = Transcript(RATE, 10**9, "pt-BR", lines, edited, {"loop": 2})
    write_transcript(film(tmp_path_factory), transcript, engine="any")
    assert read_transcript(film(tmp_path_factory)) == transcript


@given(st.lists(st.builds(Turn, spans, texts, shares), max_size=4).map(tuple))
def test_a_diarization_comes_back_to_the_sample(
    tmp_path_factory: pytest.TempPathFactory, turns: tuple[Turn, ...]
) -> None:
    diarization = Diarization(RATE, turns, {"SPEAKER_00": "Ana"}, {"SPEAKER_00": (0.5, -1.0)})
    write_diarization(film(tmp_path_factory), diarization, engine="any")
    assert read_diarization(film(tmp_path_factory)) == diarization


def test_a_long_script_is_written_and_read_in_little_memory(tmp_path: Path) -> None:
    words = tuple(Word(Span(n * 900, n * 900 + 800), f"word{n}", 0.5) for n in range(12))
    lines = tuple(Segment(n, Span(0, 20_000), "A", "words", words=words) for n in range(1000))
    path = tmp_path / "transcription.json"
    tracemalloc.start()
    write_transcript(path, Transcript(RATE, 10**9, "en", lines))
    written = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    begun = tracemalloc.get_traced_memory()[0]
    script = read_transcript(path)
    held, peak = (each - begun for each in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    assert len(script.segments) == 1000
    assert written < path.stat().st_size / 2
    assert peak < 3 * held


@pytest.mark.parametrize("peak_dbtp", [-1.5, -math.inf])
def test_the_sound_comes_back_also_where_it_is_silent(tmp_path: Path, peak_dbtp: float) -> None:
    audio = ExtractedAudio(RATE, 2, "stereo", 10**6, 0.021, -23.0, peak_dbtp, 7.5)
    sound = SourceSound(1, audio, (Span(5, 90),), (Span(0, 100), Span(300, 400)))
    write_sound(tmp_path / "speech.json", sound)
    json.loads((tmp_path / "speech.json").read_text(), parse_constant=pytest.fail)
    assert read_sound(tmp_path / "speech.json") == sound


@pytest.mark.parametrize("origin", [None, "Film.en.srt"])
def test_cues_come_back(tmp_path: Path, origin: str | None) -> None:
    cues = SourceCues(RATE, origin, "en", (Cue(Span(1, RATE), "Hello\nyou"),))
    write_cues(tmp_path / "cues.json", cues)
    assert read_cues_document(tmp_path / "cues.json") == cues


def test_speakers_come_back_by_id(tmp_path: Path) -> None:
    profiles = tuple(SpeakerProfile(f"SPEAKER_{number:02}") for number in range(3))
    write_speakers(tmp_path / "speakers.json", profiles)
    assert read_speakers(tmp_path / "speakers.json") == {p.speaker: p for p in profiles}


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("rate", 0, "rate"),
        ("samples", -1, "samples"),
        (
            "segments",
            [{"start": 2, "end": 1, "index": 0, "speaker": "A", "text": ""}],
            r"segments\.0\.span",
        ),
        ("segments", [{"start": 0, "end": math.inf}], r"s\.0\."),
        ("language", None, "language"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(
    tmp_path: Path, field: str, value: object, where: str
) -> None:
    path = tmp_path / "transcription.json"
    write_transcript(path, Transcript(RATE, 5, "en", ()))
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(ArtifactError, match=where) as caught:
        read_transcript(path)
    assert str(path) in str(caught.value)
