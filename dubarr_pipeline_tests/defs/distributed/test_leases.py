"""Leases in a store of each kind: one holder at a time, whatever happens to the processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.defs.distributed import leases
from dubarr_pipeline.errors import VideoBusy
from dubarr_pipeline.files import fenced, whole_file
from dubarr_pipeline_tests.fixtures.postgres import Postgres

RUN = "00000000-0000-4000-8000-000000000001"
LONG_S = 600.0


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dg.DagsterInstance]:
    home = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        if request.param == "postgresql":
            stack.enter_context(Postgres()).configure(home)
        yield stack.enter_context(dg.DagsterInstance.from_config(str(home)))


def _another_holds(store: dg.DagsterInstance, name: str, ttl_s: float) -> subprocess.Popen[str]:
    """Start a process that takes a lease, and beats until it is ended."""
    code = (
        "import sys, time, dagster as dg\n"
        "from dubarr_pipeline.defs.distributed import leases\n"
        "home, name, run, ttl_s, file = sys.argv[1:]\n"
        "from pathlib import Path\n"
        "from dubarr_pipeline.files import fenced, whole_file\n"
        "with dg.DagsterInstance.from_config(home) as store:\n"
        "    lease = leases.take(store, name, run, float(ttl_s))\n"
        "    print(lease is not None, flush=True)\n"
        "    try:\n"
        "        with leases.beating(lease), fenced(Path(file).parent, lease.check):\n"
        "            sys.stdin.readline()\n"
        "            with whole_file(Path(file)) as part:\n"
        "                part.write_text('late')\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__, flush=True)\n"
        "    else:\n"
        "        print('written', flush=True)\n"
    )
    file = Path(store.root_directory) / "results" / name
    found = subprocess.Popen(
        [sys.executable, "-c", code, store.root_directory, name, RUN, str(ttl_s), str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert found.stdout
    assert found.stdout.readline() == "True\n"
    return found


def test_a_lease_has_one_holder_and_its_tokens_rise(store: dg.DagsterInstance):
    first = leases.take(store, "one", RUN, LONG_S)
    assert first
    assert first.token == 1
    assert leases.take(store, "one", RUN, LONG_S) is None
    first.release()
    second = leases.take(store, "one", RUN, LONG_S)
    assert second
    assert second.token == 2
    with pytest.raises(VideoBusy, match="another took over"):
        first.beat()
    first.release()
    state = leases.look(store, "one")
    assert state
    assert LONG_S - 60 < state.left_s <= LONG_S


def test_a_try_is_taken_once(store: dg.DagsterInstance):
    lease = leases.take(store, "try", RUN, LONG_S, again=False)
    assert lease
    lease.release()
    assert leases.take(store, "try", RUN, LONG_S, again=False) is None
    assert leases.take(store, "try", RUN, LONG_S) is not None


def test_a_missed_end_counts_only_once_it_is_revoked(store: dg.DagsterInstance):
    lease = leases.take(store, "late", RUN, 0.0)
    assert lease
    lease.ttl_s = LONG_S
    lease.check()
    assert not leases.revoke(store, "late", lease.token, only_ended=True)
    assert leases.expired_total(store) == 0
    lease.release()
    assert leases.revoke(store, "late", lease.token, only_ended=True)
    assert leases.expired_total(store) == 1
    again = leases.take(store, "late", RUN, 0.0)
    assert again
    assert leases.revoke(store, "late", again.token, only_ended=True)
    leases.forget_ended(store, older_than_s=-LONG_S)
    assert leases.expired_total(store) == 2, "the number outlives the leases"
    lease.good_until_s = 0.0
    with pytest.raises(VideoBusy):
        lease.check()
    assert leases.look(store, "nobody") is None


def test_processes_never_hold_it_together(store: dg.DagsterInstance, tmp_path: Path):
    code = (
        "import sys, os, time, dagster as dg\n"
        "from pathlib import Path\n"
        "from dubarr_pipeline.defs.distributed import leases\n"
        # Three processes, forked from each other once what takes a second is imported.
        "child = os.fork() or os.fork()\n"
        "with dg.DagsterInstance.from_config(sys.argv[1]) as store:\n"
        "    held = 0\n"
        "    while held < 10:\n"
        "        if lease := leases.take(store, 'turns', sys.argv[2], 600.0):\n"
        "            inside = Path(sys.argv[3])\n"
        "            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))\n"
        "            inside.unlink()\n"
        "            held += 1\n"
        "            lease.release()\n"
        "        time.sleep(0.001)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else 0)\n"
    )
    inside = tmp_path / "inside"
    command = [sys.executable, "-c", code, store.root_directory, RUN, str(inside)]
    assert subprocess.run(command, check=False).returncode == 0
    state = leases.look(store, "turns")
    assert state
    assert state.token == 30


def test_a_killed_holder_of_this_machine_is_not_waited_for(store: dg.DagsterInstance):
    other = _another_holds(store, "killed", LONG_S)
    with other:
        assert leases.take(store, "killed", RUN, LONG_S) is None
        other.kill()
    with leases.film_lease(store, "killed", RUN, LONG_S) as lease:
        assert lease.token > 1


def test_what_a_stopped_holder_makes_after_its_end_is_refused(store: dg.DagsterInstance):
    other = _another_holds(store, "stopped", 1.0)
    with other:
        os.kill(other.pid, signal.SIGSTOP)
        while (lease := leases.take(store, "stopped", RUN, LONG_S)) is None:
            time.sleep(0.05)
        os.kill(other.pid, signal.SIGCONT)
        said, _ = other.communicate("go\n")
    assert said == "VideoBusy\n"
    assert not list((Path(store.root_directory) / "results").iterdir())
    lease.check()


def test_a_film_is_busy_while_a_live_run_has_it(store: dg.DagsterInstance):
    run = dg.DagsterRun("dub", status=dg.DagsterRunStatus.STARTED)
    store.add_run(run)
    assert leases.take(store, "film", run.run_id, LONG_S)
    state = leases.look(store, "film")
    assert state
    leases.revoke(store, "film", state.token)
    # As a process of another machine holds it: nobody here can tell if it lives.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: "elsewhere")
        away = leases.take(store, "film", run.run_id, 2.0)
    assert away
    with (
        pytest.raises(VideoBusy, match="elsewhere"),
        leases.film_lease(store, "film", RUN, LONG_S),
    ):
        pass
    # Its own run waits for it.
    with leases.film_lease(store, "film", run.run_id, LONG_S) as lease:
        assert lease.token > away.token


def test_ended_ones_are_forgotten(store: dg.DagsterInstance):
    for name in ("old", "new"):
        lease = leases.take(store, f"forget {name}", RUN, LONG_S)
        assert lease
        if name == "old":
            lease.release(-7200.0)
    assert leases.forget_ended(store, 3600.0) == 1
    assert leases.look(store, "forget old") is None
    assert leases.look(store, "forget new")


def test_a_fence_stands_around_its_folder_only(tmp_path: Path):
    def refuse() -> None:
        raise VideoBusy("no")

    with fenced(tmp_path / "in", refuse):
        with whole_file(tmp_path / "out" / "file") as part:
            part.write_text("x")
        with pytest.raises(VideoBusy), whole_file(tmp_path / "in" / "file") as part:
            part.write_text("x")
    assert [each.name for each in tmp_path.rglob("*") if each.is_file()] == ["file"]
    assert (tmp_path / "out" / "file").is_file()
