"""The webhook server over real loopback HTTP."""

from __future__ import annotations

import base64
import json
import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from dubarr_pipeline.config.options import WebhookOptions
from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.library.webhooks.inbox import Inbox, WebhookIntake, webhook_token
from dubarr_pipeline.library.webhooks.payloads import FileEvent
from dubarr_pipeline.library.webhooks.server import webhook_server
from dubarr_pipeline.library.webhooks.titles import TitleEvent
from dubarr_pipeline.services.web import WebServer
from dubarr_pipeline_tests.fixtures.bench import small_disk

TOKEN = "a token of more than sixteen letters"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
OPTIONS = WebhookOptions(port=0, most_body_kb=4, timeout_s=1.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "films").mkdir()
    config = tmp_path / "dubarr.toml"
    config.write_text(
        f"""
        [libraries.films]
        path = "{tmp_path}/films"
        target_langs = ["es"]
        path_mappings = {{ "/movies" = "{tmp_path}/films" }}
        """
    )
    return load_settings(config, tmp_path / "work")


@pytest.fixture
def server(settings: Settings) -> Iterator[WebServer]:
    yield from served(settings)


def served(settings: Settings, options: WebhookOptions = OPTIONS) -> Iterator[WebServer]:
    found = webhook_server(settings, options, TOKEN)
    thread = threading.Thread(target=found.serve)
    thread.start()
    yield found
    found.stop()
    thread.join()
    found.close()


def radarr(path: str) -> dict[str, object]:
    return {"eventType": "Download", "movieFile": {"path": path}}


def told_paths(settings: Settings) -> list[str]:
    return [event.path for event in told(settings) if isinstance(event, FileEvent)]


def told(settings: Settings) -> list[FileEvent | TitleEvent]:
    inbox = Inbox(settings.work_dir)
    return [inbox.read(name).event for name in inbox.names()]


@pytest.mark.parametrize(
    "headers",
    [
        BEARER,
        {"X-Dubarr-Token": TOKEN},
        {"Authorization": "Basic " + base64.b64encode(f"any:{TOKEN}".encode()).decode()},
    ],
)
def test_what_is_told_lies_in_the_inbox_before_the_answer(
    server: WebServer, settings: Settings, headers: dict[str, str]
):
    document = radarr("/movies/A: film 100 %.mkv")
    answer = httpx.post(f"{server.url}/radarr", json=document, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1})
    assert told(settings) == [
        FileEvent("arrived", f"{settings.library('films').path}/A: film 100 %.mkv")
    ]


def test_the_same_news_twice_is_one_message(server: WebServer, settings: Settings):
    for name in ("a.mkv", "b.mkv", "a.mkv"):
        httpx.post(f"{server.url}/radarr", json=radarr(f"/movies/{name}"), headers=BEARER)
    assert [Path(path).name for path in told_paths(settings)] == [
        "b.mkv",
        "a.mkv",
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": "Bearer"},
        {"Authorization": TOKEN},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic " + base64.b64encode(TOKEN.encode()).decode()},
        {"X-Dubarr-Token": "ñ"},
    ],
)
def test_without_the_token_nobody_is_heard(
    server: WebServer,
    settings: Settings,
    headers: dict[str, str],
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    encoded = {name: value.encode() for name, value in headers.items()}
    answer = httpx.post(f"{server.url}/radarr", json=radarr("/movies/a.mkv"), headers=encoded)
    assert answer.status_code == 401
    assert told(settings) == []
    assert TOKEN[:-1] not in caplog.text


@pytest.mark.parametrize(
    ("place", "body", "status", "words"),
    [
        ("nowhere", "{}", 404, "post to one of: /radarr, /sonarr, /generic"),
        ("radarr", "no json", 400, "not understood"),
        ("radarr", "[" * 3000, 400, "not understood"),
        ("radarr", b'{"eventType": "\xff"}', 400, "not understood"),
        ("radarr", "x" * 4097, 413, "more than 4 KiB"),
        ("generic", '{"path": "/etc/passwd"}', 422, "not inside any library"),
        ("generic", '{"path": "/movies/../../etc/passwd"}', 422, "not inside any library"),
        ("generic", '{"path": "/movies/\\ud800.mkv"}', 422, "not inside any library"),
        ("generic", '{"path": "relative.mkv"}', 422, "not inside any library"),
        ("generic", '{"path": "/movies/link/x.mkv"}', 422, "not inside any library"),
        ("generic", json.dumps({"path": "/" + "a/" * 1900}), 422, "not inside any library"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_name(
    server: WebServer,
    settings: Settings,
    place: str,
    body: str | bytes,
    status: int,
    words: str,
):
    (settings.library("films").path / "link").symlink_to("/etc")
    answer = httpx.post(f"{server.url}/{place}", content=body, headers=BEARER)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]
    assert told(settings) == []
    again = httpx.post(f"{server.url}/generic", json={"path": "/movies/a.mkv"}, headers=BEARER)
    assert again.status_code == 200, "one bad request does not harm the next"


def test_a_film_behind_a_link_is_taken_where_the_library_follows_links(settings: Settings):
    library = settings.libraries["films"]
    (library.path / "link").symlink_to("/etc")
    open_settings = replace(settings, libraries={"films": replace(library, outside_links=True)})
    servers = served(open_settings)
    server = next(servers)
    for path, status in (("/movies/link/x.mkv", 200), ("/movies/../x.mkv", 422)):
        answer = httpx.post(f"{server.url}/generic", json={"path": path}, headers=BEARER)
        assert answer.status_code == status, answer.text
    next(servers, None)
    assert told_paths(settings) == [str(library.path / "link" / "x.mkv")]


def test_a_list_that_is_null_is_none(server: WebServer, settings: Settings):
    told_twice = {**radarr("/movies/a.mkv"), "movieFiles": None}
    answer = httpx.post(f"{server.url}/radarr", json=told_twice, headers=BEARER)
    assert answer.status_code == 200, answer.text
    assert len(told(settings)) == 1


def test_the_same_news_from_many_at_once_is_one_message(server: WebServer, settings: Settings):
    def send(_: int) -> int:
        body = radarr("/movies/a.mkv")
        return httpx.post(f"{server.url}/radarr", json=body, headers=BEARER).status_code

    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(send, range(40)))
    assert answers == [200] * 40
    assert len(told(settings)) == 1


def test_many_paths_list_the_inbox_once(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    listed: list[int] = []
    names = Inbox.names
    monkeypatch.setattr(Inbox, "names", lambda box: listed.append(1) or names(box))
    body = json.dumps({"paths": [f"/movies/{n}.mkv" for n in range(300)]}).encode()
    assert WebhookIntake(settings).take("generic", body) == 300
    assert len(listed) == 1
    assert len(told(settings)) == 300


def test_something_else_in_the_inboxs_place_is_named(server: WebServer, settings: Settings):
    settings.work_dir.mkdir(exist_ok=True)
    (settings.work_dir / ".inbox").write_text("a file")
    answer = httpx.post(f"{server.url}/generic", json={"path": "/movies/a.mkv"}, headers=BEARER)
    assert answer.status_code == 507
    assert "cannot hold messages" in answer.json()["error"]


def test_a_token_of_any_letters_opens(settings: Settings):
    token = "Schlüssel für alle Filme"
    found = webhook_server(settings, OPTIONS, token)
    thread = threading.Thread(target=found.serve)
    thread.start()
    shown = {b"X-Dubarr-Token": token.encode()}
    answer = httpx.post(f"{found.url}/generic", json={"path": "/movies/a.mkv"}, headers=shown)
    found.stop()
    thread.join()
    found.close()
    assert answer.status_code == 200


def test_one_wrong_path_of_several_takes_none(server: WebServer, settings: Settings):
    body = {"paths": ["/movies/a.mkv", "/etc/passwd"]}
    assert httpx.post(f"{server.url}/generic", json=body, headers=BEARER).status_code == 422
    assert told(settings) == []


def test_a_sender_that_stalls_or_breaks_off_is_hung_up_on(server: WebServer, settings: Settings):
    head = f"POST /generic HTTP/1.1\r\nHost: x\r\nX-Dubarr-Token: {TOKEN}\r\n"
    address = ("127.0.0.1", httpx.URL(server.url).port or 0)
    for body in ("", "Content-Length: 50\r\n\r\n{", "Content-Length: -1\r\n\r\n"):
        with socket.create_connection(address, timeout=30) as line:
            line.sendall((head + body).encode())
            while line.recv(4096):
                pass
    assert httpx.get(f"{server.url}/health").status_code == 200
    assert told(settings) == []


def test_a_full_disk_is_not_answered_by_200(settings: Settings, tmp_path: Path):
    with small_disk(tmp_path / "work", "64k") as mounted:
        if not mounted:
            (tmp_path / "work").chmod(0o500)
        else:
            (tmp_path / "work" / "filler").write_bytes(b"x" * 60_000)
            with pytest.raises(OSError, match="No space"):
                (tmp_path / "work" / "more").write_bytes(b"x" * 60_000)
        servers = served(settings)
        server = next(servers)
        answer = httpx.post(f"{server.url}/generic", json={"path": "/movies/a.mkv"}, headers=BEARER)
        next(servers, None)
    assert answer.status_code == 507, answer.text


def test_the_token_is_made_once_and_for_the_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    token, path = webhook_token(tmp_path)
    assert path is not None
    assert (len(token), path.stat().st_mode & 0o777) == (64, 0o600)
    assert webhook_token(tmp_path) == (token, path)
    monkeypatch.setenv("DUBARR_WEBHOOK_TOKEN", TOKEN)
    assert webhook_token(tmp_path) == (TOKEN, None)


def test_a_short_token_or_a_taken_port_is_refused(server: WebServer, settings: Settings):
    with pytest.raises(SettingsError, match="under 16 characters"):
        webhook_server(settings, OPTIONS, "short")
    taken = WebhookOptions(port=httpx.URL(server.url).port or 0)
    with pytest.raises(SettingsError, match="cannot listen on"):
        webhook_server(settings, taken, TOKEN)


def test_senders_may_put(server: WebServer, settings: Settings):
    answer = httpx.put(f"{server.url}/radarr", json=radarr("/movies/a.mkv"), headers=BEARER)
    assert (answer.status_code, len(told(settings))) == (200, 1)


def test_a_form_of_plex_is_a_title(server: WebServer, settings: Settings):
    payload = {"event": "library.new", "Metadata": {"type": "movie", "title": "A", "year": 2020}}
    form = {"payload": (None, json.dumps(payload), "application/json"), "thumb": ("t", b"\xff")}
    url = server.url.replace("http://", f"http://plex:{quote(TOKEN)}@")
    answer = httpx.post(f"{url}/plex", files=form)
    assert answer.status_code == 200, answer.text
    assert told(settings) == [TitleEvent("A", 2020)]


def test_a_media_servers_other_films_are_no_failure(server: WebServer, settings: Settings):
    document = {"NotificationType": "ItemAdded", "ItemType": "Movie", "Path": "/music/a.mkv"}
    answer = httpx.post(f"{server.url}/jellyfin", json=document, headers=BEARER)
    assert (answer.status_code, answer.json()) == (200, {"accepted": 0})


def test_a_long_series_is_renamed_in_one_message(settings: Settings):
    episodes = [
        {
            "relativePath": f"Season 01/S01E{number:04}.mkv",
            "path": f"/movies/Show/Season 01/S01E{number:04}.mkv",
            "previousPath": f"/movies/Show/Season 01/{number}.mkv",
            "mediaInfo": {"audioCodec": "AC3", "subtitles": ["eng"] * 40},
            "sceneName": "x" * 700,
        }
        for number in range(1_100)
    ]
    renamed = {"eventType": "Rename", "series": {"path": "/movies/Show"}}
    body = json.dumps({**renamed, "renamedEpisodeFiles": episodes})
    assert len(body) > 1_000_000
    servers = served(settings, WebhookOptions(port=0))
    answer = httpx.post(f"{next(servers).url}/sonarr", content=body, headers=BEARER, timeout=100)
    next(servers, None)
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1_100})


def test_of_nested_libraries_the_deepest_is_told(settings: Settings):
    library = settings.libraries["films"]
    kids = replace(library, path=library.path / "kids", path_mappings={})
    nested = replace(settings, libraries={"films": library, "kids": kids})
    body = json.dumps({"path": "/movies/kids/a.mkv"}).encode()
    assert WebhookIntake(nested).take("generic", body) == 1
    inbox = Inbox(settings.work_dir)
    assert inbox.read(inbox.names()[0]).library == "kids"
