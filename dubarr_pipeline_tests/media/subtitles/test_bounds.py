"""Subtitles that nobody wrote for a screen: read within bounds, or refused by name."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dubarr_pipeline.errors import NoScript
from dubarr_pipeline.media.subtitles.parse import Cue, parse_cues
from dubarr_pipeline.script.cues.layout import SoundClock, lay_out
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.bench import Bench

RATE = 16_000
HEAD = "1\n00:00:01,000 --> 00:00:03,000\n"
UNITS = (
    *("{\\", "{", "[", "(", ")", "<", "<font ", "♪ ", "# ", "* ", "...", "A:", "9", "www.a."),
    *("word ", "x", "a. ", "- a\n", "a\n", " a", "a\t", "\u0301", "AB ", '" ', ">> a\n", "~ a\n"),
    *("&amp;", "&", "<v A>a", "<rt>", "a,", "… ", "A (b) ", "**a", "a-"),
)


def read(text: str) -> float:
    """Take a file apart as the transcript does; returns the CPU seconds."""
    started = time.process_time()
    cues = [
        Cue(Span(cue.start_ms * 16, cue.end_ms * 16), cue.text) for cue in parse_cues(text, "srt")
    ]
    lay_out(cues, [Span(0, 60 * RATE)], SoundClock(RATE, 60 * RATE))
    return time.process_time() - started


@pytest.mark.parametrize("unit", UNITS)
def test_a_cue_of_any_letters_costs_little(unit: str) -> None:
    """A quadratic rule would take seconds for a cue, and a file may hold ten thousand."""
    read(HEAD + "Hello there.\n")
    half, whole = (
        min(read(f"{HEAD}Hello {unit * (letters // len(unit))}\n") for _ in range(2))
        for letters in (1_900, 3_800)
    )
    assert whole < 3 * half + 0.2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "x" * 20_000_000, "a cue of 20,000,000 letters"),
        (HEAD + "<font" + " " * 300_000 + ">Hello</font>", "letters"),
        (HEAD + "word " * 1_000, "a cue of 4,999 letters"),
        (
            "".join(f"00:00:01,000 --> 00:00:03,000\n{n}\n\n" for n in range(100_001)),
            "100,001 cues",
        ),
        (
            "[Events]\nDialogue: 0,0:00:01.00,0:00:03.00,Default,,0,0,0,," + "x" * 5_000,
            "a cue of 5,000 letters",
        ),
    ],
    ids=["a word of 20 MB", "blanks in a tag", "a page", "cues", "ass"],
)
def test_what_is_no_subtitle_is_refused_by_name(text: str, words: str) -> None:
    started = time.process_time()
    with pytest.raises(NoScript, match=words):
        parse_cues(text, "srt")
    assert time.process_time() - started < 30


def test_drawings_and_tags_of_letters_are_no_text(tmp_path: Path) -> None:
    drawn = r"{\p1}m 0 0 " + "l 1 1 " * 50_000 + r"{\p0}Hello"
    (cue,) = parse_cues(
        f"[Events]\nDialogue: 0,0:00:01.00,0:00:03.00,Default,,0,0,0,,{drawn}", "ass"
    )
    assert cue.text == "Hello"
    tags = "".join(f'<font color="#ff00{n:02}">a</font>' for n in range(90))
    (cue,) = parse_cues(f"{HEAD}{tags}\n", "srt")
    assert cue.text == "a" * 90


def test_a_film_beside_such_a_file_is_refused_with_the_cure(film: Path, tmp_path: Path) -> None:
    for beside in film.parent.glob(f"{film.stem}*.srt"):
        beside.write_text(f"{HEAD}{'x' * 5_000}\n")
    answer = Bench(tmp_path / "work").dub(film)
    assert answer.code == 4, answer.both
    assert "a cue of 5,000 letters" in answer.err
