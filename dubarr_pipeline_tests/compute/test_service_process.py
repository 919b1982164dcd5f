from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from dubarr_pipeline.compute import subreaper
from dubarr_pipeline.compute.backoff import Backoff, RestartPolicy
from dubarr_pipeline.compute.service_process import PORT, Launch, ServiceProcess
from dubarr_pipeline.errors import ServiceUnavailable
from dubarr_pipeline.services.http_client import ServerOptions, ServiceClient
from dubarr_pipeline_tests.fakes import service_worker

POLICY = RestartPolicy(Backoff(0.01), max_restarts=2, steady_s=60.0, grace_s=0.3)
DEADLINE_S = 60.0


def launch(folder: Path, *modes: str, deadline_s: float = DEADLINE_S) -> Launch:
    command = (sys.executable, "-I", "-S", service_worker.__file__, PORT, str(folder), *modes)
    return Launch("tts", command, {}, "TOKEN", deadline_s=deadline_s)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., ServiceProcess]]:
    """Makes services that misbehave as told; whatever comes of the test, they are gone then."""
    made: list[ServiceProcess] = []

    def make(*modes: str, deadline_s: float = DEADLINE_S) -> ServiceProcess:
        folder = launch(tmp_path, *modes, deadline_s=deadline_s)
        made.append(ServiceProcess(folder, tmp_path / "logs", POLICY))
        return made[-1]

    yield make
    for service in made:
        service.close()
    while CLIENTS:
        CLIENTS.pop().close()


CLIENTS: list[ServiceClient] = []


def client(service: ServiceProcess, **patience: float) -> ServiceClient:
    facts = {"timeout_s": 30.0, "backoff_s": 0.01, **patience}
    options = ServerOptions(service.url, service.token, **facts)  # type: ignore[arg-type]
    CLIENTS.append(ServiceClient(options, service))
    return CLIENTS[-1]


def pids(folder: Path, kind: str) -> list[int]:
    return [int(path.name.rpartition("-")[2]) for path in folder.glob(f"{kind}-*")]


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def gone(found: list[int]) -> bool:
    """Whether all of them end; the deadline is for broken code only."""
    end = time.monotonic() + DEADLINE_S
    while any(map(alive, found)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(alive, found))


def test_nothing_is_started_before_the_first_request(start, tmp_path: Path):
    service = start()
    assert service.pid is None
    assert not pids(tmp_path, "life")
    with pytest.raises(httpx.ConnectError):
        httpx.get(service.url, trust_env=False)
    server = client(service)
    assert server.post("x", {}).text == str(pids(tmp_path, "life")[0])
    assert service.pid is not None
    assert server.post("x", {}).is_success
    assert service.starts == 1


def test_many_first_requests_start_it_once(start, tmp_path: Path):
    server = client(service := start())
    with ThreadPoolExecutor(8) as pool:
        answers = {found.text for found in pool.map(lambda _: server.post("x", {}), range(16))}
    assert answers == {str(pid) for pid in pids(tmp_path, "life")}
    assert service.starts == 1


def test_it_has_a_token_of_its_own_that_stands_in_no_command_and_no_log(start):
    service, other = start(), start()
    assert service.token != other.token
    with service.serving():
        pass
    assert httpx.get(service.url, trust_env=False).status_code == 401
    assert service.token not in service.log.read_text()
    told = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _readable(path)]
    assert not any(service.token.encode() in command for command in told)


def _readable(path: Path) -> bool:
    with suppress(OSError):
        path.read_bytes()
        return True
    return False


def test_its_port_is_given_to_nobody_else_before_it_starts_or_after_it_died(start):
    service = start()
    for _ in range(2):
        for _ in range(300):
            with socket.socket() as other:
                other.bind(("127.0.0.1", 0))
                assert other.getsockname()[1] != service.port
        with socket.socket() as rude, pytest.raises(OSError, match="in use"):
            rude.bind(("127.0.0.1", service.port))
        with service.serving():
            pass
        service.halt()


def test_a_request_that_kills_its_server_is_repeated_and_not_lost(start, tmp_path: Path):
    server = client(service := start())
    answer = server.post("x", {"a": "die"})
    assert service.starts == 2
    assert int(answer.text) in pids(tmp_path, "life")


def test_requests_beside_one_that_kills_the_server_are_not_lost_either(start):
    server = client(service := start())
    server.post("x", {})
    with ThreadPoolExecutor(6) as pool:
        said = ["die", *["live"] * 12]
        answers = list(pool.map(lambda word: server.post("x", {"a": word}).status_code, said))
    assert answers == [200] * 13
    assert service.starts == 2


def test_kill_9_between_two_requests_goes_unnoticed(start, tmp_path: Path):
    server = client(service := start())
    first = server.post("x", {}).text
    os.kill(int(first), signal.SIGKILL)
    assert gone([int(first)])
    assert server.post("x", {}).text != first
    assert service.starts == 2


def test_a_server_that_hangs_is_ended_and_started_again(start, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dubarr_pipeline.compute.service_process._PROBE_S", 0.3)
    server = client(service := start(), timeout_s=0.5)
    assert server.post("x", {"a": "hang"}).is_success
    assert service.starts == 2


def test_a_service_that_does_not_come_up_is_named_with_its_last_words(start):
    service = start("crash")
    for _ in range(2):
        with pytest.raises(ServiceUnavailable, match=r"(?s)status 7.*tts\.log.*no such device"):
            client(service).post("x", {})
    assert service.starts == 1


def test_one_that_is_killed_in_its_first_start_is_started_again(start):
    service = start("killed-once")
    assert client(service).post("x", {}).is_success
    assert service.starts == 2


def test_a_service_that_never_gets_ready_is_ended_at_the_deadline(start, tmp_path: Path):
    with pytest.raises(ServiceUnavailable, match=r"(?s)not ready after 1 s.*the worker begins"):
        client(start("mute", deadline_s=0.7)).post("x", {})
    assert gone(pids(tmp_path, "life"))


def test_one_that_dies_again_and_again_is_given_up(start):
    service = start("crash-later")
    server = client(service)
    pid = int(server.post("x", {}).text)
    os.kill(pid, signal.SIGKILL)
    assert gone([pid])
    with pytest.raises(ServiceUnavailable, match=r"(?s)died 3 times in a row.*no such device"):
        server.post("x", {})
    assert service.starts == 3


def test_a_program_that_is_not_there_is_named(tmp_path: Path):
    service = ServiceProcess(Launch("llm", ("/nowhere/vllm",)), tmp_path, POLICY)
    with pytest.raises(ServiceUnavailable, match="/nowhere/vllm"), service.serving():
        pass
    service.close()


@pytest.mark.parametrize("modes", [("family",), ("family", "stubborn")])
def test_stopping_leaves_nothing_of_it(start, tmp_path: Path, modes: tuple[str, ...]):
    service = start(*modes)
    client(service).post("x", {})
    family = [*pids(tmp_path, "life"), *pids(tmp_path, "grandchild")]
    assert len(family) == 2
    assert all(map(alive, family))
    service.close()
    service.close()
    assert not any(map(alive, family))
    with pytest.raises(ServiceUnavailable, match="was stopped"):
        client(service).post("x", {})
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", service.port))


def test_halting_ends_it_for_now(start, tmp_path: Path):
    server = client(service := start("family"))
    server.post("x", {})
    service.halt()
    assert not any(map(alive, [*pids(tmp_path, "life"), *pids(tmp_path, "grandchild")]))
    assert server.post("x", {}).is_success


def test_what_a_dead_service_left_behind_is_ended_before_the_next(start, tmp_path: Path):
    server = client(start("family"))
    pid = int(server.post("x", {}).text)
    (grandchild,) = pids(tmp_path, "grandchild")
    os.kill(pid, signal.SIGKILL)
    assert gone([grandchild])
    assert server.post("x", {}).is_success


def test_even_a_killed_supervisor_leaves_no_service_behind(start, tmp_path: Path):
    server = client(service := start())
    first = int(server.post("x", {}).text)
    assert service.pid is not None
    os.kill(service.pid, signal.SIGKILL)
    assert gone([first])
    assert int(server.post("x", {}).text) != first


def test_stopping_does_not_wait_for_a_slow_start(start, tmp_path: Path):
    service = start("mute")
    failures: list[str] = []

    def ask() -> None:
        try:
            client(service).post("x", {})
        except ServiceUnavailable as error:
            failures.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    while not pids(tmp_path, "life"):
        time.sleep(0.01)
    service.close()
    thread.join(DEADLINE_S)
    assert "was stopped while it started" in failures[0]
    assert gone(pids(tmp_path, "life"))


RUN = """
import sys, time
from pathlib import Path
from dubarr_pipeline.compute.service_process import ServiceProcess
from dubarr_pipeline_tests.compute.test_service_process import POLICY, client, launch
service = ServiceProcess(launch(Path(sys.argv[1]), "family"), Path(sys.argv[1]) / "logs", POLICY)
client(service).post("x", {})
print("served", service.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_orphan_survives_a_killed_run(tmp_path: Path, number: signal.Signals):
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with run:
        assert run.stdout is not None
        supervisor = int(run.stdout.readline().split()[1])
        family = [supervisor, *pids(tmp_path, "life"), *pids(tmp_path, "grandchild")]
        assert len(family) == 3
        os.killpg(run.pid, number)
    assert gone(family)


def test_init_is_the_child_of_no_process():
    """Whoever ends the children of a process that does not run, id 0, must not end init."""
    families = subreaper.children()
    assert 0 not in families
    assert not any(1 in family for family in families.values())
