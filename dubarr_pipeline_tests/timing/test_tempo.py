from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.script.model import Segment
from dubarr_pipeline.spans import Span
from dubarr_pipeline.timing.placement import TimedTake, place
from dubarr_pipeline.timing.tempo import Fit, TempoLimits
from dubarr_pipeline.timing.verdicts import judge
from dubarr_pipeline.timing.windows import windows

RATE = 1000


def _verdict_and_place(natural: int, length: int, limits: TempoLimits) -> tuple[str, int]:
    """Judge the last take of a line and place it alone: its verdict, and whether it is placed."""
    segment = Segment(0, Span(2000, 2000 + length), "A", "text")
    (window,) = windows([segment], Span(0, 2400 + length), RATE)
    exact = [Fraction(n, RATE) for n in (natural, window.budget, window.reach.length)]
    found = judge(Fit(*exact), 12, can_rewrite=False, limits=limits)
    placed = place([TimedTake.untouched(window, natural)], RATE, tempo=limits).placed
    if placed:
        assert limits.slowest <= placed[0].tempo <= limits.fastest
    return found.action, len(placed)


def test_one_limit_decides_for_the_verdict_and_for_the_place() -> None:
    # 2.0 s, 0.1 s before it and 0.4 s after it: a take of 3.25 s needs a tempo of 1.3
    assert _verdict_and_place(3250, 2000, TempoLimits()) == ("give_up", 0)
    assert _verdict_and_place(3250, 2000, TempoLimits(fastest=Fraction(13, 10))) == ("stretch", 1)
    assert _verdict_and_place(3251, 2000, TempoLimits(fastest=Fraction(13, 10))) == ("give_up", 0)


@given(
    st.integers(1, 9000),
    st.integers(1, 5000),
    st.fractions(1, 2, max_denominator=100),
    st.fractions(Fraction(1, 2), 1, max_denominator=100),
)
def test_a_take_that_may_stay_has_a_place(
    natural: int, length: int, fastest: Fraction, slowest: Fraction
) -> None:
    limits = TempoLimits(fastest=fastest, slowest=slowest)
    verdict, placed = _verdict_and_place(natural, length, limits)
    assert placed == (verdict in ("keep", "stretch"))


def test_limits_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="at most longer"):
        TempoLimits(shorter=Fraction(2))
