from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.engines.translation.apertium import phrasebook, set_phrase
from dubarr_pipeline.engines.translation.apertium_text import (
    Name,
    is_echo,
    is_shouted,
    opening_marks,
    plain_sentences,
    plainer_wording,
    polish,
    protect_names,
    restore_names,
    sentences,
    shorter_wording,
)
from dubarr_pipeline.text.tables import read_table


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("- I\u2019m  here\u2026", "I'm here..."),
        ("♪ la la ♪", "la la"),
        ("WHO ARE YOU? I AM MARK.", "Who are you? I am mark."),
        ("FBI!", "FBI!"),
        ("I gotta go, 'cause Mom's here", "I have to go, because Mom's here"),
        ("Gonna rain.....", "Going to rain..."),
        ("He's gone. What's that?", "He has gone. What is that?"),
        ("Wait\u2014", "Wait..."),
        ("one\ntwo\u00a0three", "one two three"),
        ("\u201cStop\u201d", '"Stop"'),
        ("*now*", "now"),
    ],
)
def test_subtitle_text_becomes_plain_sentences(text: str, plain: str) -> None:
    assert plain_sentences(text, "en") == plain


@pytest.mark.parametrize(
    ("text", "shouted"),
    [("GET OUT", True), ("Get OUT", False), ("USA", False), ("I A", False), ("", False)],
)
def test_shouting_is_more_than_one_word_in_capitals(text: str, shouted: bool) -> None:
    assert is_shouted(text) is shouted


@given(st.text(max_size=60))
def test_making_text_plain_twice_changes_nothing_more(text: str) -> None:
    once = plain_sentences(text, "es")
    assert plain_sentences(once, "es") == once
    assert "\n" not in once
    assert "\0" not in once


@pytest.mark.parametrize(
    ("plain", "marked"),
    [
        ("Qué hora es?", "¿Qué hora es?"),
        ("Bien, qué te trae aquí?", "Bien, ¿qué te trae aquí?"),
        ("No! Quién eres? Vete.", "¡No! ¿Quién eres? Vete."),
        ('"Para!"', '"¡Para!"'),
        ("¿Ya está?", "¿Ya está?"),
        ("Hola.", "Hola."),
        ("", ""),
    ],
)
def test_spanish_opens_questions_and_exclamations(plain: str, marked: str) -> None:
    assert opening_marks(plain) == marked


@given(st.text(alphabet="ab ¿?¡!.,", max_size=30))
def test_opening_marks_only_adds_marks(text: str) -> None:
    bare = str.maketrans("", "", "¿¡")
    assert opening_marks(text).translate(bare) == text.translate(bare)


@given(st.text(alphabet='abM .!?…"', max_size=40))
def test_sentences_lose_nothing(text: str) -> None:
    assert "".join(sentences(text)) == text


@pytest.mark.parametrize(
    ("text", "count"), [("Mr. Smith is here. So?", 2), ("3.5 m.", 1), ("...and so", 1), ("", 0)]
)
def test_sentences_end_at_their_marks(text: str, count: int) -> None:
    assert len(sentences(text)) == count


def test_polishing_sets_spaces_and_capitals() -> None:
    assert polish(" la casa d'Anna , Anna . hola !", "ca", "Anna") == "La casa d'Anna, Anna. Hola!"
    assert polish("la casa", "es", "the house") == "la casa"


def test_names_are_exchanged_and_restored_longest_first() -> None:
    names = [Name("Mark", "Marcos"), Name("Mark Twain", "Mark Twain"), Name("Ann", "Ana", "female")]
    text, stands = protect_names("Mark Twain and Mark met Ann, marking time.", names)
    assert "Mark" not in text
    assert "marking time" in text
    assert restore_names(text, stands) == "Mark Twain and Marcos met Ana, marking time."
    female = next(stand for stand, name in stands.items() if name == "Ana")
    stand_ins = read_table("dubarr_pipeline.engines.translation", "apertium")["stand_ins"]
    assert female in stand_ins["female"]["vowel"]


def test_a_lost_name_is_noticed() -> None:
    _, stands = protect_names("Mark is here.", [Name("Mark", "Mark")])
    assert restore_names("He is here.", stands) is None


def test_stand_ins_are_never_names_of_the_line_itself() -> None:
    text, stands = protect_names("Daniel knows Mark.", [Name("Mark", "Mark")])
    assert "Daniel" not in stands
    assert restore_names(text, stands) == "Daniel knows Mark."


@given(st.lists(st.sampled_from(["Mark", "Rose", "Will", "Ann", "Bob", "Zed", "Kim"]), max_size=9))
def test_as_many_names_as_there_are_come_back(said: list[str]) -> None:
    text = " and ".join(said)
    guarded, stands = protect_names(text, [Name(name, name) for name in sorted(set(said))])
    assert restore_names(guarded, stands) == text


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Well, you know, I am tired.", "I am tired."),
        ("You are coming, right?", "You are coming."),
        ("Come here, Mark!", "Come here!"),
        ("Well done.", None),
        ("Well, Mark.", None),
        ("I am here.", None),
    ],
)
def test_fillers_are_dropped_where_something_is_left(text: str, short: str | None) -> None:
    assert shorter_wording(text, "en", [Name("Mark", "Mark")]) == short


@pytest.mark.parametrize(
    ("source", "translation", "echo"),
    [
        ("I am here now", "I am here now!", True),
        ("Anna Smith called Bob", "Anna Smith called Bob", True),
        ("Radio Tirana", "Radio Tirana", False),
        ("1 2 3 4", "1 2 3 4", False),
        ("Mark Mark Mark", "Mark, Mark, Mark", False),
        ("I am here now", "Estoy aquí ahora", False),
    ],
)
def test_echoes(source: str, translation: str, echo: bool) -> None:
    assert is_echo(source, translation, [Name("Mark", "Mark")]) is echo


@pytest.mark.parametrize(
    ("sentence", "spanish"),
    [
        ("Let's go!", "Vámonos!"),
        ("LET'S GO, Mark...", "Vámonos, Mark..."),
        ("Come on, let's go.", "Vamos, vámonos."),
        ('"Stop!"', "Para!"),
        ("Yes, sir.", "Sí, señor."),
        ("Let's go home.", None),
        ("...", None),
        ("", None),
    ],
)
def test_set_phrases_are_looked_up_whole(sentence: str, spanish: str | None) -> None:
    assert set_phrase(sentence, "en", "es") == spanish


def test_no_phrasebook_is_no_phrase() -> None:
    assert set_phrase("Let's go!", "en", "fr") is None
    assert set_phrase("Let's go!", "tlh", "es") is None


@pytest.mark.parametrize("target", ["es", "ca"])
def test_the_phrasebook_has_every_phrase_once_in_every_language(target: str) -> None:
    book = phrasebook("en", target)
    assert len(book) > 100
    assert all(phrase == phrase.casefold().strip() for phrase in book)
    assert all(found and not found.endswith((".", "?", "!")) for found in book.values())


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("I've been alone for as long as I can remember.", "I've been alone all my life."),
        ("In order to win, we have got to run right now.", "To win, we must run now."),
        ("All of the houses, each and every one.", "All the houses, every one."),
        ("As soon as he comes, we are able to go.", "When he comes, we can go."),
        ("We run.", None),
        ("The border to the land.", None),
    ],
)
def test_roundabout_phrases_in_fewer_words(text: str, plain: str | None) -> None:
    assert plainer_wording(text, "en") == plain
    assert plainer_wording(text, "fi") is None
