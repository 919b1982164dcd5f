from __future__ import annotations

import numpy as np
import pytest

from dubarr_pipeline.script.speakers.channels import (
    language_per_channel,
    speaker_per_channel,
    speech_of_channel,
)
from dubarr_pipeline.spans import Span, intersect, total
from dubarr_pipeline_tests.fixtures.separation_sounds import Sound, voice

RATE = 8000
LENGTH = 24 * RATE
TURNS = [Span(second * RATE, (second + 2) * RATE) for second in range(1, 22, 3)]


def spoken(turns: list[Span], seed: int) -> np.ndarray:
    return voice(LENGTH, RATE, turns, seed)


@pytest.mark.parametrize(
    ("left", "right", "speakers", "languages"),
    [
        ((1, TURNS, 1), (1, TURNS, 2), False, True),
        ((1, TURNS, 1), (0.2, TURNS, 2), False, True),
        ((1, TURNS[::2], 1), (1, TURNS[1::2], 2), True, False),
        ((1, TURNS, 1), (1, TURNS, 1), False, False),
        ((1, TURNS, 1), (0, TURNS, 1), False, False),
        ((0, TURNS, 1), (0, TURNS, 1), False, False),
    ],
    ids=["dual mono", "one is quieter", "interview", "centre", "one channel", "silence"],
)
def test_speakers_and_languages_of_two_channels_are_told_apart(
    left: tuple[float, list[Span], int],
    right: tuple[float, list[Span], int],
    speakers: bool,
    languages: bool,
) -> None:
    sides = [gain * spoken(turns, seed) for gain, turns, seed in (left, right)]
    sound = Sound(np.stack(sides), RATE)
    assert speaker_per_channel(sound, TURNS) is speakers
    assert language_per_channel(sound, TURNS) is languages
    assert not language_per_channel(sound, [])


def test_bleed_between_the_microphones_of_an_interview_is_no_language() -> None:
    first, second = spoken(TURNS[::2], 1), spoken(TURNS[1::2], 2)
    sound = Sound(np.stack([first + 0.05 * second, second + 0.05 * first]), RATE)
    assert speaker_per_channel(sound, TURNS)
    assert not language_per_channel(sound, TURNS)


def test_each_channels_own_speech_is_found_where_two_talk_at_once_too() -> None:
    left = TURNS[::2]
    right = [*TURNS[1::2], Span(left[1].start + RATE, left[1].end)]
    first, second = spoken(left, 1), spoken(right, 2)
    sound = Sound(np.stack([first + 0.05 * second, second + 0.05 * first]), RATE)
    for channel, own in ((0, left), (1, right)):
        found = speech_of_channel(sound, TURNS, channel)
        assert total(intersect(found, own)) >= 0.95 * total(own)
        assert total(found) <= 1.15 * total(own)
    assert speech_of_channel(sound, [], 0) == ()
