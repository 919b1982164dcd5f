"""A finished film that is mended through the server: heard at once, and rendered."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dubarr_pipeline.api.review import ReviewRuns
from dubarr_pipeline.config.settings import parse_settings
from dubarr_pipeline.errors import VideoBusy
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline.workdir.layout import WorkDir, exclusive
from dubarr_pipeline_tests.fixtures.bench import Bench
from dubarr_pipeline_tests.fixtures.review_film import client_of


@pytest.fixture
def page(dubbed: Bench) -> Iterator[TestClient]:
    settings = parse_settings({}, dubbed.work_dir)
    with closing(ReviewRuns(settings)) as runs:
        room = ReviewRoom(settings, runs.backstage())
        with closing(room):
            yield client_of(room)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def takes_spoken(folder: Path) -> int:
    lines = (folder / "segments.journal").read_text("utf-8").splitlines()
    return sum(json.loads(line)["kind"] == "take" for line in lines)


def test_one_line_is_heard_and_rendered_alone(page: TestClient, dubbed: Bench):
    (film,) = page.get("/api/v1/films").json()["films"]
    address, folder = f"/api/v1/films/{film['key']}", dubbed.work_dir / film["key"]
    assert film["state"] == "DONE"
    row = page.get(f"{address}/lines?lang=es").json()["lines"][0]
    spoken, catalan = takes_spoken(folder), digest(folder / "final_ca.ac3")

    wish = {"lang": "es", "text": "Muy buenos días."}
    tried = page.post(f"{address}/lines/{row['id']}/try", json=wish)
    assert tried.status_code == 200, tried.text
    assert page.get(tried.json()["sound"]).content[:4] == b"RIFF"
    assert takes_spoken(folder) == spoken + 1

    said = fact(row["id"], "Muy buenos días.")
    assert state(page, address, said, 0).status_code == 200
    assert page.get(address).json()["languages"][0]["stale"]
    rendered(page, address)
    languages = page.get(address).json()["languages"]
    revisions = [(each["stale"], each["output_revision"]) for each in languages]
    assert revisions == [(False, 1), (False, 0)]
    now = page.get(f"{address}/lines?lang=es").json()["lines"][0]
    assert now["text"] == "Muy buenos días."
    # What was tried is not spoken again, and nothing else is touched.
    assert takes_spoken(folder) == spoken + 1
    assert digest(folder / "final_ca.ac3") == catalan


def fact(line: str, text: str | None) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "target": "line",
        "target_id": line,
        "field": "text",
        "value": text,
    }


def state(page: TestClient, address: str, said: dict[str, Any], revision: int) -> Any:
    wish = {"revision": revision, "source_revision": 0, "by": "Ada", "facts": [said]}
    return page.post(f"{address}/edits/es", json=wish)


def rendered(page: TestClient, address: str) -> None:
    assert page.post(f"{address}/render", json={}).status_code == 202
    assert page.post(f"{address}/render", json={}).status_code == 409
    end = time.monotonic() + 120
    while page.get(address).json()["running"]:
        assert time.monotonic() < end
        time.sleep(0.2)
    (film,) = page.get("/api/v1/films").json()["films"]
    assert film["state"] == "DONE"


def test_a_run_that_cannot_begin_says_why(page: TestClient, dubbed: Bench):
    (key,) = (film["key"] for film in page.get("/api/v1/films").json()["films"])
    runs = ReviewRuns(parse_settings({}, dubbed.work_dir))
    with closing(runs), exclusive(WorkDir(dubbed.work_dir / key)):
        assert runs.fault(key) == ""
        runs.render(key)
        with pytest.raises(VideoBusy):
            runs.render(key)
        end = time.monotonic() + 120
        while runs.is_running(key):
            assert time.monotonic() < end
            time.sleep(0.2)
        assert runs.fault(key).startswith("another process is working in ")
