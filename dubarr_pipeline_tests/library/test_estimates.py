"""Estimates: scaled by history, labelled without it, and made from cheap facts alone."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from dubarr_pipeline.library.estimates.costs import (
    FilmFacts,
    Pace,
    PastStage,
    default_seconds,
    dubbed_already,
    estimate,
    pace_of,
    risky_lines,
)
from dubarr_pipeline.library.estimates.facts import glance
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.matroska import declared_sound
from dubarr_pipeline.media.container.mp4 import declared_duration_s
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.spans import Span

ENGINES: Mapping[str, str] = {"vocals": "silero, lite", "segments": "lite, espeak", "mix": ""}
FIRST = FilmFacts(100, 2, 1000, 1, 2_000_000_000)
SECOND = FilmFacts(40, 6, 900, 2, 5_000_000_000)


def history(times: float, facts: FilmFacts = FIRST) -> list[PastStage]:
    return [
        PastStage(stage, engines, facts, times * default_seconds(stage, engines, facts))
        for stage, engines in ENGINES.items()
    ]


def test_a_machine_three_times_as_slow_takes_three_times_as_long():
    known, default = (estimate(SECOND, ENGINES, pace) for pace in (pace_of(history(3.0)), Pace()))
    assert known.total_s == pytest.approx(3 * default.total_s)
    assert known.basis == "this machine's history: 1 film"
    assert "no history on this machine" in default.basis


def test_what_has_no_history_is_named():
    pace = pace_of([each for each in history(2.0) if each.stage != "mix"])
    assert "; mix by a default table" in estimate(SECOND, ENGINES, pace).basis
    other = {**ENGINES, "segments": "openai, kokoro"}
    assert "segments, mix by a default table" in estimate(SECOND, other, pace).basis


def test_long_films_count_as_what_they_are_among_short_ones():
    mixed = pace_of([*history(1.0), *history(10.0, replace(FIRST, minutes=1, lines=10))])
    assert 1.0 < mixed.factors["mix", ""] < 1.5
    assert mixed.films == 2
    assert mixed.lines_per_minute == pytest.approx(10.0, rel=0.01)


def test_room_is_the_stems_the_takes_the_tracks_and_the_film():
    found = estimate(FIRST, ENGINES, Pace())
    stems = 6000 * 2 * 48_000 * 2 * 4
    assert found.result_bytes == 2_000_000_000 + 6000 * 32_000
    assert found.work_bytes > found.result_bytes + stems


def cue(start_s: float, end_s: float, text: str) -> Cue:
    return Cue(Span(round(1000 * start_s), round(1000 * end_s)), text)


LONG = "He never understood why everybody in the village believed that unbelievable story."


def test_lines_that_cannot_be_said_in_time_are_counted():
    cues = [cue(0, 6, LONG), cue(10, 11, LONG), cue(11, 12, "Yes."), cue(13, 14, "[door opens]")]
    found = risky_lines(cues, 1000, "en", ("es", "fr"), {})
    assert (found.lines, found.too_long) == (3, {"es": 1, "fr": 1})
    assert found.basis == "the original's words"
    short = {"es": [cue(10, 11, "Nunca.")]}
    found = risky_lines(cues, 1000, "en", ("es", "fr"), short)
    assert found.too_long == {"es": 0, "fr": 1}
    assert found.basis == "the subtitles in es, else the original's words"


def test_languages_that_are_there_already_are_named():
    assert dubbed_already(["en", None, "es-MX"], ("es", "fr")) == ("es",)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    sources = [
        *("-f", "lavfi", "-i", "color=size=16x16:rate=5:duration=12"),
        *("-f", "lavfi", "-i", "anullsrc=channel_layout=5.1:sample_rate=48000:duration=12"),
    ]
    outputs = [
        part
        for name in ("a.mkv", "b.mp4", "c.avi")
        for part in ("-map", "0:v", "-map", "1:a", "-t", "12", ffmpeg.file_url(folder / name))
    ]
    ffmpeg.run([*sources, *outputs])
    for name, mark in (("a.en.srt", "00:00:01,000 --> 00:00:02,000\nNo.\n\n"),):
        (folder / name).write_text(mark * 7)
    return folder


def test_the_front_of_a_file_tells_its_length_and_channels(films: Path):
    assert declared_sound(films / "a.mkv") == (pytest.approx(12.0, abs=0.1), 6)
    assert declared_duration_s(films / "b.mp4") == pytest.approx(12.0, abs=0.1)


def test_a_glance_starts_no_tool_for_usual_films(films: Path, monkeypatch: pytest.MonkeyPatch):
    pace = Pace(lines_per_minute=10.0)
    other = glance(films / "c.avi", 1, pace)
    assert (other.minutes, other.channels) == (pytest.approx(0.2, rel=0.05), 2)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a tool was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    first, second = (glance(films / name, 2, pace) for name in ("a.mkv", "b.mp4"))
    assert (first.lines, first.channels, first.assumed) == (7.0, 6, ())
    assert second.lines == pytest.approx(2.0, rel=0.02)
    assert second.assumed == ("stereo sound", "10 lines a minute")
