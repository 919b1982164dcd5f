"""Media servers and managers are told of a published film, over real loopback HTTP."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.config.libraries import Library, RescanOptions, ServerKind
from dubarr_pipeline.config.settings import Settings, parse_settings
from dubarr_pipeline.errors import ServiceUnavailable, SettingsError
from dubarr_pipeline.library.publishing.media_servers import (
    rescan,
    tell_servers,
    tell_waiting,
)

KEY = "the key"
FILM = Path("/mnt/media/tv/Show/S01/e1.mkv")
CREDENTIALS = {
    "jellyfin": ("Authorization", f'MediaBrowser Token="{KEY}"'),
    "emby": ("X-Emby-Token", KEY),
    "plex": ("X-Plex-Token", KEY),
    "kodi": ("Authorization", f"Basic {base64.b64encode(KEY.encode()).decode()}"),
}
UPDATED = {"Updates": [{"Path": "/tv/Show/S01/e1.mkv", "UpdateType": "Modified"}]}
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
    kind: str = ""


@pytest.fixture
def told() -> Iterator[Told]:
    found = Told()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found.asked.append((self.command, self.path, json.loads(body) if body else None))
            header, value = CREDENTIALS.get(found.kind, ("X-Api-Key", KEY))
            if self.headers.get(header) != value:
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
    told.kind = kind
    mappings = {"/mnt/media": "/", "/mnt/media/tv": "/tv"}
    url = f"{told.url}/"
    return RescanOptions(kind, url, "SERVER_KEY", path_mappings=mappings, backoff_s=0.01)


@pytest.mark.parametrize(
    ("kind", "last"),
    [
        ("radarr", ("POST", "/api/v3/command", {"name": "RefreshMovie", "movieIds": [7]})),
        ("sonarr", ("POST", "/api/v3/command", {"name": "RescanSeries", "seriesId": 9})),
        ("jellyfin", ("POST", "/Library/Media/Updated", UPDATED)),
        ("emby", ("POST", "/Library/Media/Updated", UPDATED)),
        (
            "kodi",
            (
                "POST",
                "/jsonrpc",
                {
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "VideoLibrary.Scan",
                    "params": {"directory": "/tv/Show/S01/", "showdialogs": False},
                },
            ),
        ),
        ("plex", ("GET", "/library/sections/5/refresh?path=%2Ftv%2FShow%2FS01", None)),
    ],
)
def test_a_server_is_told_in_its_own_way(told: Told, kind: ServerKind, last: tuple[str, str, Any]):
    assert rescan(options(told, kind), FILM) is None
    assert told.asked[-1] == last


def test_a_server_that_is_busy_is_asked_again_four_times(told: Told):
    told.failures = 3
    rescan(options(told, "jellyfin"), FILM)
    assert len(told.asked) == 4
    told.failures = 4
    with pytest.raises(ServiceUnavailable, match="answered 503"):
        rescan(options(told, "jellyfin"), FILM)
    assert len(told.asked) == 8


@pytest.mark.parametrize("kind", ["radarr", "sonarr", "plex"])
def test_a_film_that_is_not_of_a_server_is_no_failure(told: Told, kind: ServerKind):
    reason = rescan(options(told, kind), Path("/x.mkv"))
    assert reason
    assert "nothing that holds '/x.mkv': see path_mappings" in reason
    assert [method for method, *_ in told.asked] == ["GET"]


def test_a_name_that_no_server_can_have_is_no_failure(told: Told):
    assert rescan(options(told, "jellyfin"), Path("/films/caf\udce9.mkv"))
    assert told.asked == []


def test_what_no_second_try_mends_is_named(told: Told, monkeypatch: pytest.MonkeyPatch):
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


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("/mnt/tv/Show/e.mkv", r"D:\TV\Show\e.mkv"),
        ("/mnt/tv/anime/Show/e.mkv", r"\\nas\anime\Show\e.mkv"),
        ("/mnt/tvshows/e.mkv", "/mnt/tvshows/e.mkv"),
        ("/mnt/tv", "D:\\TV"),
    ],
)
def test_paths_of_windows_are_written_as_windows_writes_them_and_read_back(ours: str, theirs: str):
    mappings = {"/mnt/tv": "D:\\TV", "/mnt/tv/anime": r"\\nas\anime"}
    options = RescanOptions("sonarr", "http://h", "K", path_mappings=mappings)
    assert options.theirs(Path(ours)) == theirs
    back = {value: Path(name) for name, value in mappings.items()}
    library = Library(Path("/mnt"), ("es",), path_mappings=back)
    assert library.mapped(theirs) == Path(ours)
    assert library.mapped(theirs.replace("TV", "tv")) == Path(ours)


@dataclass(frozen=True)
class Shelf:
    """Settings with two servers, of which one answers and one is away."""

    work_dir: Path
    url: str

    def settings(self, **away: object) -> Settings:
        away = {"kind": "plex", "url": "http://127.0.0.1:1", **away}
        rescans = {"away": away, "here": {"kind": "jellyfin", "url": self.url}}
        for each in rescans.values():
            each |= {"token_variable": "SERVER_KEY", "backoff_s": 0.01}
        libraries = {"series": {"path": "/tv", "target_langs": ["es"]}}
        return parse_settings({"rescans": rescans, "libraries": libraries}, self.work_dir)


def test_all_are_told_and_one_that_is_away_is_told_later(told: Told, tmp_path: Path):
    told.kind = "jellyfin"
    shelf = Shelf(tmp_path, told.url)
    (fault,) = tell_servers([FILM, FILM, FILM.with_name("e2.mkv")], "films", shelf.settings())
    assert fault.startswith("away will be told later: http://127.0.0.1:1")
    assert [path for _, path, _ in told.asked] == ["/Library/Media/Updated"] * 2
    assert len(list((tmp_path / ".untold").iterdir())) == 2

    def tell_again(settings: Settings, now_s: float | None = None) -> list[str]:
        now_s = time.time() if now_s is None else now_s
        return list(tell_waiting(settings, time.monotonic() + 20, now_s))

    assert len(tell_again(shelf.settings())) == 1, "one try, not one for each film"
    assert not list(tell_waiting(shelf.settings(), time.monotonic() - 1, time.time()))
    assert len(list((tmp_path / ".untold").iterdir())) == 2
    told.asked.clear()
    assert tell_again(shelf.settings(kind="jellyfin", url=told.url)) == []
    assert len(told.asked) == 2
    assert not list((tmp_path / ".untold").iterdir())
    tell_servers([FILM], "films", shelf.settings())
    assert tell_again(shelf.settings(), time.time() + 30 * 86_400) == []
    assert not list((tmp_path / ".untold").iterdir()), "given up after weeks"


def test_a_server_is_told_of_its_libraries_alone(told: Told, tmp_path: Path):
    told.kind = "jellyfin"
    settings = Shelf(tmp_path, told.url).settings(libraries=["series"])
    assert tell_servers([FILM], "films", settings) == []
    assert len(tell_servers([FILM], "series", settings)) == 1
    with pytest.raises(SettingsError, match=r"rescans\.away.*unknown setting 'serie'"):
        Shelf(tmp_path, told.url).settings(libraries=["serie"])
