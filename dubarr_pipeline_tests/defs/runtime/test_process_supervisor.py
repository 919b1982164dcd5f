"""Processes are kept alive, by a supervisor in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SUPERVISOR = """
import sys
from pathlib import Path
from dubarr_pipeline.compute import process_log
from dubarr_pipeline.compute.backoff import Backoff, RestartPolicy
from dubarr_pipeline.defs.runtime.process_supervisor import ProcessSupervisor, Program

folder = Path(sys.argv[1])
process_log._FULL_BYTES = 1000

def program(name):
    command = (sys.executable, "-S", str(folder / f"{name}.py"))
    return Program(name, command, (folder / f"{name} up").exists, deadline_s=2.0)

def say(line):
    with (folder / "said").open("a") as said:
        said.write(line + "\\n")

policy = RestartPolicy(Backoff(0.1, 0.3), max_restarts=None, steady_s=30.0, grace_s=3.0)
programs = [program(name) for name in sys.argv[2:]]
ProcessSupervisor(programs, folder / "logs", say, policy).run(0)
"""
LIFE = """
import os, subprocess, sys, time
from pathlib import Path
folder, name = Path(__file__).parent, Path(__file__).stem
with (folder / f"{name} pids").open("a") as pids:
    pids.write(f"{os.getpid()}\\n")
"""
UP = '(folder / f"{name} up").touch()\n'
STAY = "time.sleep(600)\n"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
TELLS = """
import signal
def tell(*_):
    (folder / f"{name} told").write_text(str(time.monotonic()))
    sys.exit()
signal.signal(signal.SIGTERM, tell)
"""
RUN = (
    "run = 'import os, time; open(%r, %r).write(str(os.getpid())); time.sleep(600)'\n"
    "subprocess.Popen([sys.executable, '-S', '-c', run % (str(folder / 'run'), 'w')])\n"
)


class Kept:
    """A supervisor at work on scripts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **scripts: str) -> None:
        for name, script in scripts.items():
            (self.folder / f"{name}.py").write_text(LIFE + script)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, self.folder, *scripts], stdin=subprocess.PIPE
        )

    def stop(self) -> None:
        """As the command does, or its end."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(60) == 0

    def said(self) -> str:
        path = self.folder / "said"
        return path.read_text() if path.exists() else ""

    def pids(self, name: str) -> list[int]:
        """All processes so far that a part has had."""
        path = self.folder / f"{name} pids"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def wait(self, found: Callable[[], object]) -> None:
        end = time.monotonic() + 60
        while not found():
            assert time.monotonic() < end, self.said()
            time.sleep(0.02)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    found = Kept(tmp_path)
    yield found
    if found.process and found.process.poll() is None:
        found.stop()


def lives(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]
    except FileNotFoundError:
        return False


def test_what_is_killed_is_started_again_and_told_of(kept: Kept):
    kept.start(ground=UP + STAY, web=UP + STAY)
    kept.wait(lambda: "web is ready" in kept.said())
    os.kill(kept.pids("web")[0], signal.SIGKILL)
    kept.wait(lambda: "web is ready again" in kept.said())
    assert kept.said().splitlines() == [
        "ground is ready",
        "web is ready",
        "web was killed (SIGKILL): restarting in 0 s",
        "web is ready again",
    ]
    # Its sign of being ready is still there from its first life.
    kept.wait(lambda: len(kept.pids("web")) >= 2)
    assert [len(kept.pids(name)) for name in ("ground", "web")] == [1, 2]
    kept.stop()
    assert not any(map(lives, [*kept.pids("ground"), *kept.pids("web")]))


def test_the_others_wait_for_the_ground_and_its_last_words_are_told(kept: Kept):
    kept.start(ground="print('no module named film')\nsys.exit(3)", web=UP + STAY)
    kept.wait(lambda: kept.said().count("ground ended (status 3)") >= 3)
    assert "  | no module named film" in kept.said()
    assert str(kept.folder / "logs" / "ground.log") in kept.said()
    assert not kept.pids("web")


def test_one_that_is_never_ready_is_told_of_and_started_again(kept: Kept):
    kept.start(ground="print('waiting for the store', flush=True)\n" + STUBBORN + STAY)
    kept.wait(lambda: len(kept.pids("ground")) == 2)
    assert "ground was not ready after 2 s: restarting" in kept.said()
    assert "  | waiting for the store" in kept.said()
    assert not lives(kept.pids("ground")[0])


def test_pauses_grow_up_to_a_limit(kept: Kept):
    kept.start(ground="sys.exit(1)")
    kept.wait(lambda: kept.said().count("ground ended") >= 5)
    assert len(kept.pids("ground")) <= 6


def test_a_run_outlives_its_ground_and_ends_with_the_supervisor(kept: Kept):
    kept.start(ground=RUN + UP + STAY)
    run = kept.folder / "run"
    kept.wait(lambda: "ground is ready" in kept.said() and run.exists() and run.read_text())
    first = int(run.read_text())
    os.kill(kept.pids("ground")[0], signal.SIGKILL)
    kept.wait(lambda: "ready again" in kept.said())
    kept.wait(lambda: run.read_text() not in ("", str(first)))
    assert lives(first)
    kept.stop()
    assert not lives(first)
    assert not lives(int(run.read_text()))


def test_the_ground_is_stopped_last(kept: Kept):
    kept.start(ground=TELLS + UP + STAY, web=TELLS + UP + STAY)
    kept.wait(lambda: "web is ready" in kept.said())
    kept.stop()
    ground, web = (float((kept.folder / f"{n} told").read_text()) for n in ("ground", "web"))
    assert web < ground


def test_who_ignores_being_told_is_killed(kept: Kept):
    kept.start(ground=STUBBORN + UP + STAY)
    kept.wait(lambda: "ground is ready" in kept.said())
    kept.stop()
    assert not lives(kept.pids("ground")[0])


def test_a_long_log_is_put_aside_and_goes_on(kept: Kept):
    kept.start(
        ground=UP + "for n in range(400):\n    print(n, flush=True)\n    time.sleep(0.005)\n" + STAY
    )
    log = kept.folder / "logs" / "ground.log"
    aside = log.with_suffix(".log.1")
    kept.wait(lambda: aside.exists() and "399\n" in log.read_text() + aside.read_text())
    assert aside.stat().st_size > 1000
    assert log.stat().st_size < 1000
