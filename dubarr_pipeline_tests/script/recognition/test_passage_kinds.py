from __future__ import annotations

import pytest

from dubarr_pipeline.script.cues.alignment import SpeechMap
from dubarr_pipeline.script.model import Segment
from dubarr_pipeline.script.recognition.passages import Passage
from dubarr_pipeline.script.recognition.transcript import (
    WrittenKind,
    is_sung,
    kinds_of,
    mark_sounds,
)
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.recognized_words import passage, words

LETTERS = {"speech": ".", "song": "s", "foreign": "f", "nonverbal": "n"}


def pattern(heard: Passage, *written: WrittenKind) -> str:
    return "".join(LETTERS[kind] for kind in kinds_of(heard, "en", written))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("we go home", "..."),
        ("[laughs] we go home", "n..."),
        ("we [door slams shut] go (sighs)", ".nnn.n"),
        ("(and the dog came too) yes", "......"),
        ("*sighs* it is *really* late", "n...."),
        ("[Music] [Applause]", "nn"),
        ("♪ la la ♪ he said", "ssss.."),
        ("♪ and I will sing", "sssss"),
        ("(music playing) so", "nn."),
        ("[unclosed bracket goes on", "...."),
    ],
)
def test_songs_and_sounds_are_told_by_their_marks(text: str, expected: str) -> None:
    assert pattern(passage(text)) == expected


def test_what_is_heard_in_another_language_is_foreign() -> None:
    assert kinds_of(Passage(words("no hablo"), "es"), "en") == ["foreign"] * 2
    assert kinds_of(Passage(words("you and I"), "en"), "en-GB") == ["speech"] * 3


def test_the_subtitles_marks_count_for_the_words_under_them() -> None:
    song = WrittenKind(Span(30, 90), "song")
    assert pattern(passage("one two three four"), song) == ".ss."


@pytest.mark.parametrize(
    ("no_speech", "voiced", "sung"),
    [(0.5, 29, True), (0.49, 29, False), (0.5, 30, False)],
)
def test_words_in_which_nobody_hears_speech_are_sung(
    no_speech: float, voiced: int, sung: bool
) -> None:
    heard = passage("la la", no_speech=no_speech)
    assert is_sung(heard, SpeechMap([Span(0, voiced)])) is sung


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Mhm.", "nonverbal"),
        ("Uh-huh. Hmm...", "nonverbal"),
        ("Ha, ha, ha!", "nonverbal"),
        ("Ah, I see.", "speech"),
        ("Oh no.", "speech"),
        ("...", "nonverbal"),
        ("No.", "speech"),
    ],
)
def test_a_line_of_mere_sounds_is_left_to_the_actor(text: str, kind: str) -> None:
    assert mark_sounds(Segment(0, Span(0, 9), "A", text)).kind == kind


def test_other_kinds_stay_what_they_are() -> None:
    assert mark_sounds(Segment(0, Span(0, 9), "A", "Mhm", "song")).kind == "song"
