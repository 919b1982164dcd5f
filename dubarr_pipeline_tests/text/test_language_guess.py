from __future__ import annotations

import pytest

from dubarr_pipeline.text.language_guess import UNKNOWN, guess_language

LINES = {
    "en": "I have no idea what you are talking about, but this is not my house.",
    "es": "No sé qué es lo que está pasando, pero esta no es mi casa y tú lo sabes.",
    "ca": "No sé què és això, però aquest no és el meu llit i estic molt cansat amb tot.",
    "fr": "Je ne sais pas ce que c'est, mais il est dans la maison et elle le cherche.",
    "de": "Ich weiß nicht, was das ist, aber du bist hier und wir haben es mit dir gesehen.",
    "pt": "Eu não sei o que você está fazendo, mas isso não é bom para ele e para a gente.",
    "sv": "Jag vet inte vad det är, men vi har en plan och han är på väg till dig.",
    "fi": "Minä en ole se, mitä sinä luulet, mutta nyt on hyvä niin kuin se on.",
}


@pytest.mark.parametrize("language", LINES)
def test_a_few_lines_tell_their_language(language: str) -> None:
    guess = guess_language([LINES[language], LINES[language].upper()])
    assert guess.language == language
    assert guess.confidence > 0.3


@pytest.mark.parametrize(
    ("text", "language", "sure"),
    [
        ("これは私の家ではありません", "ja", True),
        ("这不是我的房子", "zh", True),
        ("이것은 내 집이 아니다", "ko", True),
        ("Αυτό δεν είναι το σπίτι μου", "el", True),
        ("Это не мой дом", "ru", False),
        ("Це не мій дім, але я тут живу", "uk", True),
        ("هذا ليس بيتي", "ar", True),
    ],
)
def test_letters_tell_the_language_and_are_doubted_where_several_share_them(
    text: str, language: str, sure: bool
) -> None:
    guess = guess_language([text] * 4)
    assert guess.language == language
    assert (guess.confidence > 0.8) is sure


@pytest.mark.parametrize(
    ("holds", "named", "wrong"),
    [
        ("en", "es", True),
        ("es", "en", True),
        ("es", "es-419", False),
        ("pt", "pt-BR", False),
        ("ca", "es", True),
        ("sv", "nb", True),
        ("en", None, False),
        ("en", "ast", False),
    ],
)
def test_a_label_is_wrong_only_where_the_text_is_surely_another_language(
    holds: str, named: str | None, wrong: bool
) -> None:
    assert guess_language([LINES[holds]] * 3).contradicts(named) is wrong
    assert not guess_language(LINES[holds].split()[:4]).contradicts(named)


def test_two_languages_in_one_file_contradict_no_label() -> None:
    guess = guess_language([LINES["en"], LINES["es"]] * 200)
    assert guess.confidence < 0.7
    assert not guess.contradicts("de")


def test_languages_that_a_text_does_not_tell_apart_contradict_no_label() -> None:
    text = ["Ne znam šta je to, ali ovo nije moja kuća i ti to dobro znaš."] * 5
    for label in ("hr", "sr-Latn", "bs"):
        assert not guess_language(text).contradicts(label)
    assert guess_language(text).contradicts("sl")


@pytest.mark.parametrize("texts", [[], ["", "♪ 123 —"], ["Xyzzy plugh frobnicate quux"]])
def test_a_text_that_tells_nothing_is_of_no_language(texts: list[str]) -> None:
    guess = guess_language(texts)
    assert (guess.language, guess.confidence) == (UNKNOWN, 0.0)


def test_few_words_are_believed_less_than_many() -> None:
    few, many = guess_language(["no sé qué es"]), guess_language([LINES["es"]] * 5)
    assert few.confidence < many.confidence


def test_reading_stops_at_the_longest_words() -> None:
    texts = [LINES["en"]] * 10 + [LINES["de"]] * 1000
    assert guess_language(texts, 100).language == "en"
    assert guess_language(texts).language == "de"
