"""Ranges of all numeric settings, by ``ranges.toml``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

from dubarr_pipeline.text.tables import read_table

NUMBERS = frozenset((int, float, Fraction))


def range_of(dotted: str) -> tuple[float, float] | None:
    """Return the range of a numeric setting, by its dotted name; None if none is known."""
    parts, table = dotted.split("."), read_table(__package__, "ranges")
    named = (table["names"].get(".".join(parts[start:])) for start in range(len(parts)))
    by_unit = (table["units"].get(dotted[n:]) for n, letter in enumerate(dotted) if letter == "_")
    low_and_high = next(filter(None, [*named, *by_unit]), None)
    return tuple(low_and_high) if low_and_high else None


def faults_of(options: Any, where: str) -> Iterator[str]:
    """Yield a sentence on each number of an options dataclass that lies outside its range."""
    for each in fields(options):
        value, dotted = getattr(options, each.name), f"{where}.{each.name}"
        if is_dataclass(value):
            yield from faults_of(value, dotted)
        elif type(value) in NUMBERS:
            low, high = range_of(dotted) or (-1e12, 1e12)
            if not low <= value <= high:
                yield f"setting {dotted}: must be {low:,g} to {high:,g} (got {float(value):,g})"
