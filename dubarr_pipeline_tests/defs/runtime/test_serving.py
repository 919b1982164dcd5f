"""The receiver of webhooks beside Dagster's processes, for real, with a base that only waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from dubarr_pipeline.defs.runtime.server import (
    REVIEW,
    WEBHOOKS,
    WebAddress,
    library_programs,
)
from dubarr_pipeline_tests.fixtures.bench import write_config
from dubarr_pipeline_tests.fixtures.dagster_server import free_port

SUPERVISOR = """
import sys
from pathlib import Path
from dubarr_pipeline.compute.backoff import Backoff, RestartPolicy
from dubarr_pipeline.defs.runtime.process_supervisor import ProcessSupervisor, Program
from dubarr_pipeline.defs.runtime.server import WEBHOOKS, WebAddress, own_program

wait = Program("base", (sys.executable, "-S", "-c", "import time; time.sleep(600)"), lambda: True)
policy = RestartPolicy(Backoff(0.1, 0.3), max_restarts=None, steady_s=30.0, grace_s=3.0)
programs = [wait, own_program(WEBHOOKS, WebAddress("127.0.0.1", int(sys.argv[2])))]
ProcessSupervisor(programs, Path(sys.argv[1]), print, policy).run(0)
"""


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 90
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a receiver that is kept alive."""
    port, films = free_port(), tmp_path / "films"
    films.mkdir()
    tables = {
        "libraries.films": {"path": str(films), "target_langs": ["es"]},
        "webhooks": {"port": port},
    }
    config = write_config(tmp_path / "dubarr.toml", tables)
    work_dir = tmp_path / "work"
    named = {"DUBARR_CONFIG": str(config), "DUBARR_WORK_DIR": str(work_dir)}
    keeper = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path), str(port)],
        stdin=subprocess.PIPE,
        env={**os.environ, **named, "DUBARR_WEBHOOK_TOKEN": "0123456789abcdef"},
    )
    yield port
    assert keeper.stdin
    keeper.stdin.close()
    assert keeper.wait(60) == 0
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port}/health")


def receivers(port: int) -> set[int]:
    """The processes that listen for webhooks."""
    found: set[int] = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_receiver = b"serve\0webhooks" in (folder / "cmdline").read_bytes()
            if is_receiver and str(port).encode() in _config_of(folder):
                found.add(int(folder.name))
    return found


def _config_of(process: Path) -> bytes:
    pairs = (each.partition(b"=") for each in (process / "environ").read_bytes().split(b"\0"))
    named = {name: value for name, _, value in pairs}
    return Path(os.fsdecode(named.get(b"DUBARR_CONFIG", b"/dev/null"))).read_bytes()


def answers(port: int) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    return False


def test_a_receiver_that_is_killed_comes_back(port: int):
    until(lambda: answers(port))
    (first,) = receivers(port)
    os.kill(first, signal.SIGKILL)
    until(lambda: receivers(port) - {first} and answers(port))


def test_our_own_servers_run_beside_dagsters(tmp_path: Path):
    (tmp_path / "serving").mkdir()
    web = WebAddress()
    others = {REVIEW: WebAddress(port=8766), WEBHOOKS: WebAddress(port=8765)}
    with_them = library_programs(tmp_path, tmp_path, web, others)
    assert [(each.name, each.address) for each in with_them][3:] == [
        ("review page", "http://127.0.0.1:8766/review/"),
        ("webhook receiver", "http://127.0.0.1:8765"),
    ]
    assert len(library_programs(tmp_path, tmp_path, web)) == 3
