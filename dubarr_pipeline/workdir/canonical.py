"""Canonical facts: one JSON form per meaning, for every digest and key that outlives a process.

Options enter without the fields that stand at their default, so that a new option which is off
changes no digest; names of classes never enter, so that they may change; sets are sorted, and equal
numbers read alike, whatever their type. A default that changes, or code that makes another result,
therefore needs a higher code version.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any


def canonical(value: Any) -> Any:
    """Return a value as JSON-able facts.

    Raises:
        TypeError: if it holds something of a type that has no canonical form.
    """
    if isinstance(value, Enum):
        return canonical(value.value)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | Fraction | Decimal):
        return _number(value)
    if isinstance(value, PurePath):
        return str(value)
    return _table_or_list(value)


def canonical_json(value: Any) -> str:
    """Return the canonical facts of a value as compact JSON with sorted keys."""
    return json_of(canonical(value))


def json_of(facts: Any) -> str:
    """Return facts that are canonical already as compact JSON with sorted keys."""
    return json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _table_or_list(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        found: dict[str, Any] = {}
        for field in fields(value):
            factory = field.default_factory
            default = field.default if factory is MISSING else factory()
            # A field that is hidden from the repr holds a secret, which must not reach the disk.
            if field.repr and getattr(value, field.name) != default:
                found[field.name] = canonical(getattr(value, field.name))
        return found
    if isinstance(value, Mapping):
        return {_key(name): canonical(found) for name, found in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((canonical(each) for each in value), key=canonical_json)
    if isinstance(value, tuple | list):
        return [canonical(each) for each in value]
    raise TypeError(f"{type(value).__qualname__} has no canonical form: {value!r}")


def _key(name: Any) -> str:
    name = name.value if isinstance(name, Enum) else name
    if not isinstance(name, str | int):
        raise TypeError(f"{type(name).__qualname__} has no canonical form as a key: {name!r}")
    return str(name)


def _number(value: float | Fraction | Decimal) -> int | float | str:
    """Return an integer, else the float that equals it exactly, else ``"n/d"``."""
    is_finite = value.is_finite() if isinstance(value, Decimal) else value - value == 0
    if not is_finite:
        return str(float(value))
    exact = Fraction(value)
    if exact.denominator == 1:
        return exact.numerator
    nearest = exact.numerator / exact.denominator if abs(exact) < 1e300 else math.inf
    return nearest if nearest == exact else f"{exact.numerator}/{exact.denominator}"
