"""`dubarr serve library`: what is killed comes back, what is stopped is gone, nothing is lost."""

from __future__ import annotations

import configparser
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import pytest

from dubarr_pipeline.cli.serve import serve_library
from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline.defs.runtime.server import WebAddress, socket_root
from dubarr_pipeline_tests.fixtures.bench import write_config
from dubarr_pipeline_tests.fixtures.dagster_server import ROOT, Server, free_port
from dubarr_pipeline_tests.fixtures.film_shelf import make_shelf, register

NO_SIGN = "no sign of life of the daemon"
KEEPER = "dubarr_pipeline.defs.runtime.server"
READY = "webserver is ready"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    config = write_config(tmp_path / "dubarr.toml", {"review": {"port": free_port()}})
    found = Server(tmp_path / "work", config, supervised=True)
    yield found
    found.kill()


@pytest.fixture
def keys(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two films, partitions of the server's store."""
    monkeypatch.setenv("DAGSTER_HOME", str(server.home))
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    return register(make_shelf(shelf, ["One", "Two"]), server.work_dir, None)


def pid_of(server: Server, words: str) -> int:
    """The process that was started with these words; 0 if there is none."""
    return next((pid for pid, command in server.processes().items() if words in command), 0)


def kill(server: Server, words: str) -> None:
    """Kill a part, and wait until another one has taken its place and is ready."""
    ready = server.all_words().count("is ready again")
    os.kill(killed := pid_of(server, words), signal.SIGKILL)
    server.wait(lambda: server.all_words().count("is ready again") > ready, f"{words} is back")
    assert pid_of(server, words) not in (0, killed)


def asked(server: Server, path: str) -> httpx.Response:
    """What the review page's port answers; 503 while nobody does."""
    assert server.config
    port = load_settings(server.config).review.port
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=60)
    except httpx.TransportError:
        return httpx.Response(503, json={"faults": []})


def health(server: Server) -> tuple[int, str]:
    """What `/healthz` says."""
    found = asked(server, "/healthz")
    return found.status_code, "; ".join(each["fault"] for each in found.json()["faults"])


def lose_signs_of_life(server: Server, seconds: float) -> None:
    """Make the daemon's last signs of life older, as if the time had passed."""
    with dg.DagsterInstance.from_config(str(server.home)) as store:
        for each in store.get_daemon_heartbeats().values():
            store.add_daemon_heartbeat(each._replace(timestamp=each.timestamp - seconds))


def log_lines(server: Server) -> list[dict[str, object]]:
    """All that its processes wrote: nothing but JSON objects."""
    logs = [server.log, *(server.home / "serving").glob("*.log")]
    assert len(logs) >= 5
    lines = [line for log in logs for line in log.read_text().splitlines()]
    found = [json.loads(line) for line in lines]
    assert all(each.keys() >= {"time", "level", "logger", "message"} for each in found)
    return found


@pytest.mark.slow
def test_each_part_may_be_killed_and_the_library_is_dubbed(server: Server, keys: list[str]):
    server.start()
    second = _serve(server, server.port)
    assert second.returncode != 0
    assert f"another `dubarr serve library` (process {server.process.pid})" in second.stderr

    run = server.launch(keys[0])
    server.wait(lambda: server.made(run) >= 1, "a stage is made")
    kill(server, "api grpc")
    assert server.finish(run)["status"] == "SUCCESS", server.words()

    # A machine with much else to do may answer late.
    server.wait(lambda: health(server) == (200, ""), "all is well")
    hung = pid_of(server, "dagster._daemon")
    os.kill(hung, signal.SIGSTOP)
    lose_signs_of_life(server, 100)
    server.wait(lambda: NO_SIGN in health(server)[1], "a daemon that does nothing is noticed")
    kill(server, "dagster._daemon")
    server.wait(lambda: health(server) == (200, ""), "the new one is seen")
    server.wait(lambda: asked(server, "/metrics").status_code == 200, "there are figures")
    kill(server, "report_pages")
    kill(server, "api grpc")
    server.wait(server.knows_code, "the UI knows the code")
    assert server.finish(server.launch(keys[1]))["status"] == "SUCCESS", server.words()
    assert len(server.runs()) == 2
    sent = [*server.home.glob("logs/*"), *server.home.glob(".logs_queue/*")]
    assert sent == [], "Dagster's webserver sends these to its makers"


@pytest.mark.slow
def test_what_is_stopped_is_gone_and_goes_on_later(server: Server, keys: list[str]):
    assert server.config
    with server.config.open("a") as config:
        config.write('[logging]\nformat = "json"\n')
    server.start()
    run = server.launch(keys[0])
    server.wait(lambda: server.made(run) >= 2, "two stages are made")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(120) == 0
    assert not server.processes()

    server.start()
    # An interrupt may come too late to end it; one that it ended is taken up again by itself.
    assert server.run(run)["status"] in ("FAILURE", "SUCCESS")
    server.wait(
        lambda: any(each["status"] == "SUCCESS" for each in server.runs()), "the film is dubbed"
    )

    os.kill(pid_of(server, KEEPER), signal.SIGKILL)
    noticed = "the supervisor ended"
    server.wait(lambda: noticed in server.all_words(), "it is noticed")
    server.wait(lambda: READY in server.all_words().partition(noticed)[2], "all is back")
    server.process.kill()
    server.wait(lambda: not server.processes(), "nothing outlives the command")
    lines = log_lines(server)
    assert {"dubarr_pipeline", "dagster"} <= {
        str(each["logger"]).partition(".")[0] for each in lines
    }
    of_run = [each for each in lines if each.get("run") == run]
    assert {each.get("film") for each in of_run} == {keys[0]}
    assert {"vocals", "diarization"} <= {each.get("stage") for each in of_run}
    assert any(str(each["logger"]).startswith("dubarr_pipeline.") for each in of_run)
    assert {each["logger"] for each in lines if READY in str(each["message"])} == {KEEPER}


def _serve(server: Server, port: int) -> subprocess.CompletedProcess[str]:
    """A second one on the same store."""
    return subprocess.run(
        [*server.command()[:-1], str(port)],
        cwd=ROOT,
        env=server.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.slow
def test_a_port_that_is_taken_is_named_with_the_cure(server: Server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = _serve(server, port)
    assert told.returncode != 0
    assert f"port {port} of 127.0.0.1: Address already in use; choose another" in told.stderr
    assert not server.processes()


def test_the_unit_of_systemd_starts_what_there_is():
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read_string((ROOT / "deploy" / "dubarr.service").read_text())
    program, *arguments = unit["Service"]["ExecStart"].split()
    assert Path(program).name == "dubarr"
    assert arguments[:2] == ["serve", "library"]
    wished = serve_library.make_context("dubarr", arguments[2:]).params
    assert wished["work_dir"] == Path(unit["Service"]["WorkingDirectory"]) / "work"
    assert wished["config"] is not None
    # TERM to all at once would interrupt the runs' tools before the runs.
    assert unit["Service"]["KillMode"] == "mixed"
    assert unit["Service"]["Restart"] == "always"


def test_an_address_for_people():
    assert WebAddress("0.0.0.0", 80).url == "http://127.0.0.1:80"
    assert WebAddress("::").url == "http://[::1]:3000"
    assert WebAddress("nas.local").url == "http://nas.local:3000"


def test_a_sockets_folder_is_never_too_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/dubarr:/run/other")
    assert socket_root() == "/run/dubarr"
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/" + "é" * 50)
    assert socket_root() == "/tmp"
    with socket.socket(socket.AF_UNIX) as trial, pytest.raises(FileNotFoundError):
        trial.connect(f"/{'x' * 79}/dubarr-12345678/code")
