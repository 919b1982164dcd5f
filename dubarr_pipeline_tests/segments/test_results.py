from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from dubarr_pipeline.errors import (
    ArtifactError,
    BadReply,
    EngineError,
    LineError,
    OutOfMemory,
    ServiceTimeout,
    ServiceUnavailable,
)
from dubarr_pipeline.segments.results import (
    LineResult,
    SegmentsResult,
    failure_name,
    no_dub,
    read_segments,
    write_segments,
)
from dubarr_pipeline.spans import Span
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures import finished_work


@pytest.fixture
def work(tmp_path: Path) -> WorkDir:
    return finished_work.make_work(tmp_path)


@pytest.mark.parametrize(
    ("error", "service", "name"),
    [
        (LineError("unspeakable", "no letters"), "tts", "unspeakable"),
        (ServiceTimeout("slow"), "llm", "llm_timeout"),
        (BadReply("not JSON"), "llm", "llm_bad_reply"),
        (ServiceUnavailable("away"), "tts", "tts_unavailable"),
        (OutOfMemory("full"), "tts", "tts_out_of_memory"),
        (EngineError("broken"), "tts", "tts_failed"),
    ],
)
def test_every_error_of_a_line_has_a_name(error: Exception, service: str, name: str) -> None:
    assert failure_name(error, service) == name


def test_segments_come_back_as_they_were(work: WorkDir) -> None:
    lines = finished_work.lines(work)
    result = SegmentsResult(finished_work.RATE, {"es": lines, "ca": ()}, finished_work.STATS)
    write_segments(work, result, engine="any")
    again = read_segments(work)
    assert again == result
    assert [line.outcome for line in again.languages["es"]] == [line.outcome for line in lines]
    assert again.languages["es"][1].tempo == Fraction(11, 10)


def test_a_line_has_its_take_its_failure_or_neither(work: WorkDir) -> None:
    placed, failed = finished_work.lines(work)[1:3]
    assert placed.placed
    assert placed.failure is None
    assert placed.take == placed.takes[placed.chosen or 0]
    assert failed.failure == "too_long"
    assert not failed.placed
    assert failed.take is None


@pytest.mark.parametrize("field", ["outcome", "window", "takes", "placement"])
def test_a_line_without_a_field_is_damaged(work: WorkDir, field: str) -> None:
    document = json.loads(work.segments_report.read_text())
    del document["languages"]["es"][0][field]
    work.segments_report.write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match="is damaged"):
        read_segments(work)


def test_a_file_in_segments_json_is_only_a_name_in_the_folder_of_the_lines(work: WorkDir) -> None:
    document = json.loads(work.segments_report.read_text())
    document["languages"]["es"][0]["placement"]["file"] = "../../outside.wav"
    work.segments_report.write_text(json.dumps(document))
    assert read_segments(work).languages["es"][0].path == work.segments / "outside.wav"


def made(*lines: tuple[str, int]) -> SegmentsResult:
    found = [
        LineResult("es", index, "A", span, span, outcome)
        for index, (outcome, length) in enumerate(lines)
        for span in [Span(1000 * index, 1000 * index + length)]
    ]
    return SegmentsResult(100, {"es": tuple(found)}, finished_work.STATS)


@pytest.mark.parametrize(
    ("lines", "failed"),
    [
        ([], False),
        ([("kept_original", 100)], False),
        ([("placed", 100)], False),
        ([("placed", 100), ("failed:echo", 100)], False),
        ([("placed", 100), ("failed:echo", 101)], True),
        ([("placed", 500), ("failed:echo", 100), ("failed:echo", 100)], True),
        ([("failed:echo", 100), ("kept_original", 900)], True),
    ],
    ids=["none", "songs", "all", "half", "half of the lines", "half of the time", "no line"],
)
def test_half_of_the_lines_and_of_their_time_must_be_placed(
    lines: list[tuple[str, int]], failed: bool
) -> None:
    result = made(*lines)
    assert bool(result.failed_languages(0.5)) is failed
    assert result.failed_languages(0) == {}


def test_the_error_says_what_and_how_much() -> None:
    words = made(("placed", 100), ("failed:echo", 100), ("failed:echo", 100))
    message = str(no_dub(words.failed_languages(0.5), 0.5))
    assert "es: 1 of 3 lines placed (2 echo)" in message
    assert "segments.least_placed asks for 50 %" in message
