from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.compute.child_process import EngineChild
from dubarr_pipeline.errors import EngineError, LineError, MissingRequirement, OutOfMemory
from dubarr_pipeline.progress import Progress

PARENT = "dubarr_pipeline_tests.fixtures.engine_parent"
WORKER = "dubarr_pipeline_tests.fixtures.engine_worker:Worker"


@pytest.fixture(scope="module")
def child() -> Iterator[EngineChild]:
    """One for all tests that leave it alive."""
    with EngineChild("tiny", WORKER, greeting="good day") as found:
        yield found


@pytest.fixture
def mortal() -> Iterator[EngineChild]:
    with EngineChild("tiny", WORKER) as found:
        yield found


def is_gone(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return text.rpartition(")")[2].split()[0] in "ZX"


def wait_for(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def pid_of(child: EngineChild) -> int:
    assert child.pid
    return child.pid


def test_a_method_is_called_in_another_process(child: EngineChild):
    assert child.call("greet", "world", mark="?") == "good day world?"
    pid, parent, group = child.call("where")
    assert pid == child.pid != os.getpid()
    assert parent == os.getpid()
    assert group == pid


def test_sound_goes_through_as_it_is(child: EngineChild):
    sound = np.random.default_rng(1).standard_normal((2, 500_000)).astype(np.float32)
    np.testing.assert_array_equal(child.call("double", sound), 2 * sound)


def test_parts_come_one_by_one_and_no_more_than_needed(child: EngineChild, tmp_path: Path):
    parts = child.stream("blocks", 6, tmp_path / "made")
    seen = []
    for part in parts:
        seen.append(float(part[0]))
        time.sleep(0.05)
        # One more may wait in the channel.
        assert (tmp_path / "made").stat().st_size <= len(seen) + 1
    assert seen == [0, 1, 2, 3, 4, 5]


def test_progress_is_told_in_order(child: EngineChild):
    told: list[Progress] = []
    assert child.call("count", 5, on_progress=told.append) == 5
    assert [p.done for p in told] == [1, 2, 3, 4, 5]


def test_our_log_lines_come_to_the_parents_log(
    child: EngineChild, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO, "dubarr_pipeline"):
        child.call("log")
    assert [(r.name, r.getMessage()) for r in caplog.records] == [
        ("dubarr_pipeline.engines.test", "it says hello")
    ]


def test_the_librarys_words_stay_off_the_terminal(
    child: EngineChild, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.DEBUG, "dubarr_pipeline.compute.child_process"):
        child.call("chatter")
        wait_for(lambda: "C++ part" in caplog.text, "the child's words")
    assert "words of the library" in caplog.text
    assert capfd.readouterr() == ("", "")


def test_our_errors_come_back_as_they_were(child: EngineChild):
    with pytest.raises(LineError, match="line 7 is too long") as caught:
        child.call("fail", "line")
    assert caught.value.failure == "too_long"
    assert child.call("greet", "again") == "good day again!"


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("zero", EngineError, r"tiny: ZeroDivisionError: division by naught \(.*engine_worker.py:"),
        ("memory", OutOfMemory, "tiny: .*CUDA out of memory"),
        ("exit", EngineError, r"gave up \(exit 1\)(.|\n)*FATAL: no such folder"),
        ("unpicklable", EngineError, "(?i)pickle"),
    ],
)
def test_other_errors_are_named_and_the_child_lives_on(
    child: EngineChild, kind: str, error: type[EngineError], words: str
):
    with pytest.raises(error, match=words) as caught:
        child.call("fail", kind)
    assert type(caught.value) is error
    assert child.call("greet", "again") == "good day again!"


def test_an_unknown_method_is_named(child: EngineChild):
    with pytest.raises(EngineError, match="no attribute 'sing'"):
        child.call("sing")


def test_an_error_of_the_constructor_is_told_by_load_and_nothing_stays():
    child = EngineChild("tiny", WORKER, broken=True)
    with pytest.raises(MissingRequirement, match="dubarr models pull tiny"):
        child.load()
    assert child.pid is None
    with pytest.raises(EngineError, match="not loaded"):
        child.call("greet", "world")


@pytest.mark.parametrize(
    ("method", "arguments", "error", "words"),
    [
        ("die", (signal.SIGKILL,), OutOfMemory, "killed(.|\n)*about to go"),
        ("die", (signal.SIGTERM,), EngineError, "SIGTERM(.|\n)*about to go"),
        ("crash", (), EngineError, "SIGSEGV(.|\n)*child_worker.py"),
        ("abort", (), OutOfMemory, "SIGABRT(.|\n)*bad_alloc"),
    ],
)
def test_a_child_that_dies_is_named(
    method: str, arguments: tuple[int, ...], error: type[EngineError], words: str
):
    child = EngineChild("tiny", WORKER)
    child.load()
    with pytest.raises(error, match=words) as caught:
        child.call(method, *arguments)
    assert type(caught.value) is error
    assert child.pid is None
    child.load()
    assert child.call("greet", "world") == "hello world!"
    child.unload()


def test_unloading_gives_all_memory_back_and_is_harmless_twice():
    threads = set(threading.enumerate())
    child = EngineChild("tiny", WORKER)
    child.load()
    pid = pid_of(child)
    assert child.call("hold", 200) == 200 * 2**20
    child.unload()
    assert is_gone(pid)
    child.unload()
    assert set(threading.enumerate()) <= threads


def test_unloading_takes_the_childs_own_processes_along(mortal: EngineChild):
    grandchild = mortal.call("bear")
    assert not is_gone(grandchild)
    mortal.unload()
    wait_for(lambda: is_gone(grandchild), "the grandchild")


def test_leaving_a_stream_ends_the_child(mortal: EngineChild, tmp_path: Path):
    pid = pid_of(mortal)
    for _ in mortal.stream("blocks", 1000, tmp_path / "made"):
        break
    assert mortal.pid is None
    assert is_gone(pid)
    assert (tmp_path / "made").stat().st_size <= 3


def test_an_interrupt_ends_the_child(mortal: EngineChild):
    pid = pid_of(mortal)

    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mortal.call("count", 5, on_progress=interrupt)
    assert is_gone(pid)


def test_an_error_of_the_watcher_is_not_taken_for_the_childs(mortal: EngineChild):
    def full(_: Progress) -> None:
        raise OSError(28, "no room")

    with pytest.raises(OSError, match="no room"):
        mortal.call("count", 5, on_progress=full)
    assert mortal.pid is None


def test_another_thread_can_stop_a_call(mortal: EngineChild, tmp_path: Path):
    mark = tmp_path / "mark"

    def stop() -> None:
        wait_for(mark.exists, "the call")
        mortal.unload()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(EngineError, match="was stopped"):
        mortal.call("sleep", mark)
    stopper.join()


def test_threads_wait_for_their_turn(child: EngineChild):
    answers: list[str] = []

    def ask(name: str) -> None:
        answers.append(child.call("greet", name))

    threads = [threading.Thread(target=ask, args=(str(i),)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [f"good day {i}!" for i in range(8)]


def test_asking_inside_an_answer_is_refused_rather_than_waited_for(
    mortal: EngineChild, tmp_path: Path
):
    parts = mortal.stream("blocks", 3, tmp_path / "made")
    next(parts)
    with pytest.raises(RuntimeError, match="inside its own answer"):
        mortal.call("greet", "world")


@pytest.mark.parametrize("busy", [False, True])
def test_no_child_survives_a_killed_parent(busy: bool, tmp_path: Path):
    mark = tmp_path / "mark"
    parent = subprocess.Popen(
        [sys.executable, "-m", PARENT, str(mark) if busy else "idle"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    pid = int(parent.stdout.readline())
    if busy:
        wait_for(mark.exists, "the call")
    assert not is_gone(pid)
    parent.kill()
    parent.communicate()
    wait_for(lambda: is_gone(pid), "the child's end")


def test_a_child_whose_parent_is_gone_already_ends_at_once():
    # Its parent is this process, which is not the one that it was promised to.
    read, write = os.pipe()
    ended = subprocess.run(
        [sys.executable, "-m", "dubarr_pipeline.compute.child_worker", str(read), "1"],
        pass_fds=(read,),
        check=False,
        timeout=60,
    )
    os.close(read)
    os.close(write)
    assert ended.returncode == 1


def test_a_held_descriptor_stays_open_in_the_child(tmp_path: Path):
    with (
        (tmp_path / "lease").open("w") as lease,
        EngineChild("tiny", WORKER, held=(lease.fileno(),)) as child,
    ):
        links = {p.resolve() for p in Path(f"/proc/{child.pid}/fd").iterdir()}
        assert (tmp_path / "lease").resolve() in links
