"""Requests by REST over real loopback HTTP; every answer is held against the OpenAPI document."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from dubarr_pipeline.config.options import WebhookOptions
from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.library.dub_requests import DubRequest
from dubarr_pipeline.library.webhooks.inbox import Inbox
from dubarr_pipeline.library.webhooks.openapi import openapi_document
from dubarr_pipeline.library.webhooks.receipts import Receipt, write_receipt
from dubarr_pipeline.library.webhooks.rest import StageState, VideoLookup, VideoPage, VideoState
from dubarr_pipeline.library.webhooks.server import webhook_server
from dubarr_pipeline_tests.fixtures.bench import write_config

TOKEN = "a token of more than sixteen letters"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
KEY = "a-film-01234567"


def find(key: str, _: Settings) -> VideoState:
    if key != KEY:
        raise ArtifactError(f"no video {key!r}")
    stages = (StageState("vocals", made=True, seconds=1.5, recorded_at=2.0),)
    return VideoState(KEY, "A film", "/films/A film.mkv", "DONE", ("es",), stages=stages)


@dataclass
class Client:
    """A receiver, and a client that checks what it sends and gets against the document."""

    folder: Path
    url: str = ""
    document: dict[str, Any] = field(default_factory=openapi_document)

    @property
    def films(self) -> Path:
        return self.folder / "films"

    @property
    def settings(self) -> Settings:
        return load_settings(self.folder / "dubarr.toml", self.folder / "work")

    def configure(self, **library: object) -> None:
        films = {"path": str(self.films), "target_langs": ["es"], **library}
        webhooks = {"folders": [str(self.folder / "allowed")]}
        mappings = {'"/movies"': str(self.films)}
        tables = {"libraries.films": films, "webhooks": webhooks}
        tables["libraries.films.path_mappings"] = mappings
        write_config(self.folder / "dubarr.toml", tables)

    def schema_holds(self, schema: dict[str, Any], value: Any) -> bool:
        whole = {**schema, "components": self.document["components"]}
        return jsonschema.Draft202012Validator(whole).is_valid(value)

    def ask(self, method: str, path: str, body: object = None, **more: Any) -> httpx.Response:
        headers = more.pop("headers", BEARER)
        answer = httpx.request(method, self.url + path, json=body, headers=headers, **more)
        template = path if path in self.document["paths"] else "/api/v1/videos/{key}"
        described = self.document["paths"][template][method.lower()]["responses"]
        content = described[str(answer.status_code)]["content"]["application/json"]
        assert self.schema_holds(content["schema"], answer.json()), answer.json()
        return answer

    def request(self, **fields: Any) -> httpx.Response:
        return self.ask("POST", "/api/v1/dub", {"target_langs": ["es", "ca"], **fields})

    def told(self) -> list[object]:
        inbox = Inbox(self.settings.work_dir)
        return [inbox.read(name).event for name in inbox.names()]


@pytest.fixture
def client(tmp_path: Path, tiny_film: Path) -> Iterator[Client]:
    found = Client(tmp_path)
    for folder in ("films", "allowed", "elsewhere"):
        (tmp_path / folder).mkdir()
        shutil.copy(tiny_film, tmp_path / folder / "A film.mkv")
    found.configure()
    page = lambda start, count, _: VideoPage(7, (find(KEY, _),)[start : start + count])  # noqa: E731
    options = WebhookOptions(port=0, most_body_kb=4, timeout_s=1.0)
    server = webhook_server(found.settings, options, TOKEN, VideoLookup(find, page))
    found.url = server.url
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield found
    server.stop()
    thread.join()
    server.close()


def test_the_document_is_served_and_valid(client: Client) -> None:
    answer = client.ask("GET", "/api/v1/openapi.json")
    assert answer.json() == json.loads(json.dumps(openapi_document()))
    assert answer.json()["openapi"] == "3.1.0"
    for schema in answer.json()["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", ["/movies/A film.mkv", "films/A film.mkv", "allowed/A film.mkv"])
def test_a_request_lies_in_the_inbox_and_its_receipt_is_asked_for(
    client: Client, path: str
) -> None:
    named = path if path.startswith("/") else f"{client.folder}/{path}"
    answer = client.request(path=named, priority=5, force=True, spoken_language="eng")
    ours = named.replace("/movies", str(client.films))
    asked = DubRequest(ours, ("es", "ca"), "en", priority=5, force=True)
    assert (answer.status_code, client.told()) == (202, [asked])
    key = answer.json()["key"]
    assert answer.json() == {"key": key, "state": "REQUESTED"}
    state = client.ask("GET", f"/api/v1/videos/{key}").json()
    assert (state["key"], state["state"], state["path"]) == (key, "REQUESTED", ours)
    assert "webhook_inbox" in state["cause"]


def test_the_same_request_is_one_message_and_one_key(client: Client) -> None:
    path = f"{client.films}/A film.mkv"
    keys = {client.request(path=path).json()["key"] for _ in range(2)}
    assert (len(keys), len(client.told())) == (1, 1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"path": "films/none.mkv"}, "none.mkv"),
        ({"path": "films/A film.mkv", "target_langs": ["klingonese"]}, "unknown language"),
        ({"path": "films/A film.mkv", "target_langs": []}, "target_langs"),
        ({"path": "films/A film.mkv", "profile": "nowhere"}, "unknown profile"),
        ({"path": "films/A film.mkv", "library": "nowhere"}, "unknown library"),
        ({"path": "films/A film.mkv", "priority": 101}, "priority"),
        ({"path": "films/A film.mkv", "force": "yes"}, "force"),
        ({"path": "films/A film.mkv", "colour": "red"}, "colour"),
        ({"path": "elsewhere/A film.mkv"}, "not inside any library"),
        ({"path": "elsewhere/none.mkv"}, "not inside any library"),
        ({"path": "films/../elsewhere/A film.mkv"}, "not inside any library"),
        ({"path": "films/link/A film.mkv"}, "not inside any library"),
        ({"path": "allowed/link/A film.mkv"}, "not inside any library"),
        ({"path": "films/empty.mkv"}, "empty"),
        ({"path": "films"}, "films"),
        ({"path": "films/" + 300 * "x" + ".mkv"}, "not inside any library"),
        ({"path": "films/a\0b.mkv"}, ""),
    ],
)
def test_what_cannot_be_dubbed_is_refused_with_its_reason(
    client: Client, fields: dict[str, Any], words: str
) -> None:
    (client.films / "empty.mkv").touch()
    for folder in ("films", "allowed"):
        (client.folder / folder / "link").symlink_to(client.folder / "elsewhere")
    answer = client.request(**{**fields, "path": f"{client.folder}/{fields['path']}"})
    assert (answer.status_code, client.told()) == (422, [])
    assert words in answer.json()["error"]


def test_what_the_document_allows_is_understood_and_nothing_else(client: Client) -> None:
    schema = {"$ref": "#/components/schemas/DubRequest"}
    right = {"path": f"{client.films}/A film.mkv", "target_langs": ["es"]}
    wrong: list[dict[str, Any]] = [
        {"priority": "1"},
        {"priority": 101},
        {"force": 1},
        {"target_langs": "es"},
        {"target_langs": []},
        {"path": ""},
        {"path": None},
        {"more": 1},
    ]
    assert client.schema_holds(schema, right)
    assert client.request(**right).status_code == 202
    for change in wrong:
        assert not client.schema_holds(schema, {**right, **change}), change
        assert client.request(**{**right, **change}).status_code == 422, change


def test_without_the_token_nothing_is_answered(client: Client) -> None:
    for method, path in (("GET", "/api/v1/videos"), ("POST", "/api/v1/dub")):
        answer = client.ask(method, path, {} if method == "POST" else None, headers={})
        assert answer.status_code == 401
    assert client.ask("GET", "/health", headers={}).json() == {"status": "ok"}


def test_videos_are_told_by_key_and_in_pages(client: Client) -> None:
    video = client.ask("GET", f"/api/v1/videos/{KEY}").json()
    assert (video["state"], video["stages"][0]["stage"]) == ("DONE", "vocals")
    assert client.ask("GET", "/api/v1/videos/nothing-00000000").status_code == 404
    listed = client.ask("GET", "/api/v1/videos").json()
    assert (listed["total"], listed["videos"]) == (7, [video])
    assert client.ask("GET", "/api/v1/videos", params={"from": 1}).json()["videos"] == []
    for wrong in ({"from": "x"}, {"from": -1}, {"count": 501}):
        assert client.ask("GET", "/api/v1/videos", params=wrong).status_code == 422


def test_a_receipt_tells_what_became_of_its_request(client: Client) -> None:
    path = f"{client.films}/A film.mkv"
    name, asked = client.request(path=path).json()["key"], DubRequest(path, ("es", "ca"))
    refused = Receipt(asked, "REFUSED", cause="no words")
    write_receipt(refused, client.settings.work_dir)
    state = client.ask("GET", f"/api/v1/videos/{name}").json()
    assert (state["state"], state["cause"]) == ("REFUSED", "no words")
    write_receipt(Receipt(asked, "ACCEPTED", KEY), client.settings.work_dir)
    assert client.ask("GET", f"/api/v1/videos/{name}").json()["key"] == KEY


def test_settings_count_from_the_next_request_on(client: Client) -> None:
    path = f"{client.folder}/elsewhere/A film.mkv"
    assert client.request(path=path).status_code == 422
    client.configure(path=f"{client.folder}/elsewhere")
    assert client.request(path=path).status_code == 202
    # Faulty ones change nothing.
    (client.folder / "dubarr.toml").write_text("[libraries", encoding="utf-8")
    assert client.request(path=path).status_code == 202
