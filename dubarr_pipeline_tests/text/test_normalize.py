from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dubarr_pipeline.segments.takes import clauses
from dubarr_pipeline.text.normalize import speakable


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("en", "I have 3 dogs.", "I have three dogs."),
        ("en", "1,234 people", "one thousand, two hundred and thirty-four people"),
        ("en", "3.14", "three point one four"),
        ("en", "In 1984.", "In nineteen eighty-four."),
        ("en", "the 21st", "the twenty-first"),
        ("en", "$5 and $1", "five dollars and one dollar"),
        ("en", "at 10:30", "at ten thirty"),
        ("en", "on 3/4/2024", "on March fourth, twenty twenty-four"),
        ("en-GB", "on 3/4/2024", "on April third, twenty twenty-four"),
        ("en", "call 12345678", "call one two three four five six seven eight"),
        ("en", "-5 °C", "minus five degrees Celsius"),
        ("en", "Mr. Smith & Co", "Mister Smith and Co"),
        ("en", "5 km, 1 km", "five kilometres, one kilometre"),
        ("es", "1.234,5 €", "mil doscientos treinta y cuatro coma cinco euros"),
        ("es", "El Sr. García", "El señor García"),
        ("es", "1 km", "un kilómetro"),
        ("es-MX", "el 2.º piso", "el segundo piso"),
        ("ca", "20% dels 3 nens", "vint per cent dels tres nens"),
        ("fr", "le 1/5/2020", "le premier mai deux mille vingt"),
        ("fr", "Mme Curie", "madame Curie"),
        ("de", "um 20:15 Uhr", "um zwanzig Uhr fünfzehn"),
        ("pt-BR", "3 horas", "três horas"),
        ("ru", "3 кота", "три кота"),
        ("es", "2024-13-40", "dos mil veinticuatro-trece-cuarenta"),
    ],
)
def test_numbers_and_signs_are_written_out(language: str, text: str, said: str) -> None:
    assert speakable(text, language) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("♪ <i>Hello</i> ♪", "Hello"),
        ('"Wait" 😀', "Wait"),
        ("- Hi. - Bye", "Hi. Bye"),
        ("Well… I", "Well, I"),
        ("Well...", "Well."),
        ("What?!", "What?"),
        ("No!!!", "No!"),
        ("It\u2019s", "It's"),
        ("one — two", "one, two"),
        ("a\x00b\u200bc", "abc"),
        ("...", ""),
        ("   ", ""),
    ],
)
def test_what_no_voice_can_say_is_taken_out(text: str, said: str) -> None:
    assert speakable(text, "en") == said


@given(st.text(max_size=80), st.sampled_from(["en", "es", "ca", "fr", "de", "zh", "xx"]))
@example("㈠ one, \u0980 and \u02ad", "en")
def test_any_text_comes_out_clean(text: str, language: str) -> None:
    said = speakable(text, language)
    assert said == " ".join(said.split())
    assert not set(said) & set('♪"<>*_\\{}[]()«»“”')


@given(st.integers(0, 10**15), st.sampled_from(["en", "es", "ca", "fr", "de", "it", "pt", "ru"]))
def test_no_ascii_digit_is_left(number: int, language: str) -> None:
    said = speakable(f"x {number} y", language)
    assert not any(c.isdigit() for c in said)
    assert said.startswith("x ")
    assert said.endswith(" y")


@given(st.text(st.sampled_from("ab ,.;。、"), max_size=120), st.integers(1, 30))
def test_clauses_keep_every_character_within_the_limit(text: str, limit: int) -> None:
    parts = clauses(text, limit)
    assert all(0 < len(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("limit", "parts"),
    [
        (60, ("One, two. Three four; five six.",)),
        (31, ("One, two. Three four; five six.",)),
        (30, ("One, two.", "Three four; five six.")),
        (20, ("One, two.", "Three four;", "five six.")),
        (5, ("One,", "two.", "Three", "four;", "five", "six.")),
    ],
)
def test_cuts_lie_where_a_speaker_breathes(limit: int, parts: tuple[str, ...]) -> None:
    assert clauses("One, two. Three four; five six.", limit) == parts


def test_a_limit_must_leave_room() -> None:
    with pytest.raises(ValueError, match="0 characters"):
        clauses("x", 0)


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("es", "Se llama Владимир.", "Se llama Vladimir."),
        ("es", "Vive en 北京.", "Vive en BeiJing."),
        ("pl", "José Ελένη", "José Eleni"),
        ("ru", "Я в 北京 и в Paris.", "Я в BeiJing и в Paris."),
        ("sr", "Здраво, zdravo", "Здраво, zdravo"),
        ("ja", "東京タワー", "東京タワー"),
        ("ko", "서울 東京", "서울 東京"),
        ("zh", "我在北京", "我在北京"),
        ("or", "ନମସ୍କାର", "ନମସ୍କାର"),
        ("ar", "السلام", "السلام"),
        ("hi", "नमस्ते", "नमस्ते"),
    ],
)
def test_letters_that_the_voice_cannot_read_are_transliterated(
    language: str, text: str, said: str
) -> None:
    assert speakable(text, language) == said


def test_words_of_most_languages_need_no_table_of_their_names():
    """That of langcodes takes 27 MB."""
    said = "import sys; from dubarr_pipeline.text.normalize import speakable; "
    said += "speakable('Señor Müller', 'es'), speakable('Мир и Müller', 'ru'); "
    said += "print('language_data' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", said], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "False\n"
