"""Abbreviations, units, signs, dates and times as languages read them aloud: `readings.toml`.

Where a language is not there, its text keeps abbreviations and signs, and its numbers are still
written out if num2words knows the language.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from dubarr_pipeline.text.tables import read_table


@dataclass(frozen=True, slots=True)
class Reading:
    """Rules by which one language reads aloud what is not a word.

    Attributes:
        decimal: the sign between whole and decimals.
        point: its name, read between them.
        dot: the spoken dot of a web address.
        cents: the words before and after the cents of an amount.
        abbreviations: with their full stop, where they have one -> the words.
        units: after a number -> (one, many).
        signs: a sign anywhere -> the words.
        currencies: sign or code -> (one, many).
        fractions: as they are written -> the words.
        months: January to December.
        date: form of a date with {day}, {month} and {year}.
        time: form of a time with {hours} and {minutes}; `hour`: of a full hour.
        first_field: which comes first in 3/4/2024.
        first_ordinal: "1" on the first of a month is an ordinal.
        one: "1" before a unit.
        ordinal_marks: what follows the digits of an ordinal.
    """

    decimal: str
    point: str
    dot: str
    cents: tuple[str, str]
    abbreviations: Mapping[str, str]
    units: Mapping[str, tuple[str, str]]
    signs: Mapping[str, str]
    currencies: Mapping[str, tuple[str, str]]
    fractions: Mapping[str, str]
    months: tuple[str, ...]
    date: str
    time: str = "{hours} {minutes}"
    hour: str = "{hours}"
    first_field: Literal["day", "month"] = "day"
    first_ordinal: bool = False
    one: str | None = None
    ordinal_marks: tuple[str, ...] = ()


FEMININE_MARKS = frozenset({"ª", ".ª", "a", "re"})
"""Marks of ordinals that are feminine."""


POINT_LANGUAGES = frozenset(
    "am bn cy en fil ga gu he hi ja kn ko ml mr ms my ne pa si sw ta te th ur zh".split()
)
"""Languages that write decimals after a point (CLDR); all others after a comma."""


@cache
def _readings() -> dict[str, Reading]:
    from pydantic import TypeAdapter

    readings = read_table("dubarr_pipeline.text", "readings")
    return TypeAdapter(dict[str, Reading]).validate_python(readings)


def reading(language: str) -> Reading | None:
    """Return the rules of a BCP-47 language; None where there is no table."""
    return _readings().get(language.split("-")[0].lower())
