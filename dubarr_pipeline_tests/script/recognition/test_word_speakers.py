from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.script.model import Turn, Word
from dubarr_pipeline.script.recognition.utterances import speakers_of
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.recognized_words import heard_words

A, B, C = "SPEAKER_00", "SPEAKER_01", "SPEAKER_02"


def word(start: int, end: int) -> Word:
    return Word(Span(start, end), " w")


def turn(start: int, end: int, speaker: str) -> Turn:
    return Turn(Span(start, end), speaker)


@pytest.mark.parametrize(
    ("end_of_a", "expected"),
    [(51, A), (50, A), (49, B)],
    ids=["mostly a's", "half of both: who began first", "mostly b's"],
)
def test_a_word_belongs_to_whom_it_overlaps_most(end_of_a: int, expected: str) -> None:
    turns = [turn(0, end_of_a, A), turn(end_of_a, 100, B)]
    assert speakers_of([word(0, 100)], turns) == [expected]


def test_of_two_who_talk_at_once_the_one_before_goes_on() -> None:
    turns = [turn(0, 300, A), turn(100, 400, B)]
    line = [word(310, 390), word(120, 180), word(200, 290)]
    assert speakers_of(line[1:], turns) == [A, A]
    assert speakers_of(line, turns) == [B, B, B]


def test_many_short_turns_of_one_speaker_count_together() -> None:
    turns = [turn(0, 30, A), turn(30, 70, B), turn(70, 100, A), turn(30, 40, A)]
    assert speakers_of([word(0, 100)], turns) == [A]


@pytest.mark.parametrize(("at", "expected"), [(200, A), (459, A), (461, B), (900, B), (9_000, C)])
def test_a_word_that_no_turn_touches_is_the_nearest_turns(at: int, expected: str) -> None:
    turns = [turn(0, 160, A), turn(20, 40, B), turn(770, 800, B), turn(5000, 5001, C)]
    assert speakers_of([word(at, at + 10)], turns) == [expected]


def test_without_turns_there_is_one_speaker() -> None:
    assert speakers_of([word(0, 5), word(5, 9)], []) == [A, A]


def test_a_word_without_length_has_a_speaker() -> None:
    assert speakers_of([word(50, 50)], [turn(0, 50, A), turn(50, 90, B)]) == [B]


TURNS = st.lists(
    st.builds(
        lambda start, length, who: turn(start, start + length, f"SPEAKER_{who:02d}"),
        st.integers(0, 6000),
        st.integers(1, 2000),
        st.integers(0, 4),
    ),
    max_size=30,
)


@given(heard_words(), TURNS)
def test_nobody_overlaps_a_word_more_than_its_speaker(
    words: tuple[Word, ...], turns: list[Turn]
) -> None:
    found = speakers_of(words, turns)
    assert len(found) == len(words)
    for heard, speaker in zip(words, found, strict=True):
        covered = {
            who: sum(
                any(t.span.contains(s) for t in turns if t.speaker == who)
                for s in range(heard.span.start, heard.span.end)
            )
            for who in {t.speaker for t in turns}
        }
        if any(covered.values()):
            assert covered[speaker] == max(covered.values())
        else:
            assert speaker in {t.speaker for t in turns} | {A}
