from __future__ import annotations

from datetime import time

import pytest

from dubarr_pipeline.config.libraries import is_quiet, parse_hours


@pytest.mark.parametrize(
    ("written", "now", "quiet"),
    [
        ("18:00-23:30", time(17, 59, 59), False),
        ("18:00-23:30", time(18), True),
        ("18:00-23:30", time(23, 29, 59), True),
        ("18:00-23:30", time(23, 30), False),
        ("22:00 - 7:30", time(23), True),
        ("22:00 - 7:30", time(0), True),
        ("22:00 - 7:30", time(7, 29), True),
        ("22:00 - 7:30", time(7, 30), False),
        ("22:00 - 7:30", time(12), False),
    ],
)
def test_hours_hold_from_their_start_to_before_their_end(written: str, now: time, quiet: bool):
    assert is_quiet((written,), now) is quiet
    assert is_quiet(("12:00-12:01", written), now) is (quiet or now == time(12))


def test_without_hours_it_is_never_quiet():
    assert not is_quiet((), time(3))


@pytest.mark.parametrize(
    "wrong", ["", "22", "22:00", "22:00-25:00", "22:60-23:00", "a-b", "8:00-8:00"]
)
def test_what_is_no_stretch_of_the_day_is_refused(wrong: str):
    with pytest.raises(ValueError, match="quiet hours"):
        parse_hours(wrong)
