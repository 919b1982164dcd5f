from __future__ import annotations

import random
import re
from pathlib import Path

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.cues.matching import match_subtitles
from dubarr_pipeline.script.model import Segment
from dubarr_pipeline.spans import Span

RATE = 1000


def read(path: Path) -> list[Cue]:
    return [
        Cue(Span(line.start, line.end), line.plaintext)
        for line in pysubs2.load(str(path))
        if "Test" not in line.plaintext
    ]


def lines(cues: list[Cue], speakers: int = 2) -> list[Segment]:
    return [
        Segment(i, cue.span, f"SPEAKER_{i % speakers:02}", cue.text) for i, cue in enumerate(cues)
    ]


def flat(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "")


@pytest.mark.parametrize("language", ["es", "de"])
def test_human_subtitles_are_matched_line_by_line(shared_media: Path, language: str) -> None:
    film = lines(read(shared_media / "text" / "sintel-en.vtt"))
    file = read(shared_media / "text" / f"sintel-{language}.vtt")
    found = match_subtitles(film, file)
    assert [flat(found[i]) for i in range(len(film))] == [flat(cue.text) for cue in file]


def test_two_subtitles_for_one_line_are_joined(shared_media: Path) -> None:
    english = read(shared_media / "text" / "sintel-en.vtt")
    spanish = read(shared_media / "text" / "sintel-es.vtt")
    film = [Segment(7, Span(english[0].span.start, english[1].span.end), "A", "...")]
    assert match_subtitles(film, spanish) == {
        7: "Esta hoja tiene un pasado oscuro. Ha derramado mucha sangre inocente."
    }


def test_one_subtitle_for_two_lines_is_shared_out(shared_media: Path) -> None:
    film = lines(read(shared_media / "text" / "sintel-en.vtt"))
    spanish = read(shared_media / "text" / "sintel-es.vtt")
    merged = [
        Cue(Span(a.span.start, b.span.end), f"{a.text}\n{b.text}")
        for a, b in zip(spanish[::2], spanish[1::2], strict=False)
    ]
    found = match_subtitles(film, merged)
    assert [flat(found[i]) for i in range(12)] == [flat(cue.text) for cue in spanish[:12]]
    assert found[12] is None


def pair(text: str, speakers: int) -> dict[int, str | None]:
    film = lines([Cue(Span(0, 2000), "a"), Cue(Span(2100, 4000), "b")], speakers)
    return match_subtitles(film, [Cue(Span(0, 4000), text)])


@pytest.mark.parametrize("speakers", [1, 2])
def test_a_dialogue_in_one_subtitle_is_split_at_its_dashes(speakers: int) -> None:
    assert pair("- ¿Vienes. O no?\n- Sí.", speakers) == {0: "¿Vienes. O no?", 1: "Sí."}


def test_one_sentence_of_one_speaker_is_split_between_words() -> None:
    found = pair("He estado sola desde que tengo memoria", 1)
    assert flat(found[0]) + " " + flat(found[1]) == "He estado sola desde que tengo memoria"
    assert found[0]
    assert found[1]


def test_one_sentence_is_not_torn_between_two_speakers() -> None:
    assert pair("He estado sola desde que tengo memoria", 2) == {0: None, 1: None}


def test_where_nothing_is_said_there_is_nothing() -> None:
    film = lines([Cue(Span(0, 1000), "a"), Cue(Span(50000, 51000), "b")])
    assert match_subtitles(film, [Cue(Span(0, 1000), "uno")]) == {0: "uno", 1: None}
    assert match_subtitles(film, []) == {0: None, 1: None}
    assert match_subtitles([], [Cue(Span(0, 1000), "uno")]) == {}
    assert match_subtitles(film, [Cue(Span(0, 1000), "♪♪"), Cue(Span(5, 5), "x")]) == {
        0: None,
        1: None,
    }


def test_a_brush_in_passing_is_no_match() -> None:
    film = lines([Cue(Span(0, 2000), "a"), Cue(Span(2000, 4000), "b")])
    cues = [Cue(Span(0, 2300), "uno"), Cue(Span(2300, 4000), "dos")]
    assert match_subtitles(film, cues) == {0: "uno", 1: "dos"}


def film_of(seed: int, count: int) -> list[Cue]:
    draw = random.Random(seed)
    cues, at = [], 0
    for number in range(count):
        at += draw.randint(100, 6000)
        length = draw.randint(500, 5000)
        cues.append(Cue(Span(at, at + length), f"t{number}"))
        at += length
    return cues


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12), st.integers(1, 2))
def test_nothing_is_said_twice_and_nothing_made_up(
    seed: int, film_lines: int, cues: int, speakers: int
) -> None:
    film = lines(film_of(seed, film_lines), speakers)
    file = film_of(seed + 1, cues)
    found = match_subtitles(film, file)
    assert set(found) == set(range(film_lines))
    said = [word for text in found.values() if text for word in text.split()]
    assert len(said) == len(set(said))
    assert set(said) <= {cue.text for cue in file}
