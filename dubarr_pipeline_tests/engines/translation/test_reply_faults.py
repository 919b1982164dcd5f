from __future__ import annotations

import pytest

from dubarr_pipeline.engines.translation.reply_faults import find_fault, keeps_term, terms_in
from dubarr_pipeline.timeline.script import Context, Term

LINE = "What is the name of the man that you have seen?"


@pytest.mark.parametrize(
    ("text", "target", "fault"),
    [
        ("¿Cómo se llama el hombre que has visto?", "es", None),
        ("Com es diu l'home que has vist?", "ca", None),
        ("Как зовут человека?", "ru", None),
        ("Как зовут human being человека?", "ru", None),
        ("あの人の名前は?", "ja", None),
        ("那个人叫什么名字?", "zh", None),
        ("", "es", "empty"),
        ("...!", "es", "empty"),
        (LINE, "es", "echo"),
        (LINE.upper() + "!", "es", "echo"),
        ("Как зовут человека?", "es", "wrong_script"),
        ("¿Cómo se llama?", "ru", "wrong_script"),
        ("Tell me the name of the man that you saw with her", "es", "wrong_language"),
        ("el hombre " * 60, "es", "runaway"),
    ],
)
def test_faults_of_a_translation(text: str, target: str, fault: str | None) -> None:
    assert find_fault(text, LINE, ("en", target)) == fault


@pytest.mark.parametrize("text", ["Marlowe!", "Taxi!", "John Marlowe.", "OK", "No."])
def test_names_and_exclamations_may_stay(text: str) -> None:
    assert find_fault(text, text, ("en", "es")) is None


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Vamos a la Comarca.", True),
        ("Vamos a las comarcas.", True),
        ("Vamos al pueblo.", False),
    ],
)
def test_glossary_words_must_stand_but_may_be_inflected(text: str, kept: bool) -> None:
    term = Term("Shire", "place", {"es": "Comarca"})
    assert keeps_term(text, term, "es") is kept
    fault = find_fault(text, "To the Shire!", ("en", "es"), (term,))
    assert fault == (None if kept else "broken_term")


def test_a_name_without_a_translation_stays_as_it_is() -> None:
    term = Term("Frodo", "name")
    assert keeps_term("¡Corre, Frodo!", term, "es")
    assert not keeps_term("¡Corre, hobbit!", term, "es")


def test_terms_are_found_as_whole_words() -> None:
    context = Context("", "", glossary=(Term("ring", "noun"), Term("C++", "name")))
    assert terms_in("The RING is here", context) == (context.glossary[0],)
    assert terms_in("Bring it in C++.", context) == (context.glossary[1],)
