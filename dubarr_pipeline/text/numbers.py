"""Numbers in words, in the gender and form that the following word requires: `numbers.toml`."""

import re
import threading
from collections.abc import Mapping
from typing import Any

from dubarr_pipeline.text.tables import read_table

_ONE_AT_A_TIME = threading.Lock()
"""num2words keeps one converter per language, which is not made for threads."""

_MILLIONS = re.compile(r"\b(?:mill|mili|milh)[oó\w]*$", re.I)


def _table(name: str) -> Any:
    return read_table("dubarr_pipeline.text", "numbers")[name]


def is_spoken(language: str) -> bool:
    """Return whether numbers of a BCP-47 language are put into words; else they stay digits."""
    return language.split("-")[0].lower() in _table("spoken")


def words(number: int, language: str, form: str = "cardinal") -> str:
    """Put a number into words (cardinal, ordinal or year); digits where none are known."""
    base = language.split("-")[0].lower()
    if base not in _table("spoken"):
        return str(number)
    if number < 0:
        return f"{minus(language)} {words(-number, language)}"
    asked = "cardinal" if form == "year" and base not in _table("by_hundreds") else form
    return _converted(number, language, asked) or _converted(number, language) or str(number)


def minus(language: str) -> str:
    """Return the word for minus of a language whose numbers are spoken."""
    known: str | None = _table("minus").get(language.split("-")[0].lower())
    return known or _converted(-1, language).removesuffix(_converted(1, language)).strip() or "-"


def point(language: str) -> str:
    """Return the word between the whole part of a number and its decimals."""
    from num2words import CONVERTER_CLASSES

    base = language.split("-")[0].lower()
    return _table("points").get(base) or str(CONVERTER_CLASSES[_code(language)].pointword)


def _code(language: str) -> str:
    from num2words import CONVERTER_CLASSES

    base, _, region = language.partition("-")
    base = _table("codes").get(base.lower(), base.lower())
    return f"{base}_{region}" if f"{base}_{region}" in CONVERTER_CLASSES else base


def _converted(number: int, language: str, form: str = "cardinal") -> str:
    """Return what num2words makes of a number; empty if it fails, in whatever way."""
    from num2words import num2words  # 35 ms, and only where digits occur

    with _ONE_AT_A_TIME:
        try:
            said = str(num2words(number, lang=_code(language), to=form))
        # Each language is a converter of its own: they raise what they like.
        except Exception:
            return ""
    wrong, right = _table("repairs").get(language.split("-")[0].lower(), ("", ""))
    return re.sub(wrong, right, said)


def _rules(language: str) -> Mapping[str, Any]:
    return _table("languages").get(language.split("-")[0], {})


def ordinal(number: int, language: str, *, feminine: bool = False, noun: str = "") -> str:
    """Return an ordinal in its gender; in Spanish short before a masculine noun ("primer piso")."""
    said = words(number, language, "ordinal")
    if feminine:
        for ending, other in _rules(language).get("ordinals", ()):
            said = re.sub(ending, other, said)
    elif noun and language.split("-")[0] == "es":
        said = re.sub(r"\b(primer|tercer)o$", r"\1", said)
    return said


def agreeing(said: str, noun: str, language: str) -> str:
    """Inflect a cardinal for its noun, whose first word counts: "una casa", "dues hores"."""
    base = language.split("-")[0]
    noun = noun.split(" ")[0]
    if (
        not noun
        or noun.casefold() in _table("not_counted")
        or (base == "de" and not noun[:1].isupper())
    ):
        return said
    rules = _rules(language)
    ending = rules.get("feminine")
    masculine = re.match(rf"^(?:{'|'.join(_table('masculine'))})$", noun, re.I)
    feminine = bool(ending and re.search(ending, noun)) and not masculine
    if _MILLIONS.search(said) and "millions" in rules:
        return f"{said} {rules['millions']}"
    for ending, masculine, other in rules.get("cardinals", ()):
        said = re.sub(ending, other if feminine else masculine, said)
    return said
