from __future__ import annotations

import pytest

from dubarr_pipeline.engines.translation.reply_checks import find_fault, keeps_term, terms_in
from dubarr_pipeline.script.model import Context, Term

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


@pytest.mark.parametrize(
    ("name", "text", "kept"),
    [
        ("Captain Reed", "¡Capitán Reed!", True),
        ("Dr. Holmes", "Buenos días, doctor Holmes.", True),
        ("Miss Moneypenny", "Señorita Moneypenny, por favor.", True),
        ("Captain Reed", "¡Capitán!", False),
        ("Captain", "¡Mi capitán!", True),
        ("Queenie", "Buenos días, reina.", False),
        ("Lord Major Vane", "El señor Vane.", True),
    ],
)
def test_ranks_and_titles_are_no_part_of_a_name_that_must_stay(
    name: str, text: str, kept: bool
) -> None:
    assert keeps_term(text, Term(name, "name"), "es") is kept


def test_terms_are_found_as_whole_words() -> None:
    context = Context("", "", glossary=(Term("ring", "noun"), Term("C++", "name")))
    assert terms_in("The RING is here", context) == (context.glossary[0],)
    assert terms_in("Bring it in C++.", context) == (context.glossary[1],)


@pytest.mark.parametrize(
    ("text", "source_text", "languages", "fault"),
    [
        ("OK.", "OK.", ("en", "ru"), None),
        ("1984", "1984", ("en", "ja"), None),
        ("12:30.", "12:30.", ("en", "zh"), None),
        ("James Bond.", "James Bond.", ("en", "ru"), None),
        ("FBI, NASA", "FBI, NASA", ("en", "zh"), None),
        (
            "Он работает в FBI, CNN и NASA.",
            "He works at the FBI, CNN and NASA.",
            ("en", "ru"),
            None,
        ),
        ("Masha is at home, Ivan.", "Masha is home, Ivan.", ("en", "ru"), "wrong_script"),
        ("サラ!", "Sarah!", ("en", "ja"), None),
        ("このようなことは", "It is like this", ("en", "zh"), "wrong_script"),
        ("No, no, no, no!", "No, no, no, no!", ("en", "es"), None),
        ("No, no, no!", "No, no, no!", ("es", "ca"), None),
        ("New York, New York.", "New York, New York.", ("en", "es"), None),
        ("The Office", "The Office", ("en", "es"), "echo"),
        ("I am Iron Man.", "I am Iron Man.", ("en", "es"), "echo"),
        ("Está en casa.", "Está en casa.", ("es", "ca"), "echo"),
        ("Sí, la casa és aquí.", "Sí, la casa es aquí.", ("es", "ca"), None),
        (
            "La porta és oberta i la casa és buida, no hi ha res.",
            "La puerta está abierta y la casa está vacía, no hay nada.",
            ("es", "ca"),
            None,
        ),
        (
            "La puerta está abierta y no hay nada en la casa de mi madre.",
            "La puerta está cerrada y hay algo.",
            ("es", "ca"),
            "wrong_language",
        ),
        ("No es pot fer res, ja ho saps, Marta.", "No se puede hacer nada.", ("es", "ca"), None),
        ("Eu não sei o que é isso, não é para você.", "No sé qué es eso.", ("es", "pt"), None),
        ("hola casa " * 22, "短" * 45, ("zh", "es"), None),
        ("hola casa " * 60, "短" * 45, ("zh", "es"), "runaway"),
    ],
)
def test_close_languages_other_scripts_and_what_may_rightly_stay(
    text: str, source_text: str, languages: tuple[str, str], fault: str | None
) -> None:
    assert find_fault(text, source_text, languages) == fault


@pytest.mark.parametrize(
    ("text", "term", "target", "kept"),
    [
        ("Die Häuser sind leer.", Term("house", "noun", {"de": "Haus"}), "de", True),
        ("Los dragones vuelan.", Term("dragon", "noun", {"es": "dragón"}), "es", True),
        ("Я не вижу Ивана.", Term("Ivan", "name", {"ru": "Иван"}), "ru", True),
        ("Я не вижу Петра.", Term("Ivan", "name", {"ru": "Иван"}), "ru", False),
        ("Я видел Синтел.", Term("Sintel", "name"), "ru", True),
        ("光剑很亮。", Term("lightsaber", "noun", {"zh": "光剑"}), "zh", True),
        ("那把剑很亮。", Term("lightsaber", "noun", {"zh": "光剑"}), "zh", False),
        ("El rey ha muerto.", Term("king", "noun", {"es": "monarca"}), "es", False),
    ],
)
def test_inflected_transliterated_and_unspaced_terms(
    text: str, term: Term, target: str, kept: bool
) -> None:
    assert keeps_term(text, term, target) is kept
