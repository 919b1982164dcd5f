"""Codes, titles and file names as BCP-47."""

from __future__ import annotations

import langcodes
import pytest

from dubarr_pipeline.text.languages import (
    base_language,
    closeness,
    display_name,
    language_tag,
    named_language,
    own_name,
    same_language,
)
from dubarr_pipeline.text.tables import read_table


@pytest.mark.parametrize(
    ("code", "title", "expected"),
    [
        ("eng", None, "en"),
        ("en", None, "en"),
        ("ENG", None, "en"),
        ("ger", None, "de"),
        ("deu", None, "de"),
        ("fre", None, "fr"),
        ("chi", None, "zh"),
        ("por", "Português (Brasil)", "pt-BR"),
        ("por", "Brazilian Portuguese", "pt-BR"),
        ("por", "pt-BR", "pt-BR"),
        ("por", "European Portuguese", "pt-PT"),
        ("por", "Português", "pt"),
        ("pt-BR", None, "pt-BR"),
        ("pt_br", None, "pt-BR"),
        ("pt-br", "Portugal", "pt-BR"),
        ("spa", "Latinoamericano", "es-419"),
        ("spa", "Español (Latinoamérica)", "es-419"),
        ("spa", "Castellano", "es-ES"),
        ("spa", "Español", "es"),
        ("fre", "VFQ", "fr-CA"),
        ("fre", "Français (VFF)", "fr-FR"),
        ("chi", "Traditional", "zh-Hant"),
        ("chi", "简体中文", "zh-Hans"),
        ("eng", "SDH", "en"),
        ("eng,fra", None, "en"),
        ("und,fra", None, "fr"),
        ("cat", None, "ca"),
        *(
            (code, None, None)
            for code in ("und", "mul", "mis", "zxx", "qaa", "", None, "xx1", "xyq")
        ),
        *((code, None, None) for code in ("e", "-", "en-", "eng" * 20, "\0\0\0", "a b", "日本")),
    ],
)
def test_codes_and_titles(code: str | None, title: str | None, expected: str | None):
    assert language_tag(code, title) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("en", "en"),
        ("eng", "en"),
        ("English", "en"),
        ("spanish", "es"),
        ("pt-BR", "pt-BR"),
        ("zh-Hans", "zh-Hans"),
        *((word, None) for word in ("approx", "forced", "1080p", "x264", "default", "sdh", "cc")),
        *(
            (word, None)
            for word in (
                "final",
                "foreign",
                "remastered",
                "proper",
                "bluray",
                "remux",
                "cut",
                "web",
                "",
            )
        ),
    ],
)
def test_words_of_file_names(word: str, expected: str | None):
    assert named_language(word) == expected


NAMES = {
    "en": "English inglés ingles anglais Englisch inglese",
    "es": "Spanish español espanol castellano spanisch espagnol",
    "es-419": "latino latinoamericano latam",
    "fr": "français francais french französisch vff",
    "fr-CA": "vfq québécois quebecois",
    "pt": "português portugues portuguese",
    "pt-BR": "brazilian brasileiro pob pt-br ptbr",
    "de": "deutsch german allemand",
    "it": "italiano italian ita",
    "nl": "nederlands dutch dut nld",
    "sv": "svenska swedish",
    "no": "norsk norwegian nor",
    "nb": "bokmål nob",
    "da": "dansk danish",
    "fi": "suomi finnish",
    "pl": "polski polish",
    "cs": "čeština cestina czech cze",
    "sk": "slovenčina slovak slo",
    "hu": "magyar hungarian",
    "ro": "română romana romanian rum",
    "ru": "русский russian",
    "uk": "українська ukrainian",
    "bg": "български bulgarian",
    "el": "ελληνικά greek gre",
    "tr": "türkçe turkce turkish",
    "hr": "hrvatski croatian scr",
    "sr": "srpski serbian scc",
    "sl": "slovenščina slovenian slovene",
    "zh": "中文 chinese chi mandarin",
    "zh-Hans": "简体 chs",
    "zh-Hant": "繁體 cht",
    "ja": "日本語 japanese jpn",
    "ko": "한국어 korean",
    "hi": "हिन्दी hindi",
    "ar": "العربية arabic",
    "he": "עברית hebrew iw heb",
    "fa": "فارسی persian farsi per",
    "th": "ไทย thai",
    "id": "indonesian bahasa in",
    "ca": "catalan català catala",
    "ca-valencia": "valencià valenciano",
    "eu": "basque euskara",
    "gl": "galego galician",
    "is": "icelandic íslenska",
    "et": "estonian eesti",
}


@pytest.mark.parametrize("tag", NAMES)
def test_names_of_languages_in_their_own_and_other_words(tag: str):
    assert {name: named_language(name) for name in NAMES[tag].split()} == dict.fromkeys(
        NAMES[tag].split(), tag
    )


def test_how_close_two_languages_are():
    assert [closeness(tag, "pt-BR") for tag in ("pt-BR", "pt", "pt-PT", "es", None)] == [
        3,
        2,
        1,
        0,
        0,
    ]
    assert closeness("por", "pt") == 3
    assert same_language("pt", "pt-BR")
    assert not same_language("pt", "es")
    assert not same_language(None, None)
    assert [base_language(tag) for tag in ("zh-Hant", "pt-BR", None)] == ["zh", "pt", None]
    assert same_language("nb", "no")


def test_the_names_in_the_table_are_those_of_langcodes() -> None:
    for tag in read_table("dubarr_pipeline.text", "languages")["names"]:
        language = langcodes.Language.get(tag)
        assert (display_name(tag), own_name(tag)) == (language.display_name(), language.autonym())
