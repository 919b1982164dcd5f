from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.script.recognition.word_alignment import distance, word_error


@pytest.mark.parametrize(
    ("heard", "said", "error"),
    [
        ("la puerta está abierta", "¡La puerta está abierta!", 0.0),
        ("LA PUERTA ESTA ABIERTA", "La puerta está abierta.", 0.0),
        ("", "La puerta está abierta.", 1.0),
        ("la puerta esta cerrada", "La puerta está abierta.", 1 / 4),
        ("der Donau Dampfer fährt", "Der Donaudampfer fährt.", 0.0),
        ("дверь открыта", "Дверь открыта.", 0.0),
        ("門は開いている", "門はもう開いています。", 4 / 10),
        ("sí", "No.", None),
        ("abcd efg", "abcd efg", None),
    ],
)
def test_what_was_heard_beside_what_was_said(heard: str, said: str, error: float | None) -> None:
    assert word_error(heard, said) == (error if error is None else pytest.approx(error))


def test_a_line_said_three_times_is_more_wrong_than_silence() -> None:
    assert (word_error("vamos a casa " * 3, "Vamos a casa.") or 0) > 1


@given(st.text("ab", max_size=8), st.text("ab", max_size=8), st.text("ab", max_size=8))
def test_the_distance_is_a_metric(one: str, two: str, three: str) -> None:
    assert (distance(one, two) == 0) == (one == two)
    assert distance(one, two) == distance(two, one)
    assert distance(one, three) <= distance(one, two) + distance(two, three)
    assert abs(len(one) - len(two)) <= distance(one, two) <= max(len(one), len(two))
