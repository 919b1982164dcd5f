"""What happens to a library that is dubbed unattended: the faults of `faults.py`, one by one."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
from jumping_clock import JumpingClock

from dubarr_pipeline.defs.runtime.liveness import LIVE, PROCESS_TAG
from dubarr_pipeline_tests.fixtures.dagster_server import Server
from dubarr_pipeline_tests.fixtures.postgres import Postgres

AWAY_S = 40.0
DEAF_S = 45.0
_RELOAD = """mutation {
  reloadRepositoryLocation(repositoryLocationName: "dubarr_pipeline.definitions") { __typename }
}"""


class Watched(Server):
    """A server whose processes live by a clock that may jump."""

    clock: JumpingClock | None = None

    def environment(self) -> dict[str, str]:
        return {**super().environment(), **(self.clock.environment if self.clock else {})}


@dataclass
class Scene:
    """A library, the server that dubs it, and what has been done to them."""

    server: Watched
    films: Path
    disk: Path | None
    postgres: Postgres | None
    store: dg.DagsterInstance
    draw: random.Random
    suffered: Counter[str] = field(default_factory=Counter[str])
    forgotten: list[str] = field(default_factory=list[str])
    restarts: int = 0
    deaf_since: float = field(default_factory=time.monotonic)

    def progress(self) -> int:
        """How many stages are finished, of all videos."""
        return len(list(self.server.work_dir.glob("*/.checkpoints/*.json")))

    def supervise(self) -> None:
        """Start the server again if it has ended, as systemd would; see to its code server.

        `dagster dev` notices no killed code server. Where its inner process was killed, a watchdog
        has to reload it, as the button in the UI does; where the outer one was, nothing but a start
        of the whole helps (and the inner one lives on for a while, heard by nobody).
        """
        process = self.server.process
        if process is not None and process.poll() is not None:
            self.server.start()
            self.restarts += 1
            self.deaf_since = time.monotonic()
        commands = " ".join(self.server.processes().values())
        has_outer = self.server.supervised or "code-server start" in commands
        if has_outer and "api grpc" in commands:
            self.deaf_since = time.monotonic()
        elif time.monotonic() - self.deaf_since > DEAF_S:
            if has_outer:
                with contextlib.suppress(OSError):
                    self.server.ask(_RELOAD)
                    self.suffered["code servers reloaded by the watchdog"] += 1
            else:
                self.server.interrupt()
                self.suffered["servers ended by the watchdog"] += 1
            self.deaf_since = time.monotonic()


Fault = Callable[[Scene], bool]


def kill(scene: Scene, found: list[int], what: str) -> bool:
    """Kill one of these processes; whether there was one."""
    if not found:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(scene.draw.choice(found), 9)
        scene.suffered[what] += 1
        return True
    return False


def kill_worker(scene: Scene) -> bool:
    """Kill the process of a run that is at work."""
    runs = scene.store.get_runs(dg.RunsFilter(statuses=list(LIVE)))
    marks = [run.tags[PROCESS_TAG].rsplit(":", 3) for run in runs if PROCESS_TAG in run.tags]
    return kill(scene, [int(pid) for _, _, pid, _ in marks], "run workers killed")


def kill_program(words: str, what: str) -> Callable[[Scene], bool]:
    """Kill a process of the server that was started with these words."""

    def act(scene: Scene) -> bool:
        found = [pid for pid, command in scene.server.processes().items() if words in command]
        return kill(scene, found, what)

    return act


def fill_disk(scene: Scene) -> bool:
    """Leave no byte free under the work folders for as long as it takes a stage to notice."""
    assert scene.disk is not None
    filler = scene.disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    time.sleep(8)
    filler.unlink()
    scene.suffered["times the disk was full"] += 1
    return True


def take_library_away(scene: Scene) -> bool:
    """Unmount the library, as far as anybody can see, over a look of the sensor."""
    away = scene.films.with_name("away")
    scene.films.rename(away)
    time.sleep(AWAY_S)
    away.rename(scene.films)
    scene.suffered["times the library was away"] += 1
    return True


def restart_postgres(scene: Scene) -> bool:
    """Stop the database server at once, with all its connections, and start it."""
    assert scene.postgres is not None
    scene.postgres.restart()
    scene.suffered["restarts of PostgreSQL"] += 1
    return True


def jump_clock(ahead_s: float) -> Fault:
    """Set the clock of all processes ahead of the true time, or back from there."""

    def act(scene: Scene) -> bool:
        assert scene.server.clock is not None
        scene.server.clock.jump_to(ahead_s)
        scene.suffered["jumps of the clock"] += 1
        return True

    return act


def possible(scene: Scene, faults: Sequence[Fault]) -> list[Fault]:
    """The faults that can be had here; the others are told of."""
    impossible: dict[Fault, str] = {}
    if scene.disk is None:
        impossible[fill_disk] = "no disk filled: this system permits no mount"
    if scene.server.clock is None:
        impossible |= dict.fromkeys((JUMP_AHEAD, JUMP_BACK), "no clock moved: no C compiler")
    if scene.postgres is None:
        impossible[restart_postgres] = "no PostgreSQL: it was not asked for"
    scene.suffered.update(impossible[each] for each in faults if each in impossible)
    here = [each for each in faults if each not in impossible]
    if not scene.server.supervised:
        return here
    # The code server has no outer process then; the keeper takes its place.
    return [KILL_KEEPER if each is KILL_CODE_SERVER else each for each in here]


KILL_DAEMON = kill_program("dagster._daemon", "daemons killed")
KILL_CODE_SERVER = kill_program("code-server start", "code servers killed")
KILL_CODE_WORKER = kill_program("api grpc", "code servers killed")
KILL_SERVICE = kill_program("/vllm serve", "services killed")
JUMP_AHEAD, JUMP_BACK = jump_clock(3 * 3600.0), jump_clock(3 * 3600.0 - 60.0)
"""As after a sleep of the machine or by a first word from NTP; and a minute back."""
KILL_KEEPER = kill_program("dubarr_pipeline.defs.runtime.server", "keepers killed")
QUICK = (kill_worker, KILL_SERVICE, KILL_CODE_SERVER, KILL_DAEMON, kill_worker)
FULL = (
    *(kill_worker, KILL_SERVICE, KILL_CODE_WORKER, kill_worker, fill_disk, KILL_DAEMON),
    *(kill_worker, take_library_away, KILL_SERVICE, restart_postgres, KILL_CODE_SERVER),
    *(kill_worker, JUMP_AHEAD, KILL_SERVICE, KILL_DAEMON, fill_disk, kill_worker, JUMP_BACK),
    *(KILL_SERVICE, kill_worker),
)
