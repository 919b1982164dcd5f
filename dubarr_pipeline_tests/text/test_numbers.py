from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from num2words import CONVERTER_CLASSES

from dubarr_pipeline.text.language_tables import POINT_LANGUAGES
from dubarr_pipeline.text.normalize import speakable
from dubarr_pipeline.text.numbers import agreeing, is_spoken, ordinal, words

LANGUAGES = sorted({each.split("_")[0] for each in CONVERTER_CLASSES} - {"kz"} | {"kk", "nb"})
"""What num2words knows, by BCP-47."""


def table() -> list[tuple[str, str, str]]:
    """Language, number as it is written (in Spanish), and the words: read line by line once."""
    lines = Path(__file__).with_name("spoken_numbers.tsv").read_text("utf-8").splitlines()
    header, *rows = (line.split("\t") for line in lines)
    return [(row[0], *case) for row in rows for case in zip(header[1:], row[1:], strict=True)]


def test_every_language_that_is_spoken_has_its_row() -> None:
    assert {row[0] for row in table()} == {each for each in LANGUAGES if is_spoken(each)}
    assert len({case for _, case, _ in table()}) == 13


@pytest.mark.parametrize(("language", "written", "said"), table())
def test_numbers_are_said_as_people_say_them(language: str, written: str, said: str) -> None:
    if language in POINT_LANGUAGES:
        written = written.translate(str.maketrans(".,", ",."))
    assert speakable(f"x {written}", language) == f"x {said}"


@pytest.mark.parametrize("language", [each for each in LANGUAGES if not is_spoken(each)])
@pytest.mark.parametrize("written", ["5", "-5", "1500", "1984", "3.5", "12/05/1984"])
def test_digits_are_left_to_the_voice_where_words_would_be_wrong(
    language: str, written: str
) -> None:
    assert speakable(f"x {written}", language) == f"x {written}".replace("/", " ")


@pytest.mark.parametrize(
    ("language", "written", "said"),
    [
        ("vi", "Năm 1984 rất lạnh.", "Năm một nghìn chín trăm tám mươi bốn rất lạnh."),
        ("vi", "-5 độ", "âm năm độ"),
        ("pl", "-5 stopni", "minus pięć stopni"),
        ("ja", "きっぷは 1500えん", "きっぷは 1500えん"),
        ("ko", "1500원", "천오백 원"),
        ("ko", "1984년", "천구백팔십사 년"),
        ("sl", "1984", "tisoč devetsto štiriinosemdeset"),
        ("nb-NO", "1984", "nitten hundre og åttifire"),
        ("de", "1984 €", "eintausendneunhundertvierundachtzig Euro"),
        ("en", "1500 km", "one thousand, five hundred kilometres"),
    ],
)
def test_years_and_signs_of_other_languages(language: str, written: str, said: str) -> None:
    assert speakable(written, language) == said


@pytest.mark.parametrize(
    ("number", "language", "text"),
    [
        (21, "es", "veintiuno"),
        (21, "es-MX", "veintiuno"),
        (80, "fr", "quatre-vingts"),
        (21, "de", "einundzwanzig"),
        (7, "xx", "7"),
        (10**400, "en", str(10**400)),
    ],
)
def test_a_number_in_words_or_in_digits(number: int, language: str, text: str) -> None:
    assert words(number, language) == text


@pytest.mark.parametrize(
    ("number", "language", "noun", "text"),
    [
        (1, "es", "casa", "una"),
        (21, "es", "libros", "veintiún"),
        (21, "es", "casas", "veintiuna"),
        (2, "ca", "hores", "dues"),
        (2, "ca", "dies", "dos"),
        (1, "es", "día", "un"),
        (21, "es", "de", "veintiuno"),
        (21, "es", "", "veintiuno"),
        (1_000_000, "es", "euros", "un millón de"),
    ],
)
def test_a_cardinal_agrees_with_its_noun(number: int, language: str, noun: str, text: str) -> None:
    assert agreeing(words(number, language), noun, language) == text


@pytest.mark.parametrize(
    ("number", "language", "feminine", "noun", "text"),
    [
        (1, "es", False, "", "primero"),
        (1, "es", False, "piso", "primer"),
        (3, "es", True, "planta", "tercera"),
        (1, "fr", True, "", "première"),
    ],
)
def test_an_ordinal_has_its_gender(
    number: int, language: str, feminine: bool, noun: str, text: str
) -> None:
    assert ordinal(number, language, feminine=feminine, noun=noun) == text


def test_threads_do_not_mix_their_numbers() -> None:
    numbers = list(range(2000, 2100))
    alone = [words(number, "es") for number in numbers]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: words(number, "es"), numbers)) == alone
