from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dubarr_pipeline.errors import BadReply, ServiceTimeout, ServiceUnavailable
from dubarr_pipeline.services.reply_json import bare_json
from dubarr_pipeline.services.server import Server, ServerOptions


class Scripted(BaseHTTPRequestHandler):
    """Answers with the statuses it was given, one after the other; the last one for ever."""

    protocol_version = "HTTP/1.1"
    script: list[int] = []  # noqa: RUF012
    seen: list[str | None] = []  # noqa: RUF012
    delay_s = 0.0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.seen.append(self.headers.get("authorization"))
        status = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        time.sleep(self.delay_s)
        body = b'{"fine": true}' if status == 200 else b"no luck"
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        if status == 429:
            self.send_header("retry-after", "0")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    Scripted.seen, Scripted.delay_s = [], 0.0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def asked(address: str, attempts: int = 3, timeout_s: float = 5.0) -> bytes:
    options = ServerOptions(address, "secret", timeout_s, attempts=attempts, backoff_s=0.001)
    server = Server(options)
    try:
        return server.post("/x", {"a": 1}).content
    finally:
        server.close()


@pytest.mark.parametrize(
    ("script", "calls"), [([200], 1), ([500, 200], 2), ([503, 429, 200], 3), ([408, 502, 200], 3)]
)
def test_passing_trouble_is_tried_again(address: str, script: list[int], calls: int) -> None:
    Scripted.script = script
    assert asked(address) == b'{"fine": true}'
    assert Scripted.seen == ["Bearer secret"] * calls


def test_lasting_trouble_is_named_after_the_last_attempt(address: str) -> None:
    Scripted.script = [500]
    with pytest.raises(ServiceUnavailable, match="500"):
        asked(address)
    assert len(Scripted.seen) == 3


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_wrong_request_is_not_repeated(address: str, status: int) -> None:
    Scripted.script = [status]
    with pytest.raises(BadReply, match=str(status)):
        asked(address)
    assert len(Scripted.seen) == 1


@pytest.mark.parametrize("status", [401, 404])
def test_a_refusal_is_not_repeated(address: str, status: int) -> None:
    Scripted.script = [status]
    with pytest.raises(ServiceUnavailable, match="address and the key"):
        asked(address)
    assert len(Scripted.seen) == 1


def test_a_hanging_server_is_left(address: str) -> None:
    Scripted.script, Scripted.delay_s = [200], 0.4
    with pytest.raises(ServiceTimeout, match="no answer"):
        asked(address, attempts=2, timeout_s=0.05)
    assert len(Scripted.seen) == 2


def test_an_absent_server_is_named() -> None:
    with pytest.raises(ServiceUnavailable, match="is it running"):
        asked("http://127.0.0.1:9/v1")


def test_closing_ends_the_wait_for_a_retry(address: str) -> None:
    Scripted.script = [500]
    server = Server(ServerOptions(address, attempts=5, backoff_s=60.0, backoff_limit_s=60.0))
    failures: list[Exception] = []

    def ask() -> None:
        try:
            server.post("x", {})
        except ServiceUnavailable as error:
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not Scripted.seen:
        time.sleep(0.005)
    server.close()
    thread.join(timeout=20)
    assert len(failures) == 1


@pytest.mark.parametrize(
    ("content", "bare"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('<think>{"b": 2}</think>\nSure: {"a": 1}!', '{"a": 1}'),
        ("nothing", "nothing"),
    ],
)
def test_json_is_freed_of_what_models_put_around_it(content: str, bare: str) -> None:
    assert bare_json(content) == bare
