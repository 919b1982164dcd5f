"""A film without subtitles, through the stages: tiny models hear its words and its speakers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dubarr_pipeline.workdir.artifacts import read_diarization, read_transcript
from dubarr_pipeline_tests.fakes.tiny.whisper import RECITED
from dubarr_pipeline_tests.fixtures.bench import Bench, Film, make_film, stats, write_config


@pytest.mark.slow
def test_a_film_without_subtitles_is_heard_and_dubbed(
    tiny_pyannote: Path, tiny_whisper: Path, tmp_path: Path
) -> None:
    film = make_film(tmp_path / "library" / "silent library.mkv", Film(subtitles=False))
    config = write_config(
        tmp_path / "dubarr.toml",
        {
            "diarization": {"engine": "pyannote", "model": str(tiny_pyannote), "device": "cpu"},
            "transcript": {
                "engine": "faster-whisper",
                "model": str(tiny_whisper),
                "smaller_model": "",
                "device": "cpu",
            },
            # The tiny model would recite the film's lines for every take.
            "production": {"word_error": 0},
        },
    )
    bench = Bench(tmp_path / "work", config)
    answer = bench.dub(film)
    assert answer.code == 0, answer.both
    heard = read_transcript(bench.work.transcription)
    assert [w.text for s in heard.segments for w in s.words] == [w.text for w in RECITED]
    # Which of them make a line hangs on who the tiny networks think speaks.
    said = [s.text for s in heard.lines]
    assert " ".join(said) == "Good morning. We need a boat. Silence! I hear a bell."
    assert len(said) >= 2
    assert heard.language == "en"
    who = read_diarization(bench.work.diarization)
    assert {s.speaker for s in heard.segments} <= set(who.speakers)
    assert "pyannote" in json.loads(bench.work.diarization.read_text())["engine"]
    assert stats(bench.work)["placed"] == len(said)
