"""The frame of our servers over real loopback sockets: slow, rude and crowded clients."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dubarr_pipeline.errors import RequestRefused
from dubarr_pipeline.services import bearer_auth
from dubarr_pipeline.services.web import OPEN_PATH, WebApp, WebLimits, WebServer, read_body

TOKEN = "a token with a letter beyond ASCII: ü"
BEARER = {"Authorization": f"Bearer {TOKEN}".encode()}
LIMITS = WebLimits(body_bytes=64 * 1024, timeout_s=0.6, requests=3)
HELD = threading.Event()
"""While it is set, requests to wait do not end."""
HEAD = f"POST /echo HTTP/1.1\r\nHost: x\r\nX-Dubarr-Token: {TOKEN}\r\n".encode()


async def health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def echo(request: Request) -> Response:
    return Response(await read_body(request, LIMITS))


async def large(_: Request) -> Response:
    return Response(bytes(50_000_000))


async def wait(_: Request) -> Response:
    sys.stdout.write("asked to wait\n")
    sys.stdout.flush()
    await asyncio.sleep(1.0)
    while HELD.is_set():
        await asyncio.sleep(0.01)
    return Response(b"waited")


async def broken(_: Request) -> Response:
    raise RuntimeError("secret words of a model")


def error_document(error: RequestRefused) -> dict[str, Any]:
    return {"error": str(error), "code": error.code}


def app() -> WebApp:
    routes = {
        ("GET", OPEN_PATH): health,
        ("POST", "/echo"): echo,
        ("GET", "/large"): large,
        ("GET", "/wait"): wait,
        ("GET", "/broken"): broken,
    }
    return WebApp(routes, TOKEN, LIMITS, error_document)


@contextlib.contextmanager
def running(host: str = "127.0.0.1") -> Iterator[WebServer]:
    server = WebServer(app(), host, 0)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(10)
        server.close()
    assert not thread.is_alive()


@pytest.fixture
def server() -> Iterator[WebServer]:
    with running() as found:
        yield found


@contextlib.contextmanager
def line(server: WebServer) -> Iterator[socket.socket]:
    address = ("127.0.0.1", httpx.URL(server.url).port or 0)
    with socket.create_connection(address, timeout=20) as found:
        yield found


def all_of(line: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while data := line.recv(65536):
            found += data
    return found


def await_that(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    assert holds()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_it_listens_at_any_kind_of_address(host: str):
    with running(host) as server:
        assert httpx.get(f"{server.url}/health", trust_env=False).json() == {"status": "ok"}


def test_an_address_in_use_is_an_error(server: WebServer):
    with pytest.raises(OSError, match="in use"):
        WebServer(app(), "127.0.0.1", httpx.URL(server.url).port or 0)


def test_a_connection_serves_several_requests(server: WebServer):
    with httpx.Client(base_url=server.url, headers=BEARER, trust_env=False) as client:
        for words in (b"one", b"two"):
            assert client.post("/echo", content=words).content == words
    with line(server) as wire:
        wire.sendall((HEAD + b"Content-Length: 3\r\n\r\none") * 2)
        answers = b""
        while answers.count(b" 200 ") < 2:
            more = wire.recv(4096)
            assert more, "the connection ends after both"
            answers += more


def test_a_body_where_none_belongs_is_not_the_next_request(server: WebServer):
    smuggled = b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"
    with line(server) as wire:
        length = f"Content-Length: {len(smuggled)}\r\n\r\n".encode()
        wire.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n" + length + smuggled)
        assert all_of(wire).count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("begin", [b"", HEAD, HEAD[:20]])
def test_a_head_that_does_not_come_is_cut(server: WebServer, begin: bytes):
    started = time.monotonic()
    with line(server) as wire:
        wire.sendall(begin)
        assert all_of(wire) == b""
    assert time.monotonic() - started > 0.4


def test_a_head_that_comes_by_bytes_is_cut(server: WebServer):
    sent = 0
    with line(server) as wire, contextlib.suppress(ConnectionError):
        for byte in HEAD * 20:
            wire.sendall(bytes([byte]))
            sent += 1
            time.sleep(0.05)
    assert sent < 60


def test_a_body_that_stops_or_creeps_is_answered_by_408(
    server: WebServer, caplog: pytest.LogCaptureFixture
):
    with line(server) as wire:
        wire.sendall(HEAD + b"Content-Length: 500\r\n\r\n{")
        for _ in range(2):
            time.sleep(0.2)
            wire.sendall(b"x")
        answer = all_of(wire)
    assert b" 408 " in answer
    assert b"connection: close" in answer.lower()
    assert "did not arrive within 0.6 s" in caplog.text


def test_an_answer_that_nobody_reads_is_cut(server: WebServer):
    with line(server) as wire:
        wire.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nX-Dubarr-Token: " + TOKEN.encode())
        wire.sendall(b"\r\n\r\n")
        time.sleep(1.5)
        assert len(all_of(wire)) < 50_000_000


@pytest.mark.parametrize(
    ("length", "status", "code"),
    [
        (b"Content-Length: 0\r\n", b" 200 ", b""),
        (b"", b" 411 ", b"length_required"),
        (b"Transfer-Encoding: chunked\r\n", b" 411 ", b"length_required"),
        (b"Content-Length: 65537\r\n", b" 413 ", b"more than 64 KiB"),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", b" 400 ", b""),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b" 400 ", b"ambiguous_length"),
        (b"Content-Length: -5\r\n", b" 400 ", b""),
        (b"Content-Length: " + b"9" * 5000 + b"\r\n", b" 400 ", b""),
    ],
)
def test_lengths_of_bodies(server: WebServer, length: bytes, status: bytes, code: bytes):
    with line(server) as wire:
        wire.sendall(HEAD + length + b"\r\n")
        answer = wire.recv(4096)
        assert status in answer
        assert code in answer + wire.recv(4096)


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ({}, "/echo", 401),
        ({}, "/nowhere", 401),
        ({"Authorization": b"Bearer x"}, "/echo", 401),
        ({"Authorization": f"Bearer {TOKEN}".encode("latin-1")}, "/echo", 401),
        ({"Authorization": f"bearer  {TOKEN}".encode()}, "/echo", 200),
        (BEARER, "/nowhere", 404),
        (BEARER, "/echo/", 404),
        (BEARER, "/health", 404),
    ],
)
def test_the_token_comes_first(
    server: WebServer, headers: dict[str, bytes], path: str, status: int
):
    answer = httpx.post(server.url + path, content=b"x", headers=headers, trust_env=False)
    assert answer.status_code == status, answer.text


def test_too_many_are_told_to_come_again(server: WebServer):
    statuses: list[int] = []

    def ask() -> None:
        answer = httpx.get(f"{server.url}/wait", headers=BEARER, trust_env=False, timeout=20)
        statuses.append(answer.status_code)
        if answer.status_code == 503:
            assert answer.headers["retry-after"] == "1"

    threads = [threading.Thread(target=ask) for _ in range(6)]
    HELD.set()
    try:
        for thread in threads:
            thread.start()
        await_that(lambda: len(statuses) == 3)
        assert httpx.get(f"{server.url}/health", trust_env=False).status_code == 200
    finally:
        HELD.clear()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 200, 200, 503, 503, 503]


def test_an_error_of_ours_is_a_500_without_its_words(
    server: WebServer, caplog: pytest.LogCaptureFixture
):
    answer = httpx.get(f"{server.url}/broken", headers=BEARER, trust_env=False)
    assert answer.status_code == 500
    assert answer.json() == {"error": "internal error: RuntimeError", "code": "internal_error"}
    await_that(lambda: "secret words" in caplog.text)
    assert "Traceback" in caplog.text, "the operator's log has the traceback"


def test_a_reset_connection_is_no_traceback(server: WebServer, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    for begin in (HEAD[:10], HEAD + b"Content-Length: 50\r\n\r\n{"):
        with line(server) as wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            wire.sendall(begin)
            time.sleep(0.1)
    time.sleep(0.2)
    assert "Traceback" not in caplog.text
    assert httpx.get(f"{server.url}/health", trust_env=False).status_code == 200


SERVING = """
import sys
from dubarr_pipeline_tests.services.test_web import WebServer, app
server = WebServer(app(), "127.0.0.1", 0)
print(server.url, flush=True)
server.serve()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_requests_in_progress(number: signal.Signals):
    with subprocess.Popen(
        [sys.executable, "-c", SERVING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        answers: list[bytes] = []
        asking = threading.Thread(
            target=lambda: answers.append(
                httpx.get(f"{url}/wait", headers=BEARER, trust_env=False, timeout=20).content
            )
        )
        asking.start()
        assert process.stdout.readline() == "asked to wait\n"
        process.send_signal(number)
        asking.join()
        process.communicate(timeout=10)
    assert answers == [b"waited"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)


def test_the_token_check_needs_nothing_of_the_package():
    """It is started by its path, in an environment that may not hold the package."""
    code = (
        "import runpy, sys\n"
        "found = runpy.run_path(sys.argv[1])\n"
        "print(found['shows_token']([(b'authorization', b'Bearer a')], 'a'),"
        " [n for n in sys.modules if n.partition('.')[0] in ('dubarr_pipeline', 'uvicorn')])"
    )
    command = [sys.executable, "-I", "-c", code, bearer_auth.__file__]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "[]"]
