from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.timing.tempo import DOES_NOT_FIT, Fit, TempoLimits, aim_s, needed_tempo
from dubarr_pipeline.timing.verdicts import (
    FaultLimits,
    TakeMeasure,
    TakeVerdict,
    best,
    closest_version,
    fault,
    judge,
    naturalness,
    score,
    syllable_change,
)

SECOND = 24_000


def _fit(spoken: int, wanted: int = 2 * SECOND, limit: int = 3 * SECOND) -> Fit:
    return Fit(Fraction(spoken, SECOND), Fraction(wanted, SECOND), Fraction(limit, SECOND))


# wanted 48000 samples: kept from 43200 (x 0.90) to 50400 (x 1.05); gently stretched down to
# 43200 x 0.90 = 38880 and up to 50400 x 1.10 = 55440
@pytest.mark.parametrize(
    ("spoken", "action"),
    [
        (38_879, "rewrite"),
        (38_880, "stretch"),
        (43_199, "stretch"),
        (43_200, "keep"),
        (48_000, "keep"),
        (50_400, "keep"),
        (50_401, "stretch"),
        (55_440, "stretch"),
        (55_441, "rewrite"),
    ],
)
def test_first_take_at_each_limit(spoken: int, action: str) -> None:
    assert judge(_fit(spoken), 10, can_rewrite=True).action == action


# a window of 3 s and nothing borrowed beyond it: at most 72000 x 1.20 = 86400 samples
@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        (86_400, TakeVerdict("stretch", Fraction(120, 100))),
        (86_401, TakeVerdict("give_up", failure=DOES_NOT_FIT)),
        (1, TakeVerdict("stretch", Fraction(85, 100))),
    ],
)
def test_a_line_that_nobody_rewords_is_stretched_to_the_bounds_or_given_up(
    spoken: int, expected: TakeVerdict
) -> None:
    assert judge(_fit(spoken), 10, can_rewrite=False) == expected


def test_the_last_take_that_has_silence_to_use_is_not_hurried_beyond_the_bound() -> None:
    # 1.30 of the wanted length; needs 1.238 for the tolerance, but 3 s are there
    found = judge(_fit(62_400), 10, can_rewrite=False)
    assert found == TakeVerdict("stretch", Fraction(120, 100))


def test_a_limit_is_exact_where_floats_are_not() -> None:
    # 100 * 1.15 is 114.99999999999999 in floats
    fit = Fit(Fraction(115), Fraction(100), Fraction(1000))
    options = TempoLimits(longer=Fraction(115, 100))
    assert judge(fit, 10, can_rewrite=True, limits=options).action == "keep"


def test_a_window_shorter_than_the_tolerance_decides() -> None:
    assert needed_tempo(_fit(49_000, limit=48_000)) == Fraction(49, 48)
    assert needed_tempo(_fit(48_000, limit=48_000)) == 1


@pytest.mark.parametrize(
    ("spoken", "syllables", "change"),
    [(4, 12.0, -6), (3, 10.0, -4), (1, 6.0, 6), (2, 9.0, 0), (Fraction(3, 2), 10.0, 3)],
)
def test_syllables_to_lose_are_rounded_up_and_to_gain_down(
    spoken: int | Fraction, syllables: float, change: int
) -> None:
    assert syllable_change(Fit(Fraction(spoken), Fraction(2), Fraction(9)), syllables) == change


def test_rewrites_say_in_which_direction() -> None:
    assert judge(_fit(70_000), 20, can_rewrite=True).syllables < 0
    assert judge(_fit(20_000), 20, can_rewrite=True).syllables > 0


@pytest.mark.parametrize("bad", [(0, 1, 1), (1, 0, 1), (1, 1, -1)])
def test_lengths_that_cannot_be_are_refused(bad: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="lengths"):
        Fit(*map(Fraction, bad))


def test_the_best_take_wins_and_never_simply_the_last() -> None:
    fitting, longer, shorter = score(_fit(48_000)), score(_fit(60_000)), score(_fit(30_000))
    assert best([longer, fitting, shorter]) == 1
    assert best([fitting, fitting]) == 0
    rough = score(_fit(48_000), naturalness(Fraction(8, 10)))
    assert best([rough, score(_fit(49_000), naturalness(Fraction(1)))]) == 1
    assert best([score(_fit(60_000), Fraction(1)), rough]) == 1


@pytest.mark.parametrize(
    ("ratio", "clipped", "expected"),
    [("1", "0", "1"), ("3/2", "0", "1/2"), ("1", "1/20", "1/2"), ("3", "0", "0")],
)
def test_naturalness(ratio: str, clipped: str, expected: str) -> None:
    assert naturalness(Fraction(ratio), Fraction(clipped)) == Fraction(expected)


def test_the_wording_that_is_predicted_to_fit_is_taken() -> None:
    assert closest_version([1.2, 1.9, 2.6], (2.0, 3.0)) == 1
    assert closest_version([1.2, 2.3], (2.0, 2.1)) == 0
    assert closest_version([1.95, 1.95], (2.0, 3.0)) == 0


@pytest.mark.parametrize(
    ("wanted", "limit", "aim"), [(2.0, 3.0, 1.95), (2.0, 2.0, 1.9), (2.0, 1.0, 1.0), (2.0, 0.0, 0)]
)
def test_a_wording_is_aimed_at_the_middle_of_what_needs_no_tempo(
    wanted: float, limit: float, aim: float
) -> None:
    assert aim_s(wanted, limit) == pytest.approx(aim)


GOOD = TakeMeasure(SECOND, SECOND, peak=0.5, rms=0.1, clipped=0, predicted_s=1.0)


@pytest.mark.parametrize(
    ("take", "named"),
    [
        (GOOD, None),
        (replace(GOOD, samples=0), "silent"),
        (replace(GOOD, peak=0.00999), "silent"),
        (replace(GOOD, peak=0.01, rms=0.001), None),
        (replace(GOOD, rms=0.00099), "silent"),
        (replace(GOOD, clipped=24), None),
        (replace(GOOD, clipped=25), "clipped"),
        (replace(GOOD, samples=55_200), None),
        (replace(GOOD, samples=55_201), "babble"),
        (replace(GOOD, samples=2_400), None),
        (replace(GOOD, samples=2_399), "babble"),
        (replace(GOOD, samples=9_999_999, predicted_s=0.0), None),
    ],
)
def test_faults_at_their_limits(take: TakeMeasure, named: str | None) -> None:
    assert fault(take, FaultLimits()) == named


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.booleans())
def test_every_take_gets_one_verdict_within_the_bounds(
    spoken: int, wanted: int, can_rewrite: bool
) -> None:
    fit = _fit(spoken, wanted, wanted + 5000)
    found = judge(fit, 12, can_rewrite=can_rewrite)
    assert Fraction(85, 100) <= found.tempo <= Fraction(120, 100)
    assert (found.failure is not None) == (found.action == "give_up")
    assert (found.syllables != 0) == (found.action == "rewrite")
    if found.action in ("keep", "stretch"):
        assert fit.spoken / found.tempo <= fit.limit
    if not can_rewrite:
        assert found.action != "rewrite"
