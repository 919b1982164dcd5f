from __future__ import annotations

import pytest

from dubarr_pipeline.text.printable import one_line, plain_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ho\0la\x1b[31m, t\u202eú", "Ho la , t ú"),
        ("<i>Hola</i>", "Hola"),
        ("{\\an8}Hola", "Hola"),
        ("[risas] Hola", "Hola"),
        ("**Hola**, __tú__", "Hola, tú"),
        ("می\u200cروم", "می\u200cروم"),
        ("2 < 3 > 1", "2 < 3 > 1"),
        ("línea\r\notra", "línea otra"),
    ],
)
def test_a_models_words_are_words_alone(text: str, words: str) -> None:
    assert plain_words(text) == words


def test_a_strangers_words_are_one_short_printable_line() -> None:
    said = one_line("\x1b]0;title\x07bad\x1b[2J\nERROR fake\u2066 " + "x" * 5_000)
    assert said.startswith("bad ERROR fake xxx")
    assert said.isprintable()
    assert len(said) == 300
