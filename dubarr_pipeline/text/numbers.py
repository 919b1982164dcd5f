"""Numbers in words, in the gender and form that the following word requires: `numbers.toml`."""

import re
import threading
from collections.abc import Mapping
from typing import Any

from dubarr_pipeline.text.tables import read_table

_ONE_AT_A_TIME = threading.Lock()
"""num2words keeps one converter per language, which is not made for threads."""

_NO_NOUNS = frozenset(
    "de del d y e i o u a al en por para con que es son fue era no se ni per amb em com às as até "
    "und oder im in von am zu da di che il la le los las els les os".split()
)
"""Words after a number that are not what it counts."""
_MASCULINE = re.compile(
    r"^(?:d[ií]as?|dies?|mapas?|\w+(?:emas?|omas?)|planetas?|poetas?|homes|papas?|"
    r"gl?obes|anys|mesos|metres|diners|quilòmetres|euros|Name|Junge|Käse|Kilometer)$",
    re.I,
)
_MILLIONS = re.compile(r"\b(?:mill|mili|milh)[oó\w]*$", re.I)
_CODES = {"nb": "no", "kk": "kz"}
"""BCP-47 languages that num2words calls by another code."""
_SPOKEN = frozenset(
    "ar az be ca cs da de en eo es fa fi fr he hu id is it kk ko lt lv nb nl no pl pt ro ru "
    "sk sl sr sv th tr uk vi".split()
)
"""Languages whose numbers num2words writes as people say them; in others digits are left to the
voice (Japanese kanji are beyond some; in Bengali the minus is lost, in Kannada 20 becomes 21)."""
_BY_HUNDREDS = frozenset("da de en nb nl no".split())
"""Languages that read the hundreds of a year; in others it is said as any number: num2words would
mix German into Slovenian, and has no word at all for Vietnamese."""
_MINUS = {"cs": "minus", "pl": "minus", "sk": "mínus", "vi": "âm"}
_POINTS = {"ar": "فاصلة", "fa": "ممیز", "id": "koma", "ru": "целых", "vi": "phẩy"}
"""Words for minus, and for the decimal sign, where num2words has none."""
_REPAIRS = {
    "da": (r"\ben millioner\b", "en million"),
    "sv": (r"etttusen", "ettusen"),
    "vi": (r"nghìn lẻ (?=mười|\w+ mươi)", "nghìn không trăm "),
}
"""What num2words gets wrong in a language whose other numbers are right."""


def is_spoken(language: str) -> bool:
    """Return whether numbers of a BCP-47 language are put into words; else they stay digits."""
    return language.split("-")[0].lower() in _SPOKEN


def words(number: int, language: str, form: str = "cardinal") -> str:
    """Put a number into words (cardinal, ordinal or year); digits where none are known."""
    base = language.split("-")[0].lower()
    if base not in _SPOKEN:
        return str(number)
    if number < 0:
        return f"{minus(language)} {words(-number, language)}"
    asked = "cardinal" if form == "year" and base not in _BY_HUNDREDS else form
    return _converted(number, language, asked) or _converted(number, language) or str(number)


def minus(language: str) -> str:
    """Return the word for minus of a language whose numbers are spoken."""
    base = language.split("-")[0].lower()
    if base in _MINUS:
        return _MINUS[base]
    return _converted(-1, language).removesuffix(_converted(1, language)).strip() or "-"


def point(language: str) -> str:
    """Return the word between the whole part of a number and its decimals."""
    from num2words import CONVERTER_CLASSES

    base = language.split("-")[0].lower()
    return _POINTS.get(base) or str(CONVERTER_CLASSES[_code(language)].pointword)


def _code(language: str) -> str:
    from num2words import CONVERTER_CLASSES

    base, _, region = language.partition("-")
    base = _CODES.get(base.lower(), base.lower())
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
    return re.sub(*_REPAIRS.get(language.split("-")[0].lower(), ("", "")), said)


def _rules(language: str) -> Mapping[str, Any]:
    return read_table("dubarr_pipeline.text", "numbers").get(language.split("-")[0], {})


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
    if not noun or noun.casefold() in _NO_NOUNS or (base == "de" and not noun[:1].isupper()):
        return said
    rules = _rules(language)
    ending = rules.get("feminine")
    feminine = bool(ending and re.search(ending, noun)) and not _MASCULINE.match(noun)
    if _MILLIONS.search(said) and "millions" in rules:
        return f"{said} {rules['millions']}"
    for ending, masculine, other in rules.get("cardinals", ()):
        said = re.sub(ending, other if feminine else masculine, said)
    return said
