from __future__ import annotations

import threading
import time

import pytest

from dubarr_pipeline.library.background import BackgroundWork


def test_quick_work_is_done_at_once():
    assert BackgroundWork[int]().result("key", lambda: 7, 30) == 7


def test_long_work_is_done_once_however_often_it_is_asked_for():
    go, begun = threading.Event(), list[int]()

    def slowly() -> int:
        begun.append(1)
        assert go.wait(60)
        return len(begun)

    work = BackgroundWork[int]()
    assert [work.result("key", slowly, 0), work.result("key", slowly, 0.01)] == [None, None]
    go.set()
    assert work.result("key", slowly, 60) == 1
    assert work.result("key", slowly, 60) == 2, "a result is not kept for ever"


@pytest.mark.parametrize("error", [OSError("gone"), TimeoutError("the disk's own"), ValueError()])
def test_what_work_raises_is_told_and_asked_for_anew(error: Exception):
    work = BackgroundWork[int]()

    def fail() -> int:
        raise error

    with pytest.raises(type(error)):
        work.result("key", fail, 60)
    assert work.result("key", lambda: 7, 60) == 7


def test_work_is_done_in_turn_and_what_hangs_holds_up_nobody_for_ever():
    go, work = threading.Event(), BackgroundWork[bool](hangs_s=0.2)
    assert work.result("hangs", lambda: go.wait(60), 0) is None
    begun = time.monotonic()
    assert work.result("another", lambda: True, 60)
    assert time.monotonic() - begun >= 0.2
    go.set()
    assert work.result("hangs", lambda: False, 60)
