from __future__ import annotations

import grp
from pathlib import Path

import pytest

from dubarr_pipeline.text.printable import install_cure, one_line, plain_words


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


@pytest.mark.parametrize(
    ("user", "groups", "cure"),
    [
        (0, [0], "apt-get install ffmpeg mkvtoolnix"),
        (1000, [27], "sudo apt-get install ffmpeg mkvtoolnix"),
        (1000, [1000], "ask your administrator to run `apt-get install ffmpeg mkvtoolnix`"),
    ],
)
def test_a_cure_is_one_that_the_user_may_do(
    user: int, groups: list[int], cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr("os.getgroups", lambda: groups)
    sudo = grp.struct_group(("sudo", "x", 27, []))
    monkeypatch.setattr("grp.getgrall", lambda: [sudo])
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert install_cure("ffmpeg", "mkvtoolnix") == cure
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert "ffmpeg mkvtoolnix with your system's package manager" in install_cure(
        "ffmpeg", "mkvtoolnix"
    )
