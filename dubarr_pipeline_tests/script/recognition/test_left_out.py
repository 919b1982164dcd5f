"""Passages in which the recogniser left speech out."""

from __future__ import annotations

import pytest

from dubarr_pipeline.script.cues.alignment import SpeechMap
from dubarr_pipeline.script.model import Word
from dubarr_pipeline.script.recognition.passages import (
    Passage,
    letters_within,
    thinly_written,
    without_words,
)
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.recognized_words import RATE, texts

SPEECH = SpeechMap([Span(0, 200), Span(300, 500), Span(800, 900)])
WHOLE = Span(0, 600)


def heard(*words: tuple[int, int, str], language: str = "en") -> list[Passage]:
    return [Passage(tuple(Word(Span(a, b), f" {text}") for a, b, text in words), language)]


FIRST = (0, 200, "Somebody.")


@pytest.mark.parametrize(
    ("passages", "thin"),
    [
        (heard(FIRST, (300, 500, "there")), False),
        (heard(FIRST, (300, 500, "four")), True),
        (heard(FIRST), True),
        (heard((0, 100, "Home."), (100, 900, "Careful"), (900, 930, "now")), True),
        (heard(FIRST, language="es"), False),
    ],
    ids=["written", "nearly nothing", "left out", "stretched over", "foreign"],
)
def test_speech_with_too_few_words_is_found(passages: list[Passage], thin: bool) -> None:
    found = thinly_written(WHOLE, passages, SPEECH, "en", RATE)
    assert found == (SPEECH.spans[:2] if thin else [])


def test_a_single_stretch_is_not_heard_again() -> None:
    assert thinly_written(Span(700, 1000), heard(FIRST), SPEECH, "en", RATE) == []


def test_words_give_way_only_where_others_come_instead() -> None:
    (passage,) = heard(FIRST, (210, 420, "over"), (420, 480, "it"), (800, 850, "again"))
    left = without_words(passage, SpeechMap([Span(290, 510)]), SPEECH)
    assert texts(left.words) == ["Somebody.", "again"]
    assert letters_within(passage.words, Span(0, 500)) == 14
