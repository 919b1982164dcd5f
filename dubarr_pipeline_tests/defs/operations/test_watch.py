from __future__ import annotations

import threading
from itertools import count

import pytest

from dubarr_pipeline.defs.operations.watch import KeptAnswer
from dubarr_pipeline.errors import ServiceUnavailable


def test_an_answer_is_kept_and_made_anew_when_it_is_old():
    now, made = [0.0], count()
    answer = KeptAnswer(lambda: next(made), 15.0, 5.0, lambda: now[0])
    found = list[int]()
    for at in (0.0, 14.9, 15.0, 29.9, 30.0):
        now[0] = at
        found.append(answer.get())
    assert found == [0, 0, 1, 1, 2]


def test_what_it_fails_with_is_raised_and_not_kept():
    words = iter(["first", "second"])

    def make() -> int:
        raise ValueError(next(words))

    answer = KeptAnswer(make, 15.0, 5.0)
    for each in ("first", "second"):
        with pytest.raises(ValueError, match=each):
            answer.get()


def test_one_that_hangs_is_asked_once_and_named():
    go, asked = threading.Event(), list[int]()

    def make() -> str:
        asked.append(1)
        go.wait(60)
        return "at last"

    answer = KeptAnswer(make, 15.0, 0.05)
    for _ in range(3):
        with pytest.raises(ServiceUnavailable, match=r"no answer within 0\.05 s"):
            answer.get()
    assert asked == [1]
    making = answer.begin()
    go.set()
    assert making
    assert making.wait(60)
    assert answer.get() == "at last"
