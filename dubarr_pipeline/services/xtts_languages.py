"""The languages that XTTS speaks, by their BCP-47 names; needs no library."""

from __future__ import annotations

XTTS_LANGUAGES = tuple("ar cs de en es fr hi hu it ja ko nl pl pt ru tr zh".split())
_MANDARIN = frozenset({"zh", "cmn"})
_MANDARIN_HERE = frozenset({"", "cn", "sg", "hans", "hans-cn", "hans-sg"})


def xtts_language(language: str) -> str | None:
    """The code by which XTTS knows a language, or None where it does not speak it.

    A region is no other language (``es-MX`` is Spanish, in the accent of the voice reference). But
    ``zh-HK``, ``zh-TW`` and ``yue`` are not what it was trained on: they are not served.
    """
    base, _, rest = language.strip().lower().replace("_", "-").partition("-")
    if base in _MANDARIN:
        return "zh-cn" if rest in _MANDARIN_HERE else None
    return base if base in XTTS_LANGUAGES else None
