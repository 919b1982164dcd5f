"""Written forms that a voice would stumble over, made into words or into plainer forms.

Addresses on the web, telephone numbers, Roman numerals, decades, fractions, amounts of money, times
and dates of special shape. Each function changes only what it is sure of.
"""

import re
from collections.abc import Callable

from dubarr_pipeline.text.language_tables import Reading
from dubarr_pipeline.text.numbers import ordinal, words
from dubarr_pipeline.text.tables import read_table

_PHONE = re.compile(
    r"(?<![\d.,:/-])\+?\(?(?:\d{1,3}|0\d{3})\)?(?:[ -]\d{2,4}){2,5}(?![\d/:])"
    r"|(?<![\d-])\d{3}-\d{4}(?![\d-])"
)
_ROMAN = r"(?:X{0,3}(?:IX|IV|V?I{0,3})|XL(?:IX|IV|V?I{0,3}))"
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50}


def _any(name: str) -> str:
    """Return the alternatives of a list in `written_forms.toml`, for a pattern."""
    return "|".join(read_table("dubarr_pipeline.text", "written_forms")[name])


def plain_forms(text: str, language: str, known: Reading) -> str:
    """Return a text without markup with all special forms spoken or plain."""
    base = language.split("-")[0].lower()
    for change in (_addresses, _phones, _romans, _figures, _money):
        text = change(text, base, known)
    if base == "en":
        text = _english(text, known)
    return _german(text) if base == "de" else text


def _addresses(text: str, base: str, known: Reading) -> str:  # noqa: ARG001
    at = f" {known.signs['@']} "

    def said(match: re.Match[str]) -> str:
        bare = re.sub(r"^https?://", "", match.group())
        return bare.replace(".", f" {known.dot} ").replace("@", at).replace("-", " ")

    host = rf"(?:[a-z0-9-]+\.)+(?:{_any('domains')})\b"
    return re.sub(rf"(?:https?://)?(?:[\w.+-]+@)?{host}(?:/[\w/.-]*\w)?", said, text, flags=re.I)


def _phones(text: str, base: str, known: Reading) -> str:
    def said(match: re.Match[str]) -> str:
        groups = re.findall(r"\d+", match.group())
        # Rather a long number, grouped by threes with spaces.
        if not 7 <= sum(map(len, groups)) <= 15 or (
            "-" not in match.group() and all(len(group) == 3 for group in groups[1:])
        ):
            return match.group()
        spelled = [" ".join(words(int(digit), base) for digit in group) for group in groups]
        plus = f"{known.signs['+']} " if match.group().startswith("+") else ""
        return plus + ", ".join(spelled)

    return _PHONE.sub(said, text)


def _romans(text: str, base: str, known: Reading) -> str:  # noqa: ARG001
    def after(match: re.Match[str]) -> str:
        return f"{match[1]} {words(_value(match[2]), base)}"

    def before(match: re.Match[str]) -> str:
        return f"{ordinal(_value(match[1]), base)} {match[2]}"

    def named(match: re.Match[str]) -> str:
        name, numeral = match[1], match[2]
        ruler = re.match(rf"^(?:{_any('rulers')})$", name, re.I) is not None
        if len(numeral) == 1 and not (ruler and numeral in "IVX"):
            return match.group()
        said = _reign(name, _value(numeral), base) if ruler else words(_value(numeral), base)
        return f"{name} {said}"

    nouns, later = f"{_any('centuries')}|{_any('chapters')}", _any("centuries_after")
    text = re.sub(rf"(?i:\b({nouns}))\s+({_ROMAN})\b(?<=[IVX])", after, text)
    text = re.sub(rf"(?<!\w)({_ROMAN})(?<=[IVX])(?:e|º|°|th)?\s+((?i:{later}))\b", before, text)
    if base == "fr":
        text = re.sub(r"\bIer\b", "premier", re.sub(r"\bIre\b", "première", text))
    stop = r"\.?" if base == "de" else ""
    return re.sub(
        rf"\b([A-ZÀ-Þ]\w*)\s+({_ROMAN})\b(?<=[IVXL]){stop}(?!\w|['\u2019](?!s\b))", named, text
    )


def _value(numeral: str) -> int:
    values = [_VALUES[sign] for sign in numeral]
    return sum(-v if v < max(values[at:]) else v for at, v in enumerate(values))


def _reign(name: str, number: int, base: str) -> str:
    """Put a ruler's number into words: the fourteenth, quatorze, decimoquarto..."""
    queen = re.match(rf"^(?:{_any('queens')})", name, re.I) is not None
    if base == "en":
        return f"the {ordinal(number, base)}"
    if base == "de":
        return f"{'die' if queen else 'der'} {ordinal(number, base).capitalize()}"
    if base == "it" or number == 1 or (number <= 10 and base != "fr"):
        return ordinal(number, base, feminine=queen)
    return words(number, base)


def _figures(text: str, base: str, known: Reading) -> str:
    """Say fractions, write times with a colon, and join thousands that are certainly grouped."""
    for written, said in known.fractions.items():
        text = re.sub(rf"(?<![\d/.,]){written}(?![\d/.,])", said, text)
    if base == "de":
        text = re.sub(r"(?<![\d.])(\d{1,2})\.([0-5]\d)(?=\s*Uhr)", r"\1:\2", text)
    else:
        text = re.sub(r"(?<![\d.,])([01]?\d|2[0-3]) ?[hH] ?([0-5]\d)(?!\w)", r"\1:\2", text)
    other = "," if known.decimal == "," else "."
    sign = re.escape(other)
    pattern = rf"(?<![\d.,])\d{{1,3}}(?:{sign}\d{{3}}){{2,}}(?![\d.,]\d)"
    text = re.sub(pattern, lambda m: m.group().replace(other, ""), text)
    if other == ",":
        text = re.sub(r"(?<=[$£])(\d{1,3}),(\d{3})(?![\d,])", r"\1\2", text)
    return text


def _money(text: str, base: str, known: Reading) -> str:
    """Amounts with cents: "five dollars and fifty cents", "cinq euros cinquante"."""
    joint, cents = known.cents
    coins = "|".join(sorted(map(re.escape, known.currencies), key=len, reverse=True))
    number = rf"(\d{{1,6}}){re.escape(known.decimal)}(\d\d)(?!\d)"

    def said(whole: str, small: str, coin: str) -> str:
        one, many = known.currencies[coin]
        small = f" {joint} {words(int(small), base)} {cents}" if int(small) else ""
        amount = known.one or words(1, base) if whole == "1" else words(int(whole), base)
        return f"{amount} {one if whole == '1' else many}{small}".replace("  ", " ").rstrip()

    order: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
        (rf"({coins})\s?{number}(?!\s?(?:m|bn|k)\b)", lambda m: said(m[2], m[3], m[1])),
        (rf"(?<![\d.,]){number}\s?({coins})", lambda m: said(m[1], m[2], m[3])),
    )
    for pattern, replaced in order:
        text = re.sub(pattern, replaced, text)
    return text


def _english(text: str, known: Reading) -> str:
    months = "|".join(known.months)

    def decade(match: re.Match[str]) -> str:
        number = int(match[1])
        said = words(number, "en", "year" if number > 99 else "cardinal")
        return re.sub(r"y$", "ies", said) if said.endswith("y") else said + "s"

    def large(match: re.Match[str]) -> str:
        size = {"k": "thousand", "m": "million", "bn": "billion"}[match[3].lower()]
        return f"{match[2]} {size} {known.currencies[match[1]][1]}"

    text = re.sub(r"(?<![\d$€£])'?((?:1[1-9]|20)?[1-9]0)s\b", decade, text)
    text = re.sub(r"([$€£])(\d+(?:\.\d+)?) ?(k|m|bn)\b", large, text, flags=re.I)
    text = re.sub(r"(?<=[a-z]) St\.(?!\s+[A-Z])", " Street", text)
    text = re.sub(r"\b(\d{1,2}) ?([ap])\.?m\b\.?", r"\1 \2.m.", text, flags=re.I)
    text = re.sub(
        rf"(?<![\w.])(the )?(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({months})\b",
        lambda m: f"the {ordinal(int(m[2]), 'en')} of {m[3]}",
        text,
    )
    return re.sub(
        rf"\b({months}) (\d{{1,2}})(?!\d|:|st|nd|rd|th)",
        lambda m: f"{m[1]} {ordinal(int(m[2]), 'en')}",
        text,
    )


def _german(text: str) -> str:
    """Ordinals with a full stop, in the case that the word before them asks for."""

    def said(match: re.Match[str]) -> str:
        before, number, counted = match[1] or "", int(match[2]), match[3]
        stem = ordinal(number, "de")
        low = before.strip().casefold()
        if low in ("am", "vom", "zum", "im", "dem", "den", "beim", "des", "bis", "seit", "ab"):
            stem += "n"
        elif low not in ("der", "die", "das"):
            stem += "r"
        return f"{before}{stem} {counted}"

    text = re.sub(
        r"\b([Aa]m|[Vv]om|[Zz]um) (\d{1,2})\.(?= [a-zäöü])",
        lambda m: f"{m[1]} {ordinal(int(m[2]), 'de')}n",
        text,
    )
    return re.sub(rf"(\b[A-Za-z]+ )?(?<!\d)(\d{{1,2}})\. ({_any('german_counted')})\b", said, text)
