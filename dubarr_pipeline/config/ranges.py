"""Ranges of all numeric settings, from ``ranges.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any

NUMBERS = frozenset((int, float, Fraction))


@cache
def _table(by: str) -> Mapping[str, Any]:
    """Return the ranges by ``units`` or ``names``: (least, greatest) by the end of a name."""
    text = files("dubarr_pipeline.config").joinpath("ranges.toml").read_text("utf-8")
    return {end: tuple(bounds) for end, bounds in tomllib.loads(text)[by].items()}


def range_of(dotted: str) -> tuple[float, float] | None:
    """Return the range of a numeric setting, by its dotted name; None if none is known."""
    parts, units = dotted.split("."), _table("units")
    named = (_table("names").get(".".join(parts[start:])) for start in range(len(parts)))
    by_unit = (units.get(dotted[n:]) for n, letter in enumerate(dotted) if letter == "_")
    return next(filter(None, [*named, *by_unit]), None)


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
