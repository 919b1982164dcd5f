"""The set-up of `deploy/nginx.conf`, in a real nginx before a pretended webserver."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

import dubarr_pipeline

CONFIG = Path(dubarr_pipeline.__file__).parents[1] / "deploy" / "nginx.conf"
NAME = "dubarr.example.org"
PASSWORD = ("you", "pass word")
MUTATION = {"query": "mutation { terminateRun(runId: 1) { __typename } }"}


class Upstream(ThreadingHTTPServer):
    """A webserver that believes everybody; it notes what reached it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str | None, str | None]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Upstream  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        headers = self.headers
        self.server.seen.append(
            (self.command, self.path, headers.get("Host"), headers.get("Authorization"))
        )
        self.rfile.read(int(headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT = do_GET  # noqa: N815 - the base's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass


@dataclass
class Proxy:
    """nginx on loopback, and what came through it."""

    port: int
    upstream: Upstream
    client: httpx.Client
    answers: list[int] = field(default_factory=list[int])

    def ask(self, method: str, path: str, host: str = NAME, **parts: Any) -> int:
        headers = {"Host": host, **parts.pop("headers", {})}
        url = f"https://127.0.0.1:{self.port}{path}"
        auth = parts.pop("auth", PASSWORD)
        return self.client.request(method, url, headers=headers, auth=auth, **parts).status_code


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("nginx")
    upstream = Upstream()
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    (folder / "nginx.conf").write_text(_config(folder, port, upstream.server_port))
    (folder / "dubarr.htpasswd").write_text(f"{PASSWORD[0]}:{{PLAIN}}{PASSWORD[1]}\n")
    _make_certificate(folder)
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    process = subprocess.Popen([nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    client = httpx.Client(verify=False, trust_env=False, timeout=30)
    try:
        _await(port, process)
        yield Proxy(port, upstream, client)
    finally:
        client.close()
        process.terminate()
        process.wait(30)
        upstream.shutdown()
        upstream.server_close()


def _config(folder: Path, port: int, upstream: int) -> str:
    """The file as it is shipped; only ports and places are ours."""
    text = CONFIG.read_text(encoding="utf-8")
    for theirs, ours in (
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("/etc/nginx/", f"{folder}/"),
        ("http://127.0.0.1:3000", f"http://127.0.0.1:{upstream}"),
        ("http://127.0.0.1:8766", f"http://127.0.0.1:{upstream}"),
    ):
        assert theirs in text
        text = text.replace(theirs, ours)
    places = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/errors;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{places}{text}}}\n"
    )


def _make_certificate(folder: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-nodes", "-keyout", "dubarr.key", "-out", "dubarr.crt", "-subj", f"/CN={NAME}"]
    subprocess.run([*command, *files], cwd=folder, check=True, capture_output=True)


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        else:
            return


def test_the_ui_and_its_questions_pass_with_the_password(proxy: Proxy):
    proxy.upstream.seen.clear()
    assert proxy.ask("GET", "/assets/dub/mux") == 200
    own = {"Origin": f"https://{NAME}"}
    assert proxy.ask("POST", "/graphql?op=x", json=MUTATION) == 200
    assert proxy.ask("POST", "/graphql", json=MUTATION, headers=own) == 200
    assert proxy.upstream.seen == [
        ("GET", "/assets/dub/mux", "127.0.0.1:3000", None),
        ("POST", "/graphql?op=x", "127.0.0.1:3000", None),
        ("POST", "/graphql", "127.0.0.1:3000", None),
    ], "the webserver sees its own name, and never the password"


def test_the_review_page_asks_for_its_own_token_under_the_proxys_name(proxy: Proxy):
    proxy.upstream.seen.clear()
    bearer = {"Authorization": "Bearer of-the-page"}
    for method, path in (("GET", "/review/film-1"), ("POST", "/api/v1/session")):
        assert proxy.ask(method, path, auth=None, headers=bearer) == 200
    assert proxy.upstream.seen == [
        ("GET", "/review/film-1", NAME, "Bearer of-the-page"),
        ("POST", "/api/v1/session", NAME, "Bearer of-the-page"),
    ]
    assert proxy.ask("GET", "/reviewed", auth=None) == 401


REFUSED: tuple[tuple[int, str, str, dict[str, Any]], ...] = (
    (401, "GET", "/", {"auth": None}),
    (401, "POST", "/graphql", {"auth": None, "json": MUTATION}),
    (401, "POST", "/graphql", {"auth": ("you", "wrong"), "json": MUTATION}),
    (405, "GET", "/graphql", {"params": MUTATION}),
    (405, "GET", "//graphql", {"params": MUTATION}),
    (405, "GET", "/%67raphql", {"params": MUTATION}),
    (405, "GET", "/x/../graphql", {"params": MUTATION}),
    (405, "HEAD", "/graphql", {"params": MUTATION}),
    (405, "POST", "/graphql", {"data": MUTATION}),
    (405, "POST", "/graphql", {"content": "{}", "headers": {"Content-Type": "text/plain"}}),
    (405, "POST", "/graphql", {"content": "{}"}),
    (405, "PUT", "/graphql", {"json": MUTATION}),
    (403, "POST", "/graphql", {"json": MUTATION, "headers": {"Origin": "https://evil.example"}}),
    (403, "POST", "/graphql", {"json": MUTATION, "headers": {"Origin": "null"}}),
    (403, "POST", "/report_asset_materialization/x", {"json": {}}),
    (421, "POST", "/graphql", {"json": MUTATION, "host": "evil.example"}),
    (421, "GET", "/", {"host": "127.0.0.1"}),
    (421, "GET", "/", {"host": f"{NAME}.evil.example"}),
    (413, "POST", "/graphql", {"json": {"query": "x" * (3 << 20)}}),
)


@pytest.mark.parametrize(("status", "method", "path", "parts"), REFUSED, ids=range(len(REFUSED)))
def test_all_else_is_refused_before_the_webserver_sees_it(
    proxy: Proxy, status: int, method: str, path: str, parts: dict[str, Any]
):
    proxy.upstream.seen.clear()
    assert proxy.ask(method, path, **parts) == status
    assert proxy.upstream.seen == []
