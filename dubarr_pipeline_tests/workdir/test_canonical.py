"""Canonical facts: the same meaning, the same text."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, make_dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.workdir.canonical import canonical, canonical_json


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    level: float = 1.0
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    path: Path
    inner: Inner = field(default_factory=Inner)
    other: Inner = field(default_factory=lambda: Inner(2.0))
    table: dict[str, int] = field(default_factory=lambda: {"a": 1})
    limit: Fraction = Fraction(9, 10)
    key: str = field(default="", repr=False)


def test_what_stands_at_its_default_is_left_out_and_what_differs_is_kept() -> None:
    assert canonical(Outer(Path("a/b"))) == {"path": "a/b"}
    spelled = Outer(Path("a/b"), Inner(1.0, ()), Inner(2.0), {"a": 1}, Fraction(9, 10))
    assert canonical(spelled) == {"path": "a/b"}
    assert canonical(Outer(Path("a"), Inner(3.0))) == {"path": "a", "inner": {"level": 3}}


def test_the_inner_default_is_told_where_the_outer_one_differs() -> None:
    """Left out, it would read as the outer default."""
    assert canonical(Outer(Path("a"), other=Inner())) == {"path": "a", "other": {}}
    assert canonical(Outer(Path("a"), table={})) == {"path": "a", "table": {}}


def test_a_secret_never_becomes_a_fact() -> None:
    assert "hush" not in canonical_json(Outer(Path("a"), key="hush"))


def test_the_name_of_a_class_and_the_order_of_its_fields_count_for_nothing() -> None:
    one = make_dataclass("One", [("a", int), ("b", float)])
    two = make_dataclass("Two", [("b", float), ("a", int)])
    assert canonical_json(one(1, 0.5)) == canonical_json(two(0.5, 1)) == '{"a":1,"b":0.5}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (Fraction(3), "3"),
        (Decimal("3.00"), "3"),
        (-0.0, "0"),
        (Fraction(1, 2), "0.5"),
        (Decimal("0.5"), "0.5"),
        (Fraction(9, 10), '"9/10"'),
        (Decimal("0.9"), '"9/10"'),
        (0.9, "0.9"),
        (True, "true"),
        (math.inf, '"inf"'),
        (math.nan, '"nan"'),
        (Decimal("-Infinity"), '"-inf"'),
        (Fraction(10**400, 3), f'"{10**400}/3"'),
        (Colour.RED, '"red"'),
        ({"b": 1, "a": {2, 1}}, '{"a":[1,2],"b":1}'),
        (frozenset(("b", "a")), '["a","b"]'),
        ((1, [None]), "[1,[null]]"),
    ],
)
def test_values_have_one_text(value: Any, text: str) -> None:
    assert canonical_json(value) == text


@pytest.mark.parametrize("value", [object(), b"bytes", Inner, {(1, 2): 3}, {1.5: 2}, [object()]])
def test_a_type_without_a_canonical_form_is_refused_by_name(value: Any) -> None:
    with pytest.raises(TypeError, match="has no canonical form"):
        canonical(value)


@given(st.fractions(), st.fractions())
def test_numbers_read_alike_exactly_where_they_are_equal(one: Fraction, two: Fraction) -> None:
    assert (canonical(one) == canonical(two)) == (one == two)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_of_any_type_reads_like_its_equal(number: float) -> None:
    assert canonical_json(number) == canonical_json(Fraction(number))
    assert canonical_json(number) == canonical_json(Decimal(number))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.dictionaries(st.text(), x)
)


@given(_json)
def test_canonical_facts_are_their_own_canonical_form(facts: Any) -> None:
    assert canonical(canonical(facts)) == canonical(facts) == json.loads(canonical_json(facts))
