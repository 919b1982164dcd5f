from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dubarr_pipeline.config.settings import parse_settings
from dubarr_pipeline.errors import BadReply, ServiceTimeout, ServiceUnavailable, SettingsError
from dubarr_pipeline.services.http_client import ServerOptions, ServiceClient, key_of


class Scripted(BaseHTTPRequestHandler):
    """Answers with the statuses it was given, one after the other; the last one for ever."""

    protocol_version = "HTTP/1.1"
    script: list[int] = []  # noqa: RUF012
    seen: list[str | None] = []  # noqa: RUF012
    delay_s = 0.0
    words = b"no luck"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.seen.append(self.headers.get("authorization"))
        status = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        time.sleep(self.delay_s)
        body = b'{"fine": true}' if status == 200 else self.words
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
    server = ServiceClient(options)
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


@pytest.mark.parametrize("status", [401, 402, 404, 301, 308, 451, 501, 507, 520])
def test_a_refusal_is_not_repeated(address: str, status: int) -> None:
    Scripted.script = [status]
    with pytest.raises(ServiceUnavailable, match=f"refuses .{status}.*address, key and account"):
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
    server = ServiceClient(ServerOptions(address, attempts=5, backoff_s=60.0, backoff_limit_s=60.0))
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


class Endless(BaseHTTPRequestHandler):
    """Sends a web page, an answer without end, or a byte now and then."""

    kind = "page"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/html" if self.kind == "page" else "application/json")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            if self.kind == "page":
                self.wfile.write(b"<html>Sign in</html>")
            while self.kind == "endless":
                self.wfile.write(bytes(1 << 20))
            for _ in range(100 if self.kind == "slow" else 0):
                self.wfile.write(b" ")
                time.sleep(0.1)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("page", ServiceUnavailable, "Sign in"),
        ("endless", BadReply, "more than 64 MiB"),
        ("slow", ServiceTimeout, "no answer in"),
    ],
)
def test_pages_and_answers_without_end_are_named(
    kind: str, error: type[Exception], words: str
) -> None:
    Endless.kind = kind
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        with pytest.raises(error, match=words):
            asked(f"http://127.0.0.1:{server.server_port}", 1, 1.0 if kind == "slow" else 60.0)
    finally:
        server.shutdown()
        server.server_close()


def test_words_of_a_failing_server_are_one_plain_line(address: str) -> None:
    Scripted.script = [402]
    Scripted.words = b"\x1b]0;x\x07no \x1b[2Jcredit\r\nERROR\xe2\x80\xaefake line"
    try:
        with pytest.raises(ServiceUnavailable) as raised:
            asked(address)
    finally:
        Scripted.words = b"no luck"
    assert "no credit ERROR fake line" in str(raised.value)
    assert str(raised.value).isprintable()


def test_a_password_in_an_address_is_never_told(address: str) -> None:
    Scripted.script = [500]
    with pytest.raises(ServiceUnavailable) as raised:
        asked(address.replace("//", "//user:secret@"), attempts=1)
    assert "secret" not in str(raised.value)
    assert "127.0.0.1" in str(raised.value)


@pytest.mark.parametrize(
    "url",
    ["http://[::1:8000/v1", "http://a\0b/v1", f"http://{'a' * 70}.de", "ftp://host", "host:80", ""],
)
def test_what_is_no_address_is_refused_by_the_settings(url: str) -> None:
    with pytest.raises(SettingsError, match="no address of a server"):
        parse_settings({"llm": {"url": url}})


def test_a_key_is_stripped_or_refused_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret\n")
    assert key_of("MY_KEY") == "sk-secret"
    for wrong in ("sk-sécret", "sk-se\ncret"):
        monkeypatch.setenv("MY_KEY", wrong)
        with pytest.raises(SettingsError, match=r"\$MY_KEY") as raised:
            key_of("MY_KEY")
        assert "cret" not in str(raised.value)
