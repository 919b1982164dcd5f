"""What a page hears of runs, and of edits by others."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from dubarr_pipeline.errors import RequestRefused, VideoBusy
from dubarr_pipeline.progress import Progress
from dubarr_pipeline.review.events import FilmWatch
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline.workdir.run_progress import forget_progress, note_progress, read_progress
from dubarr_pipeline_tests.fixtures.review_film import KEY, backstage, client_of

FILM = f"/api/v1/films/{KEY}"


@dataclass
class Runs:
    """Runs that begin and end when a test says so."""

    running: bool = False
    asked: int = 0
    started: list[str] = field(default_factory=list)

    def is_running(self, _: str) -> bool:
        self.asked += 1
        return self.running

    def render(self, key: str) -> None:
        if self.running:
            raise VideoBusy("a run works")
        self.running = True
        self.started.append(key)


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def watched(room: ReviewRoom, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> ReviewRoom:
    monkeypatch.setattr("dubarr_pipeline.review.room._RUNNING_S", 1e-9)
    acting = backstage(is_running=runs.is_running, render=runs.render, fault=lambda _: "why")
    return replace(room, backstage=acting)


def test_a_run_is_told_of_from_its_start_to_its_end(watched: ReviewRoom, runs: Runs):
    watch, work = FilmWatch(watched, KEY), WorkDir(watched.settings.work_dir / KEY)
    assert list(watch.look()) == []
    runs.running = True
    note_progress(work, "segments", Progress(3, 10))
    told = {"type": "run", "stage": "segments", "done": 3.0, "total": 10.0}
    assert list(watch.look()) == [told]
    assert list(watch.look()) == []
    note_progress(work, "segments", Progress(4, 10))
    assert list(watch.look()) == [{**told, "done": 4.0}]
    forget_progress(work)
    assert list(watch.look()) == []
    runs.running = False
    assert list(watch.look()) == [{"type": "finished", "fault": "why"}]
    assert list(watch.look()) == []


def test_a_run_that_begins_and_ends_between_two_looks_is_told_of(watched: ReviewRoom, runs: Runs):
    watch = FilmWatch(watched, KEY)
    watched.render(KEY)
    runs.running = False
    assert [each["type"] for each in watch.look()] == ["finished"]


def test_the_store_is_left_alone_while_nothing_runs(watched: ReviewRoom, runs: Runs):
    watch, work = FilmWatch(watched, KEY), WorkDir(watched.settings.work_dir / KEY)
    # Left by a process that was killed.
    note_progress(work, "mix", Progress(1, 2))
    list(watch.look())
    asked = runs.asked
    for _ in range(20):
        assert list(watch.look()) == []
    assert runs.asked == asked


def test_edits_of_others_are_told_of(watched: ReviewRoom):
    watch, client = FilmWatch(watched, KEY), client_of(watched)
    row = client.get(f"{FILM}/lines?lang=es").json()["lines"][0]
    assert list(watch.look()) == []
    add_text(client, row["id"], "hola", revision=0)
    assert list(watch.look()) == [{"type": "edits", "lang": "es", "revision": 1}]
    assert list(watch.look()) == []


def add_text(client: TestClient, line: str, text: str, revision: int, lang: str = "es") -> Any:
    fact = {"id": "", "target": "line", "target_id": line, "field": "text", "value": text}
    fact["id"] = f"00000000-0000-4000-8000-{revision:012}"
    wish = {"revision": revision, "by": "me", "facts": [fact]}
    return client.post(f"{FILM}/edits/{lang}", json=wish)


def test_a_film_that_is_removed_ends_its_events(watched: ReviewRoom):
    watch = FilmWatch(watched, KEY)
    shutil.rmtree(watched.settings.work_dir / KEY)
    with pytest.raises(RequestRefused):
        list(watch.look())


def test_events_are_sent_as_such(watched: ReviewRoom, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dubarr_pipeline.review.events._EVERY_S", 0.0)
    monkeypatch.setattr(FilmWatch, "look", looks := Looks())
    told = client_of(watched).get(f"{FILM}/events")
    assert told.headers["content-type"].startswith("text/event-stream")
    sent = [line[6:] for line in told.text.splitlines() if line.startswith("data: ")]
    assert [json.loads(each) for each in sent] == looks.told


class Looks:
    """Two looks, then the film is gone."""

    told = ({"type": "run", "stage": "mix", "done": 1, "total": 2}, {"type": "finished"})

    def __init__(self) -> None:
        self.told = list(Looks.told)
        self._left = [[each] for each in self.told]

    def __call__(self) -> Any:
        if not self._left:
            raise RequestRefused(404, "no_film", "gone")
        return iter(self._left.pop(0))


def test_rendering_starts_one_run_at_a_time(watched: ReviewRoom, runs: Runs):
    client = client_of(watched)
    assert client.post(f"{FILM}/render", json={}).status_code == 202
    assert runs.started == [KEY]
    assert client.get(FILM).json()["running"] is True
    told = client.post(f"{FILM}/render", json={})
    assert (told.status_code, told.json()) == (409, {"error": "a run works"})
    assert client.post("/api/v1/films/no-01234567/render", json={}).status_code == 404


def test_progress_that_cannot_be_written_or_read_stops_nothing(room: ReviewRoom):
    work = WorkDir(room.settings.work_dir / KEY)
    note_progress(WorkDir(work.root / "nowhere"), "mix", Progress(1, 2))
    assert read_progress(work) is None
    work.progress.write_text("{")
    assert read_progress(work) is None
