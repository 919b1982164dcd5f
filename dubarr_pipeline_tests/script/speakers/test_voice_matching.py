from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubarr_pipeline.script.model import Turn
from dubarr_pipeline.script.speakers.voice_matching import (
    LocalSpeaker,
    VoiceMatchOptions,
    film_embeddings,
    film_turns,
    match_voices,
)
from dubarr_pipeline.spans import Span

ANNA, BERT, CARL = (np.eye(3)[i] for i in range(3))
NONE = np.zeros(3)


WINDOWS = (Span(0, 200), Span(50, 300), Span(250, 400), Span(400, 500), Span(500, 600))


def local(window: int, print_: np.ndarray, *turns: tuple[int, int]) -> LocalSpeaker:
    return LocalSpeaker(WINDOWS[window], tuple(Span(a, b) for a, b in turns), print_)


def test_the_same_voice_is_the_same_speaker_in_every_window() -> None:
    found = match_voices(
        [
            local(0, ANNA, (0, 10)),
            local(0, BERT, (10, 20)),
            local(1, BERT + 0.1 * ANNA, (100, 110)),
            local(1, CARL, (110, 120)),
            local(2, ANNA + 0.2 * CARL, (200, 210)),
        ]
    )
    assert found == [0, 1, 1, 2, 0]


def test_two_speakers_of_one_window_are_never_one() -> None:
    twins = [local(0, ANNA, (0, 10)), local(0, ANNA, (10, 20)), local(1, ANNA, (50, 60))]
    found = match_voices(twins)
    assert found[0] != found[1]
    assert found[2] in found[:2]


def test_who_says_the_same_words_in_the_overlap_is_one_whatever_the_print() -> None:
    speakers = [
        local(0, ANNA, (0, 100)),
        local(0, BERT, (100, 200)),
        local(1, CARL, (150, 200), (210, 300)),
        local(1, NONE, (50, 100), (201, 205)),
    ]
    assert match_voices(speakers) == [0, 1, 1, 0]


@pytest.mark.parametrize(("angle", "same"), [(0.49, True), (0.51, False)])
def test_how_far_embeddings_may_be_apart(angle: float, same: bool) -> None:
    turned = (1 - angle) * ANNA + np.sqrt(1 - (1 - angle) ** 2) * BERT
    found = match_voices([local(0, ANNA, (0, 9)), local(1, turned, (50, 60))])
    assert (found[0] == found[1]) is same


def test_with_a_limit_the_nearest_are_joined_until_it_is_kept() -> None:
    near = 0.3 * ANNA + BERT
    speakers = [local(0, ANNA, (0, 9)), local(1, near, (50, 60)), local(2, CARL, (90, 99))]
    assert len(set(match_voices(speakers))) == 3
    assert match_voices(speakers, VoiceMatchOptions(most=2)) == [0, 0, 1]


def test_the_print_of_a_voice_is_the_mean_by_time_of_length_one() -> None:
    speakers = [local(0, 5 * ANNA, (0, 30)), local(1, BERT, (50, 60)), local(1, NONE, (70, 90))]
    embeddings = film_embeddings(speakers, [0, 0, 1])
    assert embeddings == {0: pytest.approx((0.948683, 0.316228, 0.0), abs=1e-6)}


def test_turns_are_clipped_joined_and_named_by_first_appearance() -> None:
    turns = [(Span(40, 60), 7), (Span(0, 20), 3), (Span(20, 30), 3), (Span(55, 99), 3)]
    assert film_turns(turns, Span(0, 70)) == [
        Turn(Span(0, 30), "SPEAKER_00"),
        Turn(Span(40, 60), "SPEAKER_01"),
        Turn(Span(55, 70), "SPEAKER_00"),
    ]
    assert film_turns([(Span(80, 90), 1)], Span(0, 70)) == []


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 50)), max_size=20))
def test_no_group_has_two_speakers_of_one_window(found: list[tuple[int, int, int]]) -> None:
    speakers = [
        local(window, np.eye(3)[voice], (start, start + 10)) for window, voice, start in found
    ]
    groups = match_voices(speakers, VoiceMatchOptions(most=1))
    pairs = [(group, s.window) for group, s in zip(groups, speakers, strict=True)]
    assert len(set(pairs)) == len(pairs)
    assert sorted(set(groups)) == list(range(len(set(groups))))
