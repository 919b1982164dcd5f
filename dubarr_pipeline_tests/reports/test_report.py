from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.reports.report import StageTime, document, make_report, write_report
from dubarr_pipeline.reports.summary import Report
from dubarr_pipeline.script.model import Context, DroppedCue, ScriptEdit, SpeakerProfile
from dubarr_pipeline.segments.results import SegmentsResult, write_segments
from dubarr_pipeline.spans import Span
from dubarr_pipeline.workdir.artifacts import (
    read_transcript,
    write_context,
    write_speakers,
    write_transcript,
)
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures import finished_work

STAGES = (
    StageTime("vocals", 2.5, True),
    StageTime("mux", 1.25, False),
    StageTime("refs", None, True),
)


def reported(work: WorkDir, name: str = "Film.mkv") -> Report:
    report = make_report(finished_work.video(work, name), work, STAGES)
    write_report(report, work)
    return report


class Page(HTMLParser):
    """Every element, attribute and text of a page."""

    def __init__(self, work: WorkDir) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self.feed(work.report_page.read_text("utf-8"))
        self.text = "".join(self._texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self._texts.append(data)

    def count(self, tag: str, **wanted: str) -> int:
        return sum(
            tag == name and all(wanted[k] in (attrs.get(k.rstrip("_")) or "") for k in wanted)
            for name, attrs in self.elements
        )


def test_summary_for_a_terminal(tmp_path: Path) -> None:
    summary = reported(finished_work.make_work(tmp_path)).summary
    assert summary[0] == (
        "es: 4 of 5 lines placed, 1 kept original, onset p95 50 ms, tempo 75 % within ±5 %, "
        "loudness -22.7 LUFS (source -23.0, asked -23.5)"
    )
    assert summary[1] == "es: 1 failed (1 too_long): lines 2"
    assert summary[2] == "1 original streams identical, at most 0.40 ms off"
    assert "es: missed: takes per line 1.60, must be at most 1.50" in summary
    assert "es: missed: speech time with a dub 75.8 %, must be at least 85" in summary
    assert summary[-1] == "3.8 s of work"
    assert all("\n" not in line and len(line) < 160 for line in summary)


def test_document(tmp_path: Path) -> None:
    work = finished_work.make_work(tmp_path)
    reported(work)
    found = read_json(work.report)
    assert found["durations"] == {
        "total_s": 3.75,
        "stages": [
            {"stage": "vocals", "seconds": 2.5, "reused": True},
            {"stage": "mux", "seconds": 1.25, "reused": False},
            {"stage": "refs", "seconds": None, "reused": True},
        ],
    }
    assert found["lines"]["es"] == {
        "lines": 6,
        "placed": 4,
        "kept_original": 1,
        "failed": 1,
        "nameless": 0,
        "failures": {"too_long": 1},
        "flagged": {},
    }
    assert found["failures"] == [
        {
            "language": "es",
            "index": 2,
            "speaker": finished_work.B,
            "start_s": 3.0,
            "end_s": 4.0,
            "name": "too_long",
            "source_text": "source line 2",
            "text": "línea 2",
            "message": "no wording fits",
            "outcome": "failed:too_long",
        }
    ]
    assert found["kinds"] == {"speech": 5, "song": 1}
    assert found["llm"] is None
    assert found["loudness"]["es"]["loudness_lufs"] == -22.7
    speakers = {who["speaker"]: who for who in found["speakers"]}
    assert (speakers[finished_work.A]["lines"], speakers[finished_work.A]["speech_s"]) == (4, 3.5)
    assert speakers[finished_work.A]["ref"]["length_s"] == 3.0
    assert speakers[finished_work.B]["ref"] == {
        "length_s": None,
        "snr_db": None,
        "zcr": None,
        "candidates": 0,
        "note": "too_short",
    }
    row = next(row for row in found["quality"] if row["name"] == "takes per line")
    assert (row["value"], row["must"], row["target"], row["met"]) == (1.6, 1.5, 1.15, "missed")


def test_tokens_per_second_where_there_is_a_language_model(tmp_path: Path) -> None:
    work = finished_work.make_work(tmp_path)
    spoken = finished_work.stats(tokens=1200, tokens_per_s=48.04)
    finished_work.write_production(work, finished_work.lines(work), spoken)
    report = reported(work)
    assert read_json(work.report)["llm"] == {"tokens": 1200, "tokens_per_s": 48.04}
    assert "language model: 1200 tokens, 48.0 tokens/s" in report.summary


def test_gaps_and_mishearings_of_the_reading_are_shown(tmp_path: Path) -> None:
    work = finished_work.make_work(tmp_path)
    edits = (
        ScriptEdit(0, "teh <sea>", "the <sea>", "misheard", applied=True),
        ScriptEdit(1, "b", "c", "maybe", applied=False, note="the reader is not sure"),
    )
    context = Context("", "", edits=edits, gaps=("lines 4-5 not read: silence",))
    write_context(work.context, context, usage={"tokens": 90, "busy_s": 1.5})
    write_json(work.brief("es"), {"gaps": ["no rendering of Orc: nothing"]})
    report = reported(work)
    page = Page(work)
    for text in ("lines 4-5 not read", "es: no rendering of Orc", "the <sea>", "not sure", "90"):
        assert text in page.text
    told = document(report)["script_reading"]
    assert [edit["applied"] for edit in told["edits"]] == [True, False]
    assert told["tokens"] == 90
    assert len(told["gaps"]) == 2


def _leave_out(work: WorkDir, *cues: DroppedCue) -> None:
    write_transcript(
        work.transcription, replace(read_transcript(work.transcription), left_out=cues)
    )


def test_every_cue_that_is_not_spoken_is_listed_with_its_text_and_the_reason(
    tmp_path: Path,
) -> None:
    work = finished_work.make_work(tmp_path)
    rate = read_transcript(work.transcription).rate
    _leave_out(
        work,
        DroppedCue(Span(-2 * rate, -rate), "Too early.", "before the start"),
        DroppedCue(Span(61 * rate, 62 * rate), "Tickets", "sign"),
        DroppedCue(Span(63 * rate, 64 * rate), "Way Out", "sign"),
    )
    report = reported(work)
    assert read_json(work.report)["left_out"] == [
        {"start": -2.0, "end": -1.0, "text": "Too early.", "reason": "before the start"},
        {"start": 61.0, "end": 62.0, "text": "Tickets", "reason": "sign"},
        {"start": 63.0, "end": 64.0, "text": "Way Out", "reason": "sign"},
    ]
    assert "subtitles that are not spoken: 2 sign, 1 before the start" in report.summary
    text = Page(work).text
    assert "Subtitles that are not spoken: 3" in text
    assert all(told in text for told in ("Too early.", "1:01", "Tickets", "Way Out", "sign"))


def test_silence_has_no_peak_and_the_document_no_infinity(tmp_path: Path) -> None:
    work = finished_work.make_work(tmp_path, true_peak_dbtp=float("-inf"), loudness_lufs=-70.0)
    reported(work)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    json.loads(work.report.read_text("utf-8"), parse_constant=refuse)


def test_page_shows_failures_first_then_every_line(tmp_path: Path) -> None:
    work = finished_work.make_work(tmp_path)
    reported(work)
    page = Page(work)
    text = work.report_page.read_text("utf-8")
    assert text.index("Failed lines: 1") < text.index("línea 0")
    assert page.text.index("no wording fits") < page.text.index("línea 0")
    for index in range(6):
        assert f"source line {index}" in page.text
    # Six originals, and below each the dub, the failure or what was kept.
    assert page.count("rect") == 12
    assert page.count("rect", class_="f") == 1
    assert page.count("rect", class_="k") == 1


def test_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    work = finished_work.make_work(tmp_path)
    reported(work)
    page = Page(work)
    names = {name for name, _ in page.elements}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    attributes = {name for _, attrs in page.elements for name in attrs}
    assert not attributes & {"src", "href", "xlink:href", "action"}
    style = work.report_page.read_text("utf-8")
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style


HOSTILE = "</title></svg><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}"


def _page_with(work: WorkDir, text: str) -> Page:
    """The page of a film in which every text that strangers can write is this one."""
    segments = tuple(replace(s, text=text) for s in finished_work.SEGMENTS)
    made = [replace(x, text=text, message=text) for x in finished_work.lines(work)]
    made[2] = replace(made[2], outcome=f"failed:{text}")
    finished_work.make_work(work.root, made, notes=[text])
    finished_work.write_script(work, segments)
    _leave_out(work, DroppedCue(Span(0, 1), text, text))
    write_speakers(work.speakers, (SpeakerProfile(finished_work.A, name=text, gender=text),))
    document = read_json(work.mux_report)
    document["streams"][0]["name"] = document["flags"][1]["title"] = text
    write_json(work.mux_report, {k: v for k, v in document.items() if k != "schema"})
    reported(work, f"{text.replace('/', '_')}.mkv")
    return Page(work)


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    hostile = _page_with(WorkDir(tmp_path / "hostile"), HOSTILE)
    harmless = _page_with(WorkDir(tmp_path / "harmless"), "harmless")
    assert _skeleton(hostile) == _skeleton(harmless)
    assert hostile.text.count("{{ 7*7 }}") == harmless.text.count("harmless")
    assert hostile.text.count("<script>alert(1)</script>") > 15


def _skeleton(page: Page) -> list[tuple[str, list[str]]]:
    return [(name, list(attributes)) for name, attributes in page.elements]


def test_five_thousand_lines_fold_and_stay_small(tmp_path: Path) -> None:
    work = WorkDir(tmp_path)
    finished_work.make_work(tmp_path)
    segments = tuple(
        finished_work.segment(
            n, 2 * n, 2 * n + 1.5, finished_work.A, f"A line of usual length, number {n}."
        )
        for n in range(5000)
    )
    lost = {"path": None, "outcome": "failed:too_long", "message": "no wording fits"}
    made = tuple(
        finished_work.line(
            s, work, **(lost if s.index % 100 == 7 else {"path": work.take("es", 0)})
        )
        for s in segments
    )
    finished_work.write_script(work, segments)
    finished_work.write_production(work, made[:1])
    write_segments(work, SegmentsResult(finished_work.RATE, {"es": made}, finished_work.STATS))
    finished_work.write_mix(work, made)
    reported(work)
    page = Page(work)
    assert page.count("rect", class_="f") == 50
    assert page.count("details") == 1 + 1 + 20  # failures, timeline, and twenty times 250 lines
    assert page.count("tr", class_="failed") >= 100
    assert work.report_page.stat().st_size < 5_000_000


def test_many_failures_fold(tmp_path: Path) -> None:
    work = WorkDir(tmp_path)
    finished_work.make_work(tmp_path)
    segments = tuple(finished_work.segment(n, n, n + 0.5, finished_work.A) for n in range(300))
    lost = {"path": None, "outcome": "failed:silent"}
    made = tuple(finished_work.line(s, work, **lost) for s in segments)
    finished_work.write_script(work, segments)
    finished_work.write_production(work, made)
    finished_work.write_mix(work, ())
    report = reported(work)
    assert report.summary[1] == "es: 300 failed (300 silent): lines 0, 1, 2, 3, 4, 5, 6, 7, …"
    assert "from number 251" in Page(work).text


def test_no_lines_at_all(tmp_path: Path) -> None:
    work = finished_work.make_work(tmp_path)
    finished_work.write_script(work, ())
    finished_work.write_production(work, (), finished_work.stats(prediction_error=None))
    finished_work.write_mix(work, ())
    report = reported(work)
    assert report.summary[0].startswith("es: 0 of 0 lines placed")
    assert Page(work).count("rect") == 0


@pytest.mark.parametrize(
    "name", ["speech", "transcription", "segments_report", "mix_report", "mux_report"]
)
def test_a_missing_artifact_is_named(tmp_path: Path, name: str) -> None:
    work = finished_work.make_work(tmp_path)
    path: Path = getattr(work, name)
    path.unlink()
    with pytest.raises(ArtifactError, match=path.name):
        reported(work)


def test_odd_file_names(tmp_path: Path) -> None:
    work = finished_work.make_work(tmp_path)
    reported(work, '-a "quoted"\nname 🎬: 100 %.mkv')
    assert "🎬: 100 %" in Page(work).text
