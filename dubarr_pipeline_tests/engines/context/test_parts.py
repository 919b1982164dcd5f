from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.engines.context.prompts import (
    clip_tokens,
    estimate_tokens,
    script_line,
    script_parts,
    segment_tokens,
)
from dubarr_pipeline.script.edits import edited, judge_edit
from dubarr_pipeline.script.model import ScriptEdit, Segment, Transcript
from dubarr_pipeline.spans import Span

TEXTS = st.lists(st.text(max_size=300), max_size=60)


def segments(texts: list[str], source: str = "asr") -> tuple[Segment, ...]:
    return tuple(
        Segment(i, Span(i, i + 1), "SPEAKER_00", text, source=source)  # type: ignore[arg-type]
        for i, text in enumerate(texts)
    )


@given(TEXTS, st.integers(1, 400))
def test_every_segment_is_in_exactly_one_part_and_parts_fit(texts: list[str], most: int) -> None:
    told = segments(texts)
    parts = script_parts(told, most)
    assert tuple(segment for part in parts for segment in part) == told
    for part in parts:
        assert len(part) == 1 or sum(map(segment_tokens, part)) <= most
    # No part could have taken the first line of the next.
    for part, following in pairwise(parts):
        assert sum(map(segment_tokens, (*part, following[0]))) > most


@given(st.text(max_size=500), st.integers(0, 300))
def test_a_clipped_text_is_a_beginning_that_fits(text: str, most: int) -> None:
    clipped = clip_tokens(text, most)
    assert text.startswith(clipped)
    assert estimate_tokens(clipped) <= most


@pytest.mark.parametrize(
    ("text", "real"),
    [
        # Counted with the tokenizers of GPT-4 (cl100k), which Qwen's and Llama's lie near to.
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("¿Qué te trae por aquí, muchacho?", 13),
        ("12:34:56.789", 8),
        ("", 0),
    ],
)
def test_tokens_are_guessed_from_above(text: str, real: int) -> None:
    assert real <= estimate_tokens(text) <= 4 * real + 4


def test_a_line_of_the_script_is_one_line() -> None:
    (line,) = segments(["a\n b|c\t\n"])
    assert script_line(line) == "0|SPEAKER_00|a b|c"


@pytest.mark.parametrize(
    ("before", "after", "sure", "source", "applied"),
    [
        ("I saw the sheep.", "I saw the ship.", True, "asr", True),
        ("I saw the sheep.", "I saw the ship.", False, "asr", False),
        ("I saw the sheep.", "I saw the ship.", True, "subtitles", False),
        ("I saw the sheep.", "Nobody knows what happened.", True, "asr", False),
        ("I saw the sheep.", "...", True, "asr", False),
        ("abcd", "abxy", True, "asr", True),
        ("abcd", "axyz", True, "asr", False),
        ("a" * 2001, "a" * 2000, True, "asr", False),
    ],
)
def test_corrections_are_taken_where_a_line_stays_itself(
    before: str, after: str, sure: bool, source: str, applied: bool
) -> None:
    (segment,) = segments([before], source)
    edit = judge_edit(segment, after, "why", sure=sure)
    assert (edit.applied, bool(edit.note)) == (applied, not applied)
    assert (edit.before, edit.after) == (before, after)


@given(TEXTS, st.lists(st.tuples(st.integers(-2, 70), st.text(), st.booleans()), max_size=20))
def test_edits_change_texts_alone(texts: list[str], told: list[tuple[int, str, bool]]) -> None:
    script = Transcript(10, 100, "en", segments(texts))
    known = dict(enumerate(texts))
    edits = [ScriptEdit(i, known.get(i, ""), after, "", applied) for i, after, applied in told]
    found = edited(script, edits)
    assert [(s.index, s.span, s.speaker) for s in found.segments] == [
        (s.index, s.span, s.speaker) for s in script.segments
    ]
    wanted = {}
    for i, after, applied in told:
        if applied:
            wanted.setdefault(i, after)
    assert [s.text for s in found.segments] == [wanted.get(i, t) for i, t in known.items()]
    by_hand = dict.fromkeys(known, "mine")
    assert all(s.text == "mine" for s in edited(script, edits, by_hand).segments)


def test_an_edit_of_another_transcript_is_left_out() -> None:
    script = Transcript(10, 100, "en", segments(["One."]))
    assert edited(script, [ScriptEdit(0, "Two.", "Three.", "", True)]) == script
