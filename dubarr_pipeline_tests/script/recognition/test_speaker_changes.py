from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.script.model import Word
from dubarr_pipeline.script.recognition.speaker_changes import settle_changes
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.recognized_words import RATE, heard_words, words


def shared(text: str) -> tuple[tuple[Word, ...], str]:
    """Words of 0.3 s, `~` a silence of 0.1 s and `~~` one of 0.3 s; their speakers as letters."""
    found: list[Word] = []
    who, at = "", 0
    for token in text.split():
        if token.startswith("~"):
            at += 10 if token == "~" else 30
            continue
        speaker, _, word = token.partition(":")
        found.append(Word(Span(at, at + 30), f" {word}"))
        who, at = who + speaker, at + 30
    return tuple(found), who


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("A:the B:desk. B:Did B:they", "AABB"),
        ("A:are A:you? A:My B:name B:is", "AABBB"),
        ("A:for A:the B:old B:desk. B:Did", "AAAAB"),
        ("A:the B:very B:old B:desk. B:Did", "ABBBB"),
        ("A:no ~ A:then B:we B:will", "ABBB"),
        ("A:no ~~ B:then B:we. B:I", "ABBB"),
        ("A:Home. B:No. A:Come", "ABA"),
        ("A:We A:need B:a A:boat", "AAAA"),
        ("A:one B:two", "AB"),
    ],
    ids=[
        "last word",
        "first word",
        "two words",
        "too far",
        "largest gap",
        "clear gap",
        "short answer",
        "a word between",
        "nothing better",
    ],
)
def test_a_change_of_speaker_moves_to_the_end_of_the_sentence(text: str, settled: str) -> None:
    heard, speakers = shared(text)
    assert "".join(settle_changes(heard, speakers, RATE)) == settled


def test_without_words_or_changes_nothing_moves() -> None:
    assert settle_changes((), (), RATE) == []
    assert settle_changes(words("a b. c"), "AAA", RATE) == ["A", "A", "A"]


@given(heard_words(), st.randoms())
def test_nobody_new_speaks_and_no_change_is_added(heard: tuple[Word, ...], chance) -> None:
    speakers = [chance.choice("ABC") for _ in heard]
    found = settle_changes(heard, speakers, RATE)
    assert len(found) == len(speakers)
    assert set(found) <= set(speakers)
    assert len([*groupby(found)]) <= len([*groupby(speakers)])
