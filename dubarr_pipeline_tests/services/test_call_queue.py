from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.errors import BadReply, ServiceUnavailable
from dubarr_pipeline.services.call_queue import (
    DRAFTING,
    REFINEMENT,
    Cancelled,
    Priority,
    ServiceQueue,
)


def started(
    queue: ServiceQueue, priority: Priority, work: Callable[[], object]
) -> threading.Thread:
    """Start a call and return when it runs or waits in the queue."""
    before = queue.load()
    thread = threading.Thread(target=queue.call, args=(priority, work), daemon=True)
    thread.start()
    while queue.load().waiting + queue.load().running == before.waiting + before.running:
        threading.Event().wait(0.001)
    return thread


@given(st.lists(st.tuples(st.sampled_from([REFINEMENT, DRAFTING]), st.integers(0, 9)), max_size=12))
def test_waiting_calls_go_by_rank_then_position_then_arrival(asked: list[tuple[int, int]]) -> None:
    queue, go, done = ServiceQueue("tts", 1), threading.Event(), list[tuple[int, int, int]]()
    threads = [started(queue, Priority(0, 0), go.wait)]
    for arrival, (rank, position) in enumerate(asked):
        entry = (rank, position, arrival)
        threads.append(started(queue, Priority(rank, position), lambda e=entry: done.append(e)))
    go.set()
    for thread in threads:
        thread.join()
    assert done == sorted(done)
    assert len(done) == len(asked)


def test_never_more_at_once_than_there_are_slots() -> None:
    queue, lock = ServiceQueue("llm", 3), threading.Lock()
    running, most = 0, 0

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.002)
        with lock:
            running -= 1

    threads = [threading.Thread(target=queue.call, args=(Priority(1, n), work)) for n in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 3
    load = queue.load()
    assert (load.waiting, load.running, load.calls) == (0, 0, 30)


def test_closing_wakes_all_that_wait() -> None:
    queue, go = ServiceQueue("tts", 1), threading.Event()
    running = started(queue, Priority(0, 0), go.wait)
    refused: list[str] = []

    def wait() -> None:
        try:
            queue.call(Priority(0, 1), lambda: None)
        except Cancelled as error:
            refused.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not queue.load().waiting:
        threading.Event().wait(0.001)
    queue.close()
    waiting.join()
    go.set()
    running.join()
    assert len(refused) == 1
    with pytest.raises(Cancelled):
        queue.call(Priority(0, 0), lambda: None)


def fail(error: Exception) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def test_a_dead_service_is_noticed_and_a_living_one_is_not_taken_for_dead() -> None:
    queue = ServiceQueue("tts", 2, dead_after=3)
    for _ in range(2):
        with pytest.raises(ServiceUnavailable, match="gone"):
            queue.call(Priority(0, 0), fail(ServiceUnavailable("gone")))
    assert queue.call(Priority(0, 0), lambda: "alive") == "alive"
    for _ in range(3):
        with pytest.raises(ServiceUnavailable, match="gone"):
            queue.call(Priority(0, 0), fail(ServiceUnavailable("gone")))
    assert queue.dead
    with pytest.raises(ServiceUnavailable, match="3 times in a row"):
        queue.call(Priority(0, 0), lambda: pytest.fail("nothing more is sent"))


def test_wrong_answers_are_no_sign_of_death() -> None:
    queue = ServiceQueue("llm", 1, dead_after=2)
    for _ in range(5):
        with pytest.raises(BadReply):
            queue.call(Priority(0, 0), fail(BadReply("garbage")))
    assert not queue.dead


def test_a_queue_needs_a_slot() -> None:
    with pytest.raises(ValueError, match="at least one slot"):
        ServiceQueue("tts", 0)
