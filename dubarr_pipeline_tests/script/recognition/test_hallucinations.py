from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.script.cues.alignment import SpeechMap
from dubarr_pipeline.script.model import Word
from dubarr_pipeline.script.recognition.hallucinations import (
    believe,
    cut_loops,
    needs_second_hearing,
)
from dubarr_pipeline.script.recognition.passages import Passage, in_order
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.recognized_words import RATE, heard_words, passage, texts, words

EVERYWHERE = SpeechMap([Span(0, 1_000_000)])


def left(*passages: Passage, speech: SpeechMap = EVERYWHERE) -> str:
    found = believe(passages, speech, RATE)
    before = sum(len(p.words) for p in passages)
    after = sum(len(p.words) for p in found.passages)
    assert sum(found.dropped.values()) == before - after
    return " | ".join(p.text for p in found.passages)


def test_what_is_said_stays() -> None:
    assert left(passage("Good morning. We need a boat.")) == "Good morning. We need a boat."


@pytest.mark.parametrize(
    ("no_speech", "log_probability", "stays"),
    [(0.61, -1.01, False), (0.6, -1.01, True), (0.61, -1.0, True), (0.0, -2.01, False)],
)
def test_guesses_into_silence_go(no_speech: float, log_probability: float, stays: bool) -> None:
    heard = passage("maybe so", no_speech=no_speech, log_probability=log_probability)
    assert bool(left(heard)) is stays


def test_words_beside_all_speech_go() -> None:
    speech = SpeechMap([Span(0, 60)])
    heard = Passage(words("come here", 0) + words("so then", 200), "en")
    assert left(heard, speech=speech) == "come here"
    near = Passage(words("come here", 0) + words("now", 89), "en")
    assert left(near, speech=speech) == "come here now"
    past = Passage(words("come here", 0) + words("now", 90), "en")
    assert left(past, speech=speech) == "come here"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no no no no", "no no no no"),
        ("no no no no no go", "no go"),
        ("I know. " * 4, ("I know. " * 4).strip()),
        ("I know. " * 5 + "Go.", "I know. Go."),
        ("so I said to him that " * 9 + "he left", "so I said to him that he left"),
    ],
)
def test_a_stuck_recogniser_is_cut_short(text: str, expected: str) -> None:
    assert left(passage(text)) == expected


def test_where_the_passage_compresses_too_well_fewer_repeats_are_believed() -> None:
    text = "what do you mean by that? " * 3
    assert left(passage(text)) == text.strip()
    assert left(passage(text, compression=2.41)) == "what do you mean by that?"
    assert left(passage(text, compression=2.4)) == text.strip()


@pytest.mark.parametrize("text", ["Subtitles by the Amara.org community", "www.opensubtitles.org"])
def test_advertisements_go_however_sure(text: str) -> None:
    assert left(passage(text)) == ""


@pytest.mark.parametrize("phantom", ["Thanks for watching!", "Subtitles by Ann Other"])
@pytest.mark.parametrize(("probability", "stays"), [(0.74, False), (0.75, True)])
def test_a_phantom_stays_where_it_was_clearly_said(
    phantom: str, probability: float, stays: bool
) -> None:
    heard = Passage(words(f"We sail at dawn. {phantom}", probability=probability), "en")
    said = "We sail at dawn."
    assert left(heard) == (f"{said} {phantom}" if stays else said)


def test_a_known_phantom_beside_speech_goes() -> None:
    heard = Passage(words("Thank you for watching."), "en")
    assert left(heard, speech=SpeechMap([Span(20, 79)])) == ""
    assert left(heard, speech=SpeechMap([Span(20, 80)])) == "Thank you for watching."


@pytest.mark.parametrize(
    ("doubts", "again"),
    [
        ({}, False),
        ({"compression": 2.41}, True),
        ({"log_probability": -1.01}, True),
        ({"log_probability": -1.01, "no_speech": 0.61}, False),
    ],
)
def test_what_is_doubtful_is_heard_again(doubts: dict[str, float], again: bool) -> None:
    assert needs_second_hearing(passage("so what", **doubts)) is again


@given(heard_words())
def test_clear_words_on_speech_are_never_taken(heard: tuple[Word, ...]) -> None:
    sure = Passage(heard, "en")
    found = believe([sure], EVERYWHERE, RATE)
    assert [w for p in found.passages for w in p.words] == list(heard)
    assert not found.dropped


@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=60), st.integers(1, 4))
def test_after_cutting_no_single_word_loop_is_left_and_order_is_kept(
    tokens: list[str], most: int
) -> None:
    heard = words(" ".join(tokens))
    kept = cut_loops(heard, most)
    positions = [heard.index(word) for word in kept]
    assert positions == sorted(set(positions))
    assert set(texts(kept)) == set(tokens)


@given(st.lists(st.tuples(st.integers(-50, 500), st.integers(0, 80)), max_size=30))
def test_words_come_in_order_within_the_film(times: list[tuple[int, int]]) -> None:
    film = Span(0, 400)
    heard = [
        Word(Span(max(0, start), max(0, start) + length), f" {i}")
        for i, (start, length) in enumerate(times)
    ]
    ordered = in_order(heard, film)
    assert sorted(texts(ordered)) == sorted(texts(heard))
    ends = [0] + [word.span.end for word in ordered]
    assert all(end <= word.span.start for end, word in zip(ends, ordered, strict=False))
    assert all(word.span.end <= film.end for word in ordered)
