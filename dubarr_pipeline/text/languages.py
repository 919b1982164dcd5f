"""Languages as containers, titles and file names write them (`languages.toml`), as BCP-47."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import langcodes
from langcodes.tag_parser import LanguageTagError

from dubarr_pipeline.errors import LanguageError
from dubarr_pipeline.text.tables import read_table

_NO_LANGUAGE = frozenset({"und", "mul", "mis", "zxx", "unk", "nar"})
_PRIVATE = re.compile(r"^q[a-t][a-z]$")

_THREE_LETTERS = frozenset(
    ("fil", "yue", "cmn", "ast", "haw", "nds", "gsw", "hsb", "sco", "ceb", "kok", "mai", "bho")
)
"""Languages without a two-letter code that subtitle files are named after."""


def _table(name: str) -> Mapping[str, Any]:
    return read_table("dubarr_pipeline.text", "languages")[name]


def language_tag(code: str | None, title: str | None = None) -> str | None:
    """Return the BCP-47 language that a code (and a track title) stands for, or None.

    ``eng`` is ``en``; ``por`` with the title "Português (Brasil)" is ``pt-BR``; ``und`` is None. Of
    several that a broadcast names (``eng,fra``) the first counts.
    """
    codes = (each.strip().strip("\0") for each in (code or "").split(","))
    tag = next(filter(None, map(_standard, codes)), None)
    if tag and title and "-" not in tag:
        for variant, pattern in _table("variants").get(tag, {}).items():
            if re.search(pattern, title, re.IGNORECASE):
                return variant
    return tag


def same_language(tag: str | None, other: str | None) -> bool:
    """Return whether both are one language, regions apart: ``pt`` and ``pt-BR``, not ``es``."""
    return bool(tag and other) and base_language(tag) == base_language(other)


def closeness(tag: str | None, wanted: str) -> int:
    """Rate a language against a request: 3 exact, 2 one has no region, 1 other region, 0 none."""
    if not tag or not same_language(tag, wanted):
        return 0
    if _standard(tag) == _standard(wanted):
        return 3
    return 2 if "-" not in tag or "-" not in wanted else 1


def named_language(name: str) -> str | None:
    """Return the language that a word in a file name means (``eng``, ``English``), or None."""
    tag = _table("plain_names").get(name.casefold()) or language_tag(name)
    # Short words of other alphabets are names ("中文"), and vowel signs are no letters ("हिन्दी").
    foreign = len(name) > 1 and not name.isascii()
    if not tag and (foreign or (len(name) > 3 and name.isalpha())):
        tag = _named(name.casefold())
    # "cut" and "sdh" are languages too, and "remastered" is near one, but not in a file's name.
    usual = tag and (len(tag.partition("-")[0]) == 2 or tag in _THREE_LETTERS)
    # Neither is "br-rip" a dialect.
    usual = usual and not re.search(r"-[a-z]{3}\b", tag or "")
    return tag if usual else None


@lru_cache(maxsize=512)
def _named(name: str) -> str | None:
    try:
        return langcodes.find(name).to_tag()
    except LookupError:
        return None


@lru_cache(maxsize=512)
def _standard(code: str) -> str | None:
    if not re.fullmatch(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}", code):
        return None
    if code[:3].lower() in _NO_LANGUAGE or _PRIVATE.match(code.lower()):
        return None
    try:
        tag = langcodes.standardize_tag(code.replace("_", "-"))
        return tag if langcodes.Language.get(tag).is_valid() else None
    except ValueError:
        return None


@lru_cache(maxsize=512)
def base_language(tag: str | None) -> str | None:
    """Return the language without script or region: ``zh`` of ``zh-Hant``, ``no`` of ``nb``."""
    base = langcodes.Language.get(tag).prefer_macrolanguage().language if tag else None
    # Files say "no" where they mean Bokmål.
    return "no" if base == "nb" else base


def parse_languages(text: str) -> tuple[str, ...]:
    """Return the target languages of ``"es,ca"``, each once, or raise `LanguageError`."""
    tags = [standard_tag(part) for part in text.split(",") if part.strip()]
    if not tags:
        raise LanguageError("no target language: name one or more, e.g. --to es,ca")
    return tuple(dict.fromkeys(tags))


def standard_tag(text: str) -> str:
    """Return a language as BCP-47 (``spa`` → ``es``), or raise `LanguageError` if none exists."""
    try:
        tag = langcodes.standardize_tag(text.strip().replace("_", "-"))
    except LanguageTagError:
        tag = ""
    if not tag or tag == "und" or not langcodes.tag_is_valid(tag):
        raise LanguageError(
            f"unknown language {text.strip()!r}: use a BCP-47 tag such as es, ca, pt-BR or zh-Hans"
        )
    return tag


def own_name(tag: str) -> str:
    """Return the language's name in its own words, for viewers: ``es-419`` → ``español (...)``."""
    if tag in (names := _table("names")):
        return names[tag][1]
    language = langcodes.Language.get(tag)
    found: str = _table("own_names").get(tag) or language.autonym()
    if language.language == "en" or found != language.display_name():
        return found
    # Without a name of the region in the language itself, the language's must do.
    return langcodes.Language.get(language.language or tag).autonym()


def display_name(tag: str) -> str:
    """Return the language's name in English, for messages: ``es`` → ``Spanish``."""
    names = _table("names").get(tag)
    return names[0] if names else langcodes.Language.get(tag).display_name()
