from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.script.model import Kind, ScriptLine, Word
from dubarr_pipeline.script.recognition.passages import joined
from dubarr_pipeline.script.recognition.respelling import Spelled, spell
from dubarr_pipeline.script.recognition.word_alignment import pair_words
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.recognized_words import RATE, heard_words, texts, words


def piece(text: str, start: int = 0, end: int = 300, kind: Kind = "speech") -> ScriptLine:
    return ScriptLine(0, Span(start, end), text, kind)


def spelled(heard: str, *pieces: ScriptLine) -> Spelled:
    return spell(words(heard), pieces, RATE)


@pytest.mark.parametrize(
    ("heard", "written", "expected"),
    [
        ("i told shaman to wait", "I told Xaman to wait.", "I told Xaman to wait."),
        ("where is john snow now", "Where is Jon Snow now?", "Where is Jon Snow now?"),
        ("ask each tar about it", "Ask Ishtar about it!", "Ask Ishtar about it!"),
        ("we are gonna leave soon", "We are going to leave soon.", "We are gonna leave soon."),
        ("the cat sat on it", "The dog sat on it.", "The cat sat on it."),
        ("well you know we need a boat", "We need a boat.", "well you know We need a boat."),
    ],
    ids=["name", "spelling", "several words", "other words stay", "unlike", "more was said"],
)
def test_names_and_marks_come_from_a_subtitle_that_agrees(
    heard: str, written: str, expected: str
) -> None:
    assert joined(spelled(heard, piece(written)).words) == expected


def test_what_was_changed_is_recorded_and_times_stay() -> None:
    found = spelled("i told shaman to wait", piece("I told Xaman to wait."))
    (edit,) = found.edits
    assert (edit.heard, edit.written, edit.source) == ("shaman", "Xaman", "subtitles")
    assert edit.span == Span(60, 90)
    assert found.taken == (False, False, True, False, False)
    assert [w.span for w in found.words] == [w.span for w in words("a b c d e")]


@pytest.mark.parametrize(
    "written",
    [
        "Nous avons besoin d'un bateau.",
        "Completely different things are told here now.",
        "♪ we need a boat ♪",
    ],
)
def test_a_subtitle_that_says_something_else_changes_nothing(written: str) -> None:
    kind: Kind = "song" if "♪" in written else "speech"
    found = spelled("we need a bout", piece(written, kind=kind))
    assert found == Spelled(words("we need a bout"), (False,) * 4, tuple(range(4)))


def test_the_same_words_elsewhere_in_the_film_are_not_meant() -> None:
    found = spelled("we need a bout", piece("We need a boat.", 5_000, 5_300))
    assert joined(found.words) == "we need a bout"


def test_a_script_in_capitals_gives_letters_but_no_capitals() -> None:
    found = spelled("I told shaman to wait", piece("I TOLD XAMAN TO WAIT."))
    assert joined(found.words) == "I told xaman to wait"


def test_two_pieces_are_judged_each_for_itself() -> None:
    found = spelled(
        "we need a bout and then he laughed at me",
        piece("We need a boat.", 0, 120),
        piece("Everything went wrong yesterday.", 120, 300),
    )
    assert joined(found.words) == "We need a boat. and then he laughed at me"


@given(heard_words())
def test_without_subtitles_every_word_stays(heard: tuple[Word, ...]) -> None:
    assert spell(heard, [], RATE).words == heard


@given(heard_words(25), st.lists(st.sampled_from(["W1", "w2", "w9", "x"]), max_size=25))
def test_times_are_kept_and_every_word_is_paired_once(
    heard: tuple[Word, ...], tokens: list[str]
) -> None:
    end = max([w.span.end for w in heard], default=100) + 1
    written = words(" ".join(tokens), each=max(1, end // max(1, len(tokens))))
    pairs = pair_words(heard, written, 200, 0.6)
    assert [p.heard for p in pairs if p.heard is not None] == list(range(len(heard)))
    assert [p.written for p in pairs if p.written is not None] == list(range(len(written)))
    assert all(p.alike == (p.heard is not None and p.written is not None) for p in pairs)
    found = spell(heard, [piece(" ".join(tokens), 0, end)], RATE)
    assert len(found.taken) == len(found.words) == len(found.origins)
    assert list(found.origins) == sorted(found.origins)
    if heard:
        assert found.words[0].span.start == heard[0].span.start
        assert found.words[-1].span.end == heard[-1].span.end
    starts = [w.span.start for w in found.words]
    assert starts == sorted(starts)


def test_a_film_is_paired_in_proportion_to_its_length() -> None:
    tokens = [f"word{i % 97}" for i in range(9_000)]
    heard = words(" ".join(tokens))
    found = spell(heard, [piece(" ".join(tokens), 0, heard[-1].span.end)], RATE)
    assert texts(found.words) == tokens
