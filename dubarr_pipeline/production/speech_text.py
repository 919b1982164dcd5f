"""Text as it is read on a page, made into text as it is said.

Numbers are written out by num2words; what it does not know (units, signs, abbreviations, dates)
comes from small tables. Characters that make synthesizers spell, stumble or babble are taken out.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from dubarr_pipeline.production.number_words import agreeing, ordinal, words
from dubarr_pipeline.production.speech_forms import plain_forms
from dubarr_pipeline.production.speech_tables import FEMININE_MARKS, Reading, reading

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
        said = plain_forms(said, language, known)
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
    for short, written in known.abbreviations.items():
        pattern = rf"(?<![\w.]){re.escape(short)}(?!\w)"
        text = re.sub(pattern, lambda m, w=written: _ended(m, w), text)
    return text


def _ended(match: re.Match[str], written: str) -> str:
    """The words, with a full stop if the abbreviation's own also ended the sentence."""
    at_end = not match.string[match.end() :].strip()
    return written + ("." if at_end and match.group().endswith(".") else "")


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
    ranked = known.first_ordinal and (day == 1 or language.startswith("en"))
    return known.date.format(
        day=words(day, language, "ordinal" if ranked else "cardinal"),
        month=known.months[month - 1],
        year=words(year, language, "year"),
    )


def _times(text: str, language: str, known: Reading) -> str:
    def said(match: re.Match[str]) -> str:
        hours, minutes = int(match.group(1)), int(match.group(2))
        form = known.time if minutes else known.hour
        past = (
            f"oh {words(minutes, language)}" if language.startswith("en") and minutes < 10 else ""
        )
        return form.format(hours=words(hours, language), minutes=past or words(minutes, language))

    return re.sub(r"(?<![\d:])([01]?\d|2[0-3]):([0-5]\d)(?![\d:])(?:\s*(?:Uhr|h)\b)?", said, text)


def _amounts(text: str, language: str, known: Reading) -> str:
    """Numbers with a currency before or after them, or a unit."""
    number = rf"(?:(?<!\w)[-\u2212])?{_number_pattern(known)}"
    money = "|".join(re.escape(sign) for sign in known.currencies)
    units = "|".join(re.escape(sign) for sign in sorted(known.units, key=len, reverse=True))

    def counted(digits: str, names: tuple[str, str]) -> str:
        if digits == "1":
            return f" {known.one or words(1, language)} {names[0]} "
        amount = agreeing(_number(digits, language, known), names[1], language)
        return f" {amount} {names[1]} "

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

    def said(match: re.Match[str]) -> str:
        noun = match[3] if match[2] != ".er" else "a noun"
        feminine = match[2] in FEMININE_MARKS
        return ordinal(int(match[1]), language, feminine=feminine, noun=noun)

    return re.sub(rf"(?<![\w.,])(\d{{1,4}})({marks})(?!\w)(?=( \w)?)", said, text)


def _numbers(text: str, language: str, known: Reading | None) -> str:
    def said(match: re.Match[str]) -> str:
        words_of = _number(match.group(), language, known)
        before = match.string[: match.start()][-1:]
        after = match.string[match.end() :][:1]
        noun = re.match(r" ([^\W\d_]+)", match.string[match.end() :])
        said_so = agreeing(words_of, noun[1] if noun else "", language)
        return (" " if before.isalpha() else "") + said_so + (" " if after.isalpha() else "")

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
        said = _spelled(plain, language)
    elif len(plain) == 4 and plain == whole and 1100 <= int(plain) <= 2099 and not decimals:
        said = words(int(plain), language, "year")
    else:
        said = words(int(plain), language)
    if decimals:
        said = f"{said} {known.point if known else ''} {_decimals(decimals, language)}"
    return f"{_minus(language)} {said}" if negative else said


def _decimals(digits: str, language: str) -> str:
    """Decimals: digit by digit in English or from three on, else as a number."""
    if language.startswith("en") or len(digits) > 2 or digits.startswith("0"):
        return _spelled(digits, language)
    return words(int(digits), language)


def _spelled(digits: str, language: str) -> str:
    return " ".join(words(int(digit), language) for digit in digits)


def _minus(language: str) -> str:
    return words(-1, language).rsplit(" ", 1)[0]
