from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given

from dubarr_pipeline.script.cues.alignment import SpeechMap
from dubarr_pipeline.script.model import Word
from dubarr_pipeline.script.recognition.passages import in_order
from dubarr_pipeline.script.recognition.word_edges import on_speech, reach_edges
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.recognized_words import RATE, heard_words

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


VOICED = (Span(0, 100), Span(130, 300), Span(900, 1000))


@pytest.mark.parametrize(
    ("spans", "reached"),
    [
        ([(10, 40), (40, 80)], [(0, 40), (40, 100)]),
        ([(10, 80), (135, 250)], [(0, 100), (130, 300)]),
        ([(10, 30), (30, 41)], [(0, 30), (30, 100)]),
        # Beyond 0.6 s lies something that nobody wrote down.
        ([(10, 30), (30, 39)], [(0, 30), (30, 39)]),
        ([(960, 970)], [(960, 1000)]),
        ([(310, 340)], [(310, 340)]),
    ],
    ids=["both edges", "each piece", "just near", "too far", "late start", "off the voice"],
)
def test_the_first_and_last_word_reach_the_edges_of_the_voice(
    spans: list[tuple[int, int]], reached: list[tuple[int, int]]
) -> None:
    found = reach_edges([Word(Span(*span), " w") for span in spans], VOICED, RATE)
    assert [(word.span.start, word.span.end) for word in found] == reached


@given(heard_words())
def test_words_that_reach_out_stay_in_order_and_never_shrink_at_their_end(
    words: tuple[Word, ...],
) -> None:
    voiced = SpeechMap(VOICED)
    before = in_order(on_speech(words, voiced), Span(0, 100_000))
    found = reach_edges(before, voiced.spans, RATE)
    assert [w.text for w in found] == [w.text for w in words]
    assert all(a.span.end <= b.span.start for a, b in pairwise(found))
    assert all(now.span.end >= was.span.end for now, was in zip(found, before, strict=True))
