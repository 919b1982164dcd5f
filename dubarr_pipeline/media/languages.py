"""What a container, a title or a file name means by a language, as BCP-47."""

from __future__ import annotations

import re
from functools import lru_cache

import langcodes

_NO_LANGUAGE = frozenset({"und", "mul", "mis", "zxx", "unk", "nar"})
_PRIVATE = re.compile(r"^q[a-t][a-z]$")

_THREE_LETTERS = frozenset(
    ("fil", "yue", "cmn", "ast", "haw", "nds", "gsw", "hsb", "sco", "ceb", "kok", "mai", "bho")
)
"""Languages without a two-letter code that subtitle files are named after."""

_VARIANTS: dict[str, tuple[tuple[str, str], ...]] = {
    "pt": (("pt-BR", r"\bpt[-_ ]?br\b|bra[sz]il"), ("pt-PT", r"\bpt[-_ ]?pt\b|europe|portugal")),
    "es": (
        ("es-419", r"\bes[-_ ]?(419|la)\b|latin|latam|am[eé]rica"),
        ("es-ES", r"\bes[-_ ]?es\b|castil|castell|espa[nñ]a|spain|europe"),
        ("es-MX", r"\bes[-_ ]?mx\b|m[eé]xi[ck]"),
    ),
    "fr": (
        ("fr-CA", r"\bfr[-_ ]?ca\b|canad|qu[eé]b|\bvfq\b"),
        ("fr-FR", r"\bfr[-_ ]?fr\b|france|paris|\bvff\b|\btruefrench\b"),
    ),
    "zh": (
        ("zh-Hant", r"hant\b|tradition|\bcht\b|\bbig5\b|繁|taiwan|\btw\b"),
        ("zh-Hans", r"hans\b|simpl|\bchs\b|\bgb\b|简|簡|mainland|\bcn\b"),
    ),
    "en": (
        ("en-GB", r"\ben[-_ ]?gb\b|british|\buk\b"),
        ("en-US", r"\ben[-_ ]?us\b|american"),
    ),
}
"""Region or script that a title names beside a language code that cannot: first match wins."""


def language_tag(code: str | None, title: str | None = None) -> str | None:
    """Return the BCP-47 language that a code (and a track title) stands for, or None.

    ``eng`` is ``en``; ``por`` with the title "Português (Brasil)" is ``pt-BR``; ``und`` is None.
    """
    tag = _standard((code or "").strip().strip("\0"))
    if tag and title and "-" not in tag:
        return _variant(tag, title)
    return tag


def same_language(tag: str | None, other: str | None) -> bool:
    """Whether both are one language, regions apart: ``pt`` and ``pt-BR`` are, ``es`` is another."""
    return bool(tag and other) and _base(tag or "") == _base(other or "")


def closeness(tag: str | None, wanted: str) -> int:
    """How well a language answers a wish: 3 exact, 2 one names no region, 1 other region, 0 not."""
    if not tag or not same_language(tag, wanted):
        return 0
    if _standard(tag) == _standard(wanted):
        return 3
    return 2 if "-" not in tag or "-" not in wanted else 1


def named_language(name: str) -> str | None:
    """Return the language that a word in a file name means (``eng``, ``English``), or None."""
    tag = language_tag(name)
    if not tag and len(name) > 3 and name.isalpha():
        tag = _named(name.casefold())
    # "cut" and "sdh" are languages too, and "remastered" is near one, but not in a file's name.
    usual = tag and (len(tag.partition("-")[0]) == 2 or tag in _THREE_LETTERS)
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


def _variant(tag: str, title: str) -> str:
    for variant, pattern in _VARIANTS.get(tag, ()):
        if re.search(pattern, title, re.IGNORECASE):
            return variant
    return tag


@lru_cache(maxsize=512)
def _base(tag: str) -> str | None:
    base = langcodes.Language.get(tag).prefer_macrolanguage().language
    # Files say "no" where they mean Bokmål.
    return "no" if base == "nb" else base


def base_language(tag: str | None) -> str | None:
    """Return the language without script or region: ``zh`` of ``zh-Hant``, ``no`` of ``nb``."""
    return _base(tag) if tag else None
