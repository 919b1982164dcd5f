"""Numbers in words, in the gender and the form that the word after them asks for."""

from __future__ import annotations

import re
import threading

_ONE_AT_A_TIME = threading.Lock()
"""num2words keeps one converter per language, which is not made for threads."""

_NO_NOUNS = frozenset(
    "de del d y e i o u a al en por para con que es son fue era no se ni per amb em com às as até "
    "und oder im in von am zu da di che il la le los las els les os".split()
)
"""Words after a number that are not what it counts."""
_FEMININE = {
    "es": re.compile(r"(?:as?|ción|ciones|dad|dades|tud)$"),
    "ca": re.compile(r"(?:a|es|ció|cions|tat|tats)$"),
    "pt": re.compile(r"(?:as?|ção|ções|dade|dades|gem|gens)$"),
    "it": re.compile(r"(?:a|zione|tà)$"),
    "de": re.compile(r"(?:e|ung|heit|keit|schaft|ion|frau)$"),
}
"""Endings of nouns that are nearly always feminine."""
_MASCULINE = re.compile(
    r"^(?:d[ií]as?|dies?|mapas?|\w+(?:emas?|omas?)|planetas?|poetas?|homes|papas?|"
    r"gl?obes|anys|mesos|metres|diners|quilòmetres|euros|Name|Junge|Käse|Kilometer)$",
    re.I,
)
_AGREEMENTS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "es": (
        (r"veintiuno$", "veintiún", "veintiuna"),
        (r"\buno$", "un", "una"),
        (r"cientos\b", "cientos", "cientas"),
        (r"quinientos\b", "quinientos", "quinientas"),
    ),
    "ca": (
        (r"\bu$", "un", "una"),
        (r"\bun$", "un", "una"),
        (r"\bdos\b", "dos", "dues"),
        (r"-cents\b", "-cents", "-centes"),
    ),
    "pt": (
        (r"\bum$", "um", "uma"),
        (r"\bdois$", "dois", "duas"),
        (r"entos\b", "entos", "entas"),
    ),
    "it": ((r"^uno$", "un", "una"),),
    "de": ((r"^eins$", "ein", "eine"),),
}
"""Ends of number words -> before a masculine and before a feminine noun."""
_MILLIONS = re.compile(r"\b(?:mill|mili|milh)[oó\w]*$", re.I)
_OF = {"es": "de", "ca": "de", "pt": "de", "fr": "de", "it": "di"}
"""What stands between whole millions and what they count."""
_FEMININE_ORDINALS = {
    "es": ((r"o\b", "a"),),
    "pt": ((r"o\b", "a"),),
    "it": ((r"o$", "a"),),
    "fr": ((r"^premier$", "première"),),
    "ca": ((r"è$", "ena"), (r"(?<=[rnt])$", "a")),
}


def words(number: int, language: str, form: str = "cardinal") -> str:
    """A number in words; in digits where num2words does not know the language or the number."""
    from num2words import CONVERTER_CLASSES, num2words  # 35 ms, and only where digits occur

    name = language.replace("-", "_")
    name = name if name in CONVERTER_CLASSES else name.split("_")[0]
    if name not in CONVERTER_CLASSES:
        return str(number)
    with _ONE_AT_A_TIME:
        try:
            return str(num2words(number, lang=name, to=form))
        except (NotImplementedError, OverflowError, ValueError, KeyError, IndexError, TypeError):
            return str(number) if form == "cardinal" else str(num2words(number, lang=name))


def ordinal(number: int, language: str, *, feminine: bool = False, noun: str = "") -> str:
    """An ordinal: of its gender, and in Spanish short before a masculine noun ("primer piso")."""
    base = language.split("-")[0]
    said = words(number, language, "ordinal")
    if feminine:
        for ending, other in _FEMININE_ORDINALS.get(base, ()):
            said = re.sub(ending, other, said)
    elif noun and base == "es":
        said = re.sub(r"\b(primer|tercer)o$", r"\1", said)
    return said


def agreeing(said: str, noun: str, language: str) -> str:
    """A cardinal in words as it stands before a noun: "una casa", "veintiún libros", "dues hores".

    Args:
        said: the number alone.
        noun: what it counts, or empty; only its first word is looked at.
        language: BCP-47.
    """
    base = language.split("-")[0]
    noun = noun.split(" ")[0]
    if not noun or noun.casefold() in _NO_NOUNS or (base == "de" and not noun[:1].isupper()):
        return said
    pattern = _FEMININE.get(base)
    feminine = bool(pattern and pattern.search(noun)) and not _MASCULINE.match(noun)
    if _MILLIONS.search(said) and base in _OF:
        return f"{said} {_OF[base]}"
    for ending, masculine, other in _AGREEMENTS.get(base, ()):
        said = re.sub(ending, other if feminine else masculine, said)
    return said
