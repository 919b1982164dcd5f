import time
from email.utils import formatdate

import pytest

from dubarr_pipeline.compute.backoff import Backoff, RestartPolicy, Restarts, retry_after_s


def test_pauses_double_up_to_the_limit():
    backoff = Backoff(first_s=0.5, limit_s=3.0)

    assert [backoff.pause_s(n) for n in range(6)] == [0.0, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_process_that_has_failed_for_weeks_still_has_a_pause():
    assert Backoff(1.0, 60.0).pause_s(100_000) == 60.0


def test_jitter_spreads_the_pauses_and_keeps_within_its_share():
    pauses = {Backoff(1.0, 8.0, jitter=0.25).pause_s(3) for _ in range(200)}

    assert len(pauses) > 100
    assert 3.0 <= min(pauses) < 3.5 < 4.5 < max(pauses) <= 5.0


@pytest.mark.parametrize(
    ("header", "expected_s"),
    [
        (None, 0.0),
        ("", 0.0),
        ("7", 7.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("nan", 0.0),
        ("inf", 60.0),
        ("3600", 60.0),
        ("soon", 0.0),
    ],
)
def test_what_a_server_requests_is_granted_within_the_limit(header: str | None, expected_s: float):
    assert retry_after_s(header, 60.0) == expected_s


def test_a_server_may_name_a_date():
    in_half_a_minute = formatdate(time.time() + 30.0, usegmt=True)

    assert 27.0 < retry_after_s(in_half_a_minute, 60.0) <= 30.0
    assert retry_after_s(formatdate(0.0, usegmt=True), 60.0) == 0.0
    beyond = "Mon, 01 Jan 2026 00:00:00 +99999999999999999"
    assert retry_after_s(beyond, 60.0) == 0.0


def test_deaths_in_a_row_exhaust_the_policy_and_a_steady_life_forgets_them():
    restarts = Restarts(RestartPolicy(Backoff(1.0, 8.0), max_restarts=2, steady_s=60.0))
    assert restarts.pause_s == 0.0

    for pause_s in (1.0, 2.0):
        restarts.note_death(lived_s=5.0)
        assert restarts.pause_s == pause_s
        assert not restarts.exhausted
    restarts.note_death(lived_s=60.0)
    assert (restarts.deaths, restarts.pause_s) == (1, 1.0)

    restarts.note_death(lived_s=59.9)
    restarts.note_death(lived_s=0.0)
    assert restarts.exhausted


def test_without_a_limit_a_process_is_never_given_up():
    restarts = Restarts(RestartPolicy(max_restarts=None))
    for _ in range(1_000):
        restarts.note_death(0.0)

    assert not restarts.exhausted
    assert restarts.pause_s == 30.0
