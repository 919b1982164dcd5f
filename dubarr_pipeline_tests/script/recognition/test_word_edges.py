from __future__ import annotations

import pytest
from hypothesis import given

from dubarr_pipeline.script.cues.alignment import SpeechMap
from dubarr_pipeline.script.model import Word
from dubarr_pipeline.script.recognition.word_edges import on_speech
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.recognized_words import heard_words

SPEECH = SpeechMap([Span(0, 100), Span(170, 300)])


@pytest.mark.parametrize(
    ("before", "text", "expected"),
    [
        ("boat.", "Silence!", (170, 200)),
        ("well,", "no", (170, 200)),
        ("a", "boat.", (80, 100)),
        ("a", "boat", (170, 200)),
    ],
)
def test_a_word_over_a_pause_is_said_on_one_side_of_it(
    before: str, text: str, expected: tuple[int, int]
) -> None:
    words = (Word(Span(60, 80), f" {before}"), Word(Span(80, 200), f" {text}"))
    assert on_speech(words, SPEECH)[1].span == Span(*expected)


def test_the_first_word_begins_after_the_pause() -> None:
    assert on_speech((Word(Span(90, 200), " Silence"),), SPEECH)[0].span == Span(170, 200)


@given(heard_words())
def test_words_stay_in_order_within_their_own_time(words: tuple[Word, ...]) -> None:
    found = on_speech(words, SpeechMap([Span(100, 900), Span(960, 2000), Span(2300, 2301)]))
    assert [w.text for w in found] == [w.text for w in words]
    for word, was in zip(found, words, strict=True):
        assert was.span.start <= word.span.start <= word.span.end <= was.span.end
