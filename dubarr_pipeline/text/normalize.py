"""Text as it is read on a page, made into text as it is said.

Numbers are written out by num2words; what it does not know (units, signs, abbreviations, dates)
comes from small tables. Characters that make synthesizers spell, stumble or babble are taken out.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache

from dubarr_pipeline.text.language_tables import FEMININE_MARKS, POINT_LANGUAGES, Reading, reading
from dubarr_pipeline.text.numbers import agreeing, is_spoken, minus, ordinal, point, words
from dubarr_pipeline.text.written_forms import plain_forms

_MARKUP = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_PAUSES = re.compile(r"\s*(?:[—–]|--+|\s-\s|[()\[\]{}])\s*")
_QUOTES = str.maketrans(
    {**dict.fromkeys("\u2019\u2018\u02bc`", "'"), **dict.fromkeys('"“”„«»\u2039\u203a')}
)
_UNSAID = re.compile(r"[♪♫*_~^|\\#<>]+")
_DOTS = re.compile(r"\s*(?:…|\.{2,})\s*")
_LETTERS = {
    "Latn": (),
    "Cyrl": ("CYRILLIC",),
    "Hans": ("CJK",),
    "Hant": ("CJK",),
    "Jpan": ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"),
    "Kore": ("HANGUL", "CJK"),
    "Orya": ("ORIYA",),
}
"""Script -> first words of its letters' Unicode names, where they are not the script's own name,
or where most languages would look it up; Latin ones are readable anyway."""
_LETTER = re.compile(r"(\S+) .*(?:LETTER|IDEOGRAPH|SYLLABLE)")
_LONG_DIGITS = 8
"""From so many digits on, a number is a telephone number or a code, and read digit by digit."""


@lru_cache(maxsize=4096)
def speakable(text: str, language: str) -> str:
    """Return a translated line as a voice should say it; empty if there is nothing to say."""
    known = reading(language)
    # Markup, quotes, emoji and control characters go; dashes and brackets are pauses.
    said = _without_marks(_MARKUP.sub(" ", unicodedata.normalize("NFC", text)))
    said = _PAUSES.sub(", ", re.sub(r"^\s*[-—–](?!\d)\s*", "", said))
    if known is not None:
        said = plain_forms(said, language, known)
        said = _abbreviations(said, known)
        said = _dates(said, language, known)
        said = _times(said, language, known)
        said = _amounts(said, language, known)
        said = _ordinals(said, language, known)
    if is_spoken(language):
        said = _numbers(said, language, known)
    if known is not None:
        for sign, words in known.signs.items():
            said = said.replace(sign, f" {words} ")
    return _tidy(_in_readable_letters(said, language))


def _in_readable_letters(text: str, language: str) -> str:
    """Transliterate words in a script that is neither the language's own nor Latin.

    A voice names the letters of other scripts one by one, or is silent.
    """
    if text.isascii():
        return text
    known = {"LATIN", *_letters_of(language)}

    def readable(match: re.Match[str]) -> str:
        named = [_LETTER.match(unicodedata.name(letter, "")) for letter in match.group()]
        if all(name is None or name[1] in known for name in named):
            return match.group()
        from anyascii import anyascii

        # A number in brackets is one character, and its transliteration has brackets.
        return _PAUSES.sub(", ", _without_marks(anyascii(match.group())))

    return re.sub(r"[^\W\d_]+", readable, text)


@cache
def _letters_of(language: str) -> Sequence[str]:
    """Return the first words of the Unicode names of the letters of a language."""
    import langcodes

    script = langcodes.Language.get(language).maximize()
    known = _LETTERS.get(str(script.script))
    # langcodes' names take 27 MB.
    return (script.script_name().upper(),) if known is None else known


def _without_marks(text: str) -> str:
    """Take out quotes, and what is never said."""
    said = _UNSAID.sub(" ", text.translate(_QUOTES))
    return "".join(character for character in said if not _is_unsaid(character))


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
    def said(match: re.Match[str]) -> str:
        # The abbreviation's full stop may also end the sentence.
        short, at_end = match.group(), not match.string[match.end() :].strip()
        return known.abbreviations[short] + ("." if at_end and short.endswith(".") else "")

    for short in known.abbreviations:
        text = re.sub(rf"(?<![\w.]){re.escape(short)}(?!\w)", said, text)
    return text


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
    number = rf"(?:(?<!\w)[-\u2212])?{_number_pattern(language, known)}"
    money = "|".join(re.escape(sign) for sign in known.currencies)
    units = "|".join(re.escape(sign) for sign in sorted(known.units, key=len, reverse=True))

    def counted(digits: str, names: tuple[str, str]) -> str:
        if digits == "1":
            return f" {known.one or words(1, language)} {names[0]} "
        amount = agreeing(_number(digits, language, known, counted=True), names[1], language)
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

    return re.sub(rf"(?:(?<![\w])[-−])?{_number_pattern(language, known)}", said, text)


def _number_pattern(language: str, known: Reading | None) -> str:
    decimal = _decimal(language, known)
    groups = "," if decimal == "." else r"[.\u00a0\u202f ]"
    whole = rf"(?:\d{{1,3}}(?:{groups}\d{{3}})+(?!\d)|\d+)"
    return rf"{whole}(?:{re.escape(decimal)}\d+)?"


def _decimal(language: str, known: Reading | None) -> str:
    if known:
        return known.decimal
    return "." if language.split("-")[0] in POINT_LANGUAGES else ","


def _number(digits: str, language: str, known: Reading | None, *, counted: bool = False) -> str:
    """Put a number into words as the language writes it; a `counted` one is no year."""
    negative = digits[0] in "-−"
    whole, _, decimals = digits.lstrip("-−").partition(_decimal(language, known))
    plain = re.sub(r"\D", "", whole)
    if not plain.isascii():
        plain = str(int(plain))
    if (len(plain) >= _LONG_DIGITS and plain == whole) or (plain[0] == "0" and len(plain) > 1):
        said = _spelled(plain, language)
    elif plain == whole and 1100 <= int(plain) <= 2099 and not (decimals or counted):
        said = words(int(plain), language, "year")
    else:
        said = words(int(plain), language)
    if decimals:
        # Digit by digit in English or from three on, else as a number.
        single = language.startswith("en") or len(decimals) > 2 or decimals.startswith("0")
        after = _spelled(decimals, language) if single else words(int(decimals), language)
        said = f"{said} {known.point if known else point(language)} {after}"
    return f"{minus(language)} {said}" if negative else said


def _spelled(digits: str, language: str) -> str:
    return " ".join(words(int(digit), language) for digit in digits)
