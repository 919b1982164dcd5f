"""Text as it is read on a page, made into text as it is said.

Numbers are written out by num2words; what it does not know (units, signs, abbreviations, dates)
comes from small tables. Characters that make synthesizers spell, stumble or babble are taken out.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache

from dubarr_pipeline.production.speech_tables import Reading, reading

_ONE_AT_A_TIME = threading.Lock()
"""num2words keeps one converter per language, which is not made for threads."""

_MARKUP = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_PAUSES = re.compile(r"\s*(?:[—–]|--+|\s-\s|[()\[\]{}])\s*")
_QUOTES = str.maketrans(
    {**dict.fromkeys("\u2019\u2018\u02bc`", "'"), **dict.fromkeys('"“”„«»\u2039\u203a')}
)
_UNSAID = re.compile(r"[♪♫*_~^|\\#<>]+")
_DOTS = re.compile(r"\s*(?:…|\.{2,})\s*")
_LONG_DIGITS = 8
"""From so many digits on, a number is a telephone number or a code, and read digit by digit."""


@lru_cache(maxsize=4096)
def speakable(text: str, language: str) -> str:
    """Return the text as a voice should say it; may be empty if there is nothing to say.

    Args:
        text: one line, as translated.
        language: BCP-47.
    """
    known = reading(language)
    said = _plain(unicodedata.normalize("NFC", text))
    if known is not None:
        said = _abbreviations(said, known)
        said = _dates(said, language, known)
        said = _times(said, language, known)
        said = _amounts(said, language, known)
        said = _ordinals(said, language, known)
    said = _numbers(said, language, known)
    if known is not None:
        for sign, words in known.signs.items():
            said = said.replace(sign, f" {words} ")
    return _tidy(said)


def _plain(text: str) -> str:
    """Without markup, quotes, emoji and control characters; dashes and brackets as pauses."""
    text = _MARKUP.sub(" ", text).translate(_QUOTES)
    text = _UNSAID.sub(" ", text)
    text = "".join(c for c in text if not _is_unsaid(c))
    text = re.sub(r"^\s*[-—–](?!\d)\s*", "", text)
    return _PAUSES.sub(", ", text)


def _is_unsaid(character: str) -> bool:
    category = unicodedata.category(character)
    if category in ("Cc", "Zl", "Zp"):
        return not character.isspace()
    return category in ("So", "Sk", "Cf", "Cs", "Co", "Cn") and character != "°"


def _tidy(text: str) -> str:
    """One space between words, one mark at a time, no pause at either end."""
    text = text.replace("/", " ")
    text = _DOTS.sub(lambda m: ", " if m.end() < len(m.string.rstrip()) else ".", text)
    text = re.sub(r"\s+([,.;:!?])", r"\1", " ".join(text.split()))
    text = re.sub(r"[,;:]+(?=[,;:.!?])", "", text)
    text = re.sub(r"([.!?])[.!?,;:]*", lambda m: "?" if "?" in m.group() else m.group(1), text)
    return re.sub(r"^[\s,.;:!?/]+|[\s,;:/]+$", "", text)


def _abbreviations(text: str, known: Reading) -> str:
    for short, words in known.abbreviations.items():
        pattern = rf"(?<![\w.]){re.escape(short)}(?!\w)"
        text = re.sub(pattern, lambda m, w=words: _ended(m, w), text)
    return text


def _ended(match: re.Match[str], words: str) -> str:
    """The words, with a full stop if the abbreviation's own also ended the sentence."""
    at_end = not match.string[match.end() :].strip()
    return words + ("." if at_end and match.group().endswith(".") else "")


def _dates(text: str, language: str, known: Reading) -> str:
    def iso(match: re.Match[str]) -> str:
        year, month, day = (int(part) for part in match.groups())
        return _date(day, month, year, language, known) or match.group()

    def written(match: re.Match[str]) -> str:
        first, second, year = (int(part) for part in match.group(1, 3, 4))
        swapped = known.first_field == "month" and not language.startswith("en-GB")
        day, month = (second, first) if swapped else (first, second)
        return _date(day, month, year, language, known) or match.group()

    text = re.sub(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)", iso, text)
    return re.sub(r"(?<!\d)(\d{1,2})([/.])(\d{1,2})\2(\d{4})(?!\d)", written, text)


def _date(day: int, month: int, year: int, language: str, known: Reading) -> str | None:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    ordinal = known.first_ordinal and (day == 1 or language.startswith("en"))
    return known.date.format(
        day=_words(day, language, "ordinal" if ordinal else "cardinal"),
        month=known.months[month - 1],
        year=_words(year, language, "year"),
    )


def _times(text: str, language: str, known: Reading) -> str:
    def said(match: re.Match[str]) -> str:
        hours, minutes = int(match.group(1)), int(match.group(2))
        form = known.time if minutes else known.hour
        return form.format(hours=_words(hours, language), minutes=_words(minutes, language))

    return re.sub(r"(?<![\d:])([01]?\d|2[0-3]):([0-5]\d)(?![\d:])(?:\s*(?:Uhr|h)\b)?", said, text)


def _amounts(text: str, language: str, known: Reading) -> str:
    """Numbers with a currency before or after them, or a unit."""
    number = rf"(?:(?<!\w)[-\u2212])?{_number_pattern(known)}"
    money = "|".join(re.escape(sign) for sign in known.currencies)
    units = "|".join(re.escape(sign) for sign in sorted(known.units, key=len, reverse=True))

    def counted(digits: str, names: tuple[str, str]) -> str:
        if digits == "1":
            return f" {known.one or _words(1, language)} {names[0]} "
        return f" {_number(digits, language, known)} {names[1]} "

    coins = known.currencies
    text = re.sub(rf"({money})\s?({number})", lambda m: counted(m[2], coins[m[1]]), text)
    text = re.sub(rf"({number})\s?({money})", lambda m: counted(m[1], coins[m[2]]), text)
    return re.sub(
        rf"({number})\s?({units})(?![\w/])",
        lambda m: counted(m.group(1), known.units[m.group(2)]),
        text,
    )


def _ordinals(text: str, language: str, known: Reading) -> str:
    if not known.ordinal_marks:
        return text
    marks = "|".join(re.escape(mark) for mark in sorted(known.ordinal_marks, key=len, reverse=True))
    return re.sub(
        rf"(?<![\w.,])(\d{{1,4}})(?:{marks})(?!\w)",
        lambda m: _words(int(m.group(1)), language, "ordinal"),
        text,
    )


def _numbers(text: str, language: str, known: Reading | None) -> str:
    def said(match: re.Match[str]) -> str:
        words = _number(match.group(), language, known)
        before = match.string[: match.start()][-1:]
        after = match.string[match.end() :][:1]
        return (" " if before.isalpha() else "") + words + (" " if after.isalpha() else "")

    return re.sub(rf"(?:(?<![\w])[-−])?{_number_pattern(known)}", said, text)


def _number_pattern(known: Reading | None) -> str:
    decimal = re.escape(known.decimal) if known else r"\."
    groups = "," if known and known.decimal == "." else r"[.\u00a0\u202f ]"
    return rf"(?:\d{{1,3}}(?:{groups}\d{{3}})+(?!\d)|\d+)(?:{decimal}\d+)?"


def _number(digits: str, language: str, known: Reading | None) -> str:
    """A number in words, as the language writes it: grouped, with decimals, a year, or a code."""
    decimal = known.decimal if known else "."
    negative = digits[0] in "-−"
    whole, _, decimals = digits.lstrip("-−").partition(decimal)
    plain = re.sub(r"\D", "", whole)
    if not plain.isascii():
        plain = str(int(plain))
    if (len(plain) >= _LONG_DIGITS and plain == whole) or (plain[0] == "0" and len(plain) > 1):
        words = _spelled(plain, language)
    elif len(plain) == 4 and plain == whole and 1100 <= int(plain) <= 2099 and not decimals:
        words = _words(int(plain), language, "year")
    else:
        words = _words(int(plain), language)
    if decimals:
        words = f"{words} {known.point if known else ''} {_decimals(decimals, language)}"
    return f"{_minus(language)} {words}" if negative else words


def _decimals(digits: str, language: str) -> str:
    """Decimals: digit by digit in English or from three on, else as a number."""
    if language.startswith("en") or len(digits) > 2 or digits.startswith("0"):
        return _spelled(digits, language)
    return _words(int(digits), language)


def _spelled(digits: str, language: str) -> str:
    return " ".join(_words(int(digit), language) for digit in digits)


def _minus(language: str) -> str:
    return _words(-1, language).rsplit(" ", 1)[0]


def _words(number: int, language: str, form: str = "cardinal") -> str:
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
