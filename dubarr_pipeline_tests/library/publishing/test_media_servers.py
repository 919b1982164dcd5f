"""Media servers and managers are told of a published film, over real loopback HTTP."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.config.libraries import RescanOptions, ServerKind
from dubarr_pipeline.errors import ServiceUnavailable, SettingsError
from dubarr_pipeline.library.publishing.media_servers import rescan

KEY = "the key"
FILM = Path("/mnt/media/tv/Show/S01/e1.mkv")
ANSWERS: dict[str, Any] = {
    "/api/v3/movie": [{"id": 1, "path": "/tv/Other"}, {"id": 7, "path": "/tv/Show"}],
    "/api/v3/series": [{"id": 9, "path": "/tv/Show"}],
    "/library/sections": {
        "MediaContainer": {
            "Directory": [
                {"key": "2", "Location": [{"path": "/films"}]},
                {"key": "5", "Location": [{"path": "/music"}, {"path": "/tv"}]},
            ]
        }
    },
}


@dataclass
class Told:
    """A server that remembers what it was asked, and fails as often as it is told to."""

    url: str = ""
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    failures: int = 0
    key_header: str = ""


@pytest.fixture
def told() -> Iterator[Told]:
    found = Told()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found.asked.append((self.command, self.path, json.loads(body) if body else None))
            keys = (self.headers.get(n) for n in ("X-Api-Key", "X-Emby-Token", "X-Plex-Token"))
            if KEY not in keys:
                self.send_response(401)
            elif found.failures:
                found.failures -= 1
                self.send_response(503)
            else:
                self.send_response(200)
            self.end_headers()
            if self.path in ANSWERS:
                self.wfile.write(json.dumps(ANSWERS[self.path]).encode())

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_KEY", KEY)


def options(told: Told, kind: ServerKind) -> RescanOptions:
    mappings = {"/mnt/media": "/", "/mnt/media/tv": "/tv"}
    return RescanOptions(kind, f"{told.url}/", "SERVER_KEY", mappings, backoff_s=0.01)


@pytest.mark.parametrize(
    ("kind", "last"),
    [
        ("radarr", ("POST", "/api/v3/command", {"name": "RefreshMovie", "movieIds": [7]})),
        ("sonarr", ("POST", "/api/v3/command", {"name": "RescanSeries", "seriesId": 9})),
        (
            "jellyfin",
            (
                "POST",
                "/Library/Media/Updated",
                {"Updates": [{"Path": "/tv/Show/S01/e1.mkv", "UpdateType": "Modified"}]},
            ),
        ),
        ("plex", ("GET", "/library/sections/5/refresh?path=%2Ftv%2FShow%2FS01", None)),
    ],
)
def test_a_server_is_told_in_its_own_way(told: Told, kind: ServerKind, last: tuple[str, str, Any]):
    rescan(options(told, kind), FILM)
    assert told.asked[-1] == last


def test_a_server_that_is_busy_is_asked_again_four_times(told: Told):
    told.failures = 3
    rescan(options(told, "jellyfin"), FILM)
    assert len(told.asked) == 4
    told.failures = 4
    with pytest.raises(ServiceUnavailable, match="answered 503"):
        rescan(options(told, "jellyfin"), FILM)
    assert len(told.asked) == 8


def test_what_no_second_try_mends_is_named(told: Told, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(SettingsError, match=r"no film or series that holds '/x\.mkv'"):
        rescan(options(told, "radarr"), Path("/x.mkv"))
    with pytest.raises(SettingsError, match="has no section"):
        rescan(options(told, "plex"), Path("/x.mkv"))
    monkeypatch.setenv("SERVER_KEY", "wrong")
    with pytest.raises(SettingsError, match=r"refuses the key in \$SERVER_KEY") as found:
        rescan(options(told, "jellyfin"), FILM)
    assert "wrong" not in str(found.value)
    monkeypatch.delenv("SERVER_KEY")
    with pytest.raises(SettingsError, match=r"\$SERVER_KEY is empty"):
        rescan(options(told, "jellyfin"), FILM)


def test_a_server_that_is_not_there_is_named(told: Told):
    nowhere = RescanOptions("plex", "http://127.0.0.1:1", "SERVER_KEY", backoff_s=0.01)
    with pytest.raises(ServiceUnavailable, match="cannot be reached"):
        rescan(nowhere, FILM)


def test_an_address_must_be_one():
    with pytest.raises(ValueError, match="must begin with http"):
        RescanOptions("plex", "127.0.0.1:32400", "SERVER_KEY")
