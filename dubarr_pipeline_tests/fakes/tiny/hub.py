"""A model hub on loopback that holds a folder of small models, and misbehaves as it is told.

It answers as the Hugging Face hub does: what a repository holds, its files by commit, large ones
through a redirect to another host. Below ``/files/HOST/PATH`` it holds copies of plain addresses.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + 34 * "0"
LARGE = 1024
"""Bytes from which a file is kept by its sha256, as the hub does with LFS."""


@dataclass
class Faults:
    """What goes wrong, by the path of the file within its repository.

    Attributes:
        cuts: bytes after which the next answers are cut, one each.
        stalls: seconds that the next answer hangs in the middle.
        busy: how many answers say 503, and `retry_after_s` what they ask for.
        corrupt: how many answers have a wrong byte in the middle.
        status: a status that is always answered.
        ignores_ranges: whether a request for the rest is answered with all of it.
    """

    cuts: dict[str, list[int]] = field(default_factory=dict)
    stalls: dict[str, list[float]] = field(default_factory=dict)
    busy: Counter[str] = field(default_factory=Counter)
    retry_after_s: str = ""
    corrupt: Counter[str] = field(default_factory=Counter)
    status: dict[str, int] = field(default_factory=dict)
    ignores_ranges: bool = False


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    host: str
    method: str
    path: str
    range: str | None
    token: str | None


class Hub:
    """The hub, and the host that it sends large files' readers to.

    Args:
        root: ``root/OWNER/NAME/...`` are repositories, ``root/files/HOST/...`` plain addresses.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults = Faults()
        self.token: str | None = None
        self.gated: set[str] = set()
        self.asked: list[Asked] = []
        self.sent = 0
        self._servers = [_server(self, "hub"), _server(self, "cdn")]
        self.url, self.cdn = (f"http://127.0.0.1:{s.server_address[1]}" for s in self._servers)

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def environment(self) -> dict[str, str]:
        """What a process needs to find this hub in place of the world."""
        return {"HF_ENDPOINT": self.url, "DUBARR_MIRROR": f"{self.url}/files"}

    def downloads(self) -> list[Asked]:
        """The requests for contents."""
        wanted = re.compile(r"/resolve/|^/files/|^/blob/")
        return [a for a in self.asked if a.method == "GET" and wanted.search(a.path)]


@contextmanager
def running_hub(root: Path) -> Iterator[Hub]:
    """A hub, gone at the end."""
    hub = Hub(root)
    try:
        yield hub
    finally:
        hub.close()


def _server(hub: Hub, host: str) -> ThreadingHTTPServer:
    class Handler(_Handler):
        pass

    Handler.hub, Handler.host = hub, host
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    host: str
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_HEAD(self) -> None:
        self._go()

    def do_GET(self) -> None:
        self._go()

    def _go(self) -> None:
        path = unquote(urlsplit(self.path).path)
        token = self.headers.get("Authorization")
        self.hub.asked.append(
            Asked(self.host, self.command, path, self.headers.get("Range"), token)
        )
        for pattern, answer in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found:
                return answer(self, *found.groups())
        return self._error(404, "no such page")

    def _about(self, repo: str, _: str) -> None:
        if self._may_enter(repo):
            self._json({"id": repo, "sha": COMMIT, "gated": repo in self.hub.gated})

    def _tree(self, repo: str, _: str) -> None:
        if self._may_enter(repo):
            folder = self.hub.root / repo
            files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            half = len(files) // 2 if "cursor" not in self.path else 0
            shown = files[:half] if half else files[len(files) // 2 :]
            following = {"Link": f'<{self.hub.url}{self.path}&cursor=2>; rel="next"'}
            self._json([_entry(folder, path) for path in shown], following if half else {})

    def _resolve(self, repo: str, _: str, name: str) -> None:
        if not self._may_enter(repo) or self._is_faulty(name):
            return
        path = self.hub.root / repo / name
        if not path.is_file():
            self._error(404, "Entry not found")
        elif path.stat().st_size >= LARGE:
            where = f"{self.hub.cdn}/blob/{repo}/{name}?signature=secret"
            self._answer(302, b"", {"Location": where})
        else:
            self._content(name, path.read_bytes())

    def _blob(self, repo: str, name: str) -> None:
        self._content(name, (self.hub.root / repo / name).read_bytes())

    def _plain(self, host: str, name: str) -> None:
        path = self.hub.root / "files" / host / name
        if self._is_faulty(path.name):
            return
        if path.is_file():
            self._content(path.name, path.read_bytes())
        else:
            self._error(404, "not found")

    def _may_enter(self, repo: str) -> bool:
        if self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._error(401, "Invalid username or password.")
        elif repo in self.hub.gated:
            self._error(403, f"Access to model {repo} is restricted")
        elif not (self.hub.root / repo).is_dir():
            self._error(404, "Repository not found")
        else:
            return True
        return False

    def _is_faulty(self, name: str) -> bool:
        faults = self.hub.faults
        if name in faults.status:
            self._error(faults.status[name], "so it is")
        elif faults.busy[name] > 0:
            faults.busy[name] -= 1
            after = {"Retry-After": faults.retry_after_s} if faults.retry_after_s else {}
            self._answer(503, b"busy", after)
        else:
            return False
        return True

    def _content(self, name: str, content: bytes) -> None:
        """A file or the rest of it, with the faults that it has."""
        faults = self.hub.faults
        headers = {"ETag": f'"{hashlib.md5(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        start, status = self._start(), 200
        if faults.corrupt[name] > 0 and self.command == "GET":
            faults.corrupt[name] -= 1
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content, status = content[start:], 206
        cut = faults.cuts.get(name) if self.command == "GET" else None
        if cut:
            self._answer(status, content, headers, stop=cut.pop(0))
        else:
            self._answer(status, content, headers, pause_s=self._pause_s(name))

    def _start(self) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        return int(asked[1]) if asked and not self.hub.faults.ignores_ranges else 0

    def _pause_s(self, name: str) -> float:
        stalls = self.hub.faults.stalls.get(name)
        return stalls.pop(0) if stalls and self.command == "GET" else 0.0

    def _json(self, document: Any, headers: dict[str, str] | None = None) -> None:
        self._answer(200, json.dumps(document).encode(), headers or {})

    def _error(self, status: int, message: str) -> None:
        self._answer(status, message.encode(), {"X-Error-Message": message})

    def _answer(
        self,
        status: int,
        content: bytes,
        headers: dict[str, str],
        stop: int | None = None,
        pause_s: float = 0.0,
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(content) // 2 if pause_s else stop if stop is not None else len(content)
        try:
            self._send(content[:half])
            if pause_s:
                time.sleep(pause_s)
                self._send(content[half:])
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        if stop is not None:
            self.close_connection = True

    def _send(self, content: bytes) -> None:
        self.wfile.write(content)
        self.wfile.flush()
        self.hub.sent += len(content)


_ROUTES: tuple[tuple[str, Callable[..., None]], ...] = (
    (r"/api/models/([^/]+/[^/]+)/revision/(.+)", _Handler._about),
    (r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", _Handler._tree),
    (r"/blob/([^/]+/[^/]+)/(.+)", _Handler._blob),
    (r"/files/([^/]+)/(.+)", _Handler._plain),
    (r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", _Handler._resolve),
)


def _entry(folder: Path, path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    entry: dict[str, Any] = {
        "type": "file",
        "oid": git,
        "size": len(content),
        "path": path.relative_to(folder).as_posix(),
    }
    if len(content) >= LARGE:
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
    return entry
