from __future__ import annotations

from dataclasses import replace
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.script.model import Segment, Word
from dubarr_pipeline.script.recognition.utterances import (
    SpokenWord,
    UtteranceOptions,
    cut_lines,
    join_sentences,
)
from dubarr_pipeline_tests.fixtures.recognized_words import RATE, heard_words, texts, words

OPTIONS = UtteranceOptions(pause_s=0.7, shortest_s=1.0, longest_s=4.0)


def said(text: str, start: int = 0, speaker: str = "A", each: int = 30) -> list[SpokenWord]:
    return [SpokenWord(word, speaker) for word in words(text, start, each)]


def lines(spoken: list[SpokenWord]) -> list[str]:
    return [line.text for line in cut_lines(spoken, RATE, OPTIONS)]


def test_each_sentence_is_a_line() -> None:
    assert lines(said("We need a boat. The sea is rough today.")) == [
        "We need a boat.",
        "The sea is rough today.",
    ]


def test_an_abbreviation_ends_no_sentence() -> None:
    assert lines(said("Ask Dr. Watson about the hound.")) == ["Ask Dr. Watson about the hound."]


@pytest.mark.parametrize(("gap", "count"), [(69, 1), (70, 2), (71, 2)])
def test_a_pause_divides_from_its_limit_on(gap: int, count: int) -> None:
    spoken = [*said("wait for"), *said("me now", start=60 + gap)]
    assert len(lines(spoken)) == count


def test_another_speaker_kind_or_language_is_another_line() -> None:
    one, other, third, fourth = said("oh my dear friend")
    spoken = [
        one,
        SpokenWord(other.word, "B"),
        SpokenWord(third.word, "B", "song"),
        SpokenWord(fourth.word, "B", "song", "fr"),
    ]
    found = cut_lines(spoken, RATE, OPTIONS)
    assert [(line.speaker, line.kind) for line in found] == [
        ("A", "speech"),
        ("B", "speech"),
        ("B", "song"),
        ("B", "song"),
    ]


def test_a_short_sentence_joins_its_speakers_neighbour() -> None:
    assert lines(said("Yes. I will come tomorrow.")) == ["Yes. I will come tomorrow."]
    assert lines(said("I will come tomorrow. Yes.")) == ["I will come tomorrow. Yes."]


def test_a_short_line_between_pauses_or_speakers_stays_alone() -> None:
    spoken = [*said("We go home now."), *said("No.", 120, "B"), *said("Come with me.", 150)]
    assert lines(spoken) == ["We go home now.", "No.", "Come with me."]


def test_a_long_line_is_divided_at_a_comma_or_a_breath_near_its_middle() -> None:
    long = "if you see him before we do, tell him that nobody knows"
    assert lines(said(long, each=50)) == [
        "if you see him before we do,",
        "tell him that nobody knows",
    ]
    breath = [*said("he went out to"), *said("buy some bread and came", 170), *said("home", 320)]
    unbroken = lines([SpokenWord(w.word, "A") for w in breath])
    assert len(unbroken) == 1
    spoken = [
        *said("one two three four five", each=50),
        *said("six seven eight nine", 280, each=50),
    ]
    assert lines(spoken) == ["one two three four five", "six seven eight nine"]


@pytest.mark.parametrize(
    ("first", "second", "gap", "speaker", "whole"),
    [
        ("Ask not what", "your country can do.", 119, "A", True),
        ("Ask not what", "your country can do.", 120, "A", False),
        ("Ask not what", "your country can do.", 100, "B", False),
        ("Ask them now.", "Your country can wait.", 100, "A", False),
        ("Well...", "Perhaps he can wait.", 100, "A", False),
    ],
    ids=["short pause", "long pause", "another speaker", "ended", "trailed off"],
)
def test_halves_of_a_sentence_are_one_line(
    first: str, second: str, gap: int, speaker: str, whole: bool
) -> None:
    start = 30 * len(first.split()) + gap
    cut = cut_lines([*said(first), *said(second, start, speaker)], RATE, OPTIONS)
    joined = join_sentences(cut, RATE, OPTIONS)
    assert [line.text for line in joined] == (
        [f"{first} {second}"] if whole else [line.text for line in cut]
    )
    assert joined[-1].span.end == cut[-1].span.end
    assert [w for line in joined for w in line.words] == [w for line in cut for w in line.words]


def test_a_whole_sentence_is_never_longer_than_a_line_may_be() -> None:
    cut = cut_lines([*said("Ask not what", each=60), *said("they can do.", 300, each=60)], RATE)
    options = UtteranceOptions(longest_s=4.79, shortest_s=1.0, unfinished_pause_s=2.0)
    assert len(join_sentences(cut, RATE, options)) == 2
    assert len(join_sentences(cut, RATE, replace(options, longest_s=4.8))) == 1


def test_scripts_without_blanks_get_none() -> None:
    spoken = [
        SpokenWord(Word(word.span, text, 1.0), "A")
        for word, text in zip(words("a b c"), ("你好", "世界", "。"), strict=True)
    ]
    (line,) = cut_lines(spoken, RATE, OPTIONS)
    assert line.text == "你好世界。"
    assert texts(line.words) == ["你好", "世界", "。"]


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="shortest_s"):
        UtteranceOptions(shortest_s=6.0, longest_s=10.0)


@st.composite
def spoken_words(draw: st.DrawFn) -> list[SpokenWord]:
    found: list[SpokenWord] = []
    speaker, kind = "A", "speech"
    for word in draw(heard_words()):
        if draw(st.integers(0, 5)) == 0:
            speaker = draw(st.sampled_from("ABC"))
        if draw(st.integers(0, 9)) == 0:
            kind = draw(st.sampled_from(["speech", "song", "foreign", "nonverbal"]))
        found.append(SpokenWord(word, speaker, kind))  # pyright: ignore[reportArgumentType]
    return found


@given(spoken_words())
def test_no_word_is_lost_doubled_or_moved(spoken: list[SpokenWord]) -> None:
    found = cut_lines(spoken, RATE, OPTIONS)
    assert [w for line in found for w in line.words] == [
        Word(s.word.span, s.word.text.strip(), s.word.probability) for s in spoken
    ]
    assert [line.index for line in found] == list(range(len(found)))
    for line in found:
        assert line.text.split() == texts(line.words)
        assert line.span.start == line.words[0].span.start
        assert line.span.end == line.words[-1].span.end
        assert line.source == "asr"


@given(spoken_words())
def test_a_line_has_one_speaker_and_one_kind(spoken: list[SpokenWord]) -> None:
    found = cut_lines(spoken, RATE, OPTIONS)
    whose = [(line.speaker, line.kind) for line in found for _ in line.words]
    assert whose == [(s.speaker, s.kind) for s in spoken]


@given(spoken_words())
def test_lengths_are_kept_wherever_they_can_be(spoken: list[SpokenWord]) -> None:
    found = cut_lines(spoken, RATE, OPTIONS)
    longest, shortest, pause = 4 * RATE, RATE, round(0.7 * RATE)
    for line in found:
        assert line.span.length <= longest or len(line.words) == 1
        assert all(a.span.gap(b.span) < pause for a, b in pairwise(line.words))
    for _, group in groupby(found, key=lambda line: (line.speaker, line.kind)):
        for one, other in pairwise(list(group)):
            could = one.span.gap(other.span) < pause
            whole = other.span.end - one.span.start
            if could and whole <= longest:
                assert min(one.span.length, other.span.length) >= shortest or _parts(
                    one, other, spoken
                )


def _parts(one: Segment, other: Segment, spoken: list[SpokenWord]) -> bool:
    """Whether both are parts of what had to be divided: then no fairer cut was there."""
    starts = [s.word.span.start for s in spoken]
    first = starts.index(one.span.start)
    run_end = first
    while (
        run_end + 1 < len(spoken)
        and spoken[run_end].goes_with(spoken[run_end + 1])
        and spoken[run_end].word.span.gap(spoken[run_end + 1].word.span) < 70
    ):
        run_end += 1
    while (
        first
        and spoken[first - 1].goes_with(spoken[first])
        and spoken[first - 1].word.span.gap(spoken[first].word.span) < 70
    ):
        first -= 1
    return spoken[run_end].word.span.end - spoken[first].word.span.start > 4 * RATE
