"""Edits through the server: facts in and out, their revisions, and what they make of a line."""

from __future__ import annotations

import fcntl
import uuid
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from dubarr_pipeline.config.settings import parse_settings
from dubarr_pipeline.library.series.corrections import CastCorrection
from dubarr_pipeline.library.series.memory import CastMemory, SeriesFolder
from dubarr_pipeline.library.videos import save_video
from dubarr_pipeline.review.answers.cast_answers import SeriesAnswer, SeriesWish
from dubarr_pipeline.review.answers.film_answers import GateWish
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline_tests.fixtures.review_film import KEY, backstage, client_of

FILM = f"/api/v1/films/{KEY}"


def fact(line: str, field: str, value: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "target": "line",
        "target_id": line,
        "field": field,
        "value": value,
        **more,
    }


def post(client: TestClient, *facts: dict[str, Any], revision: int = 0, lang: str = "es") -> Any:
    wish = {"revision": revision, "by": "Ada", "facts": facts}
    return client.post(f"{FILM}/edits/{lang}", json=wish)


def lines(client: TestClient) -> list[dict[str, Any]]:
    return client.get(f"{FILM}/lines?lang=es").json()["lines"]


def test_a_text_is_one_fact_and_makes_its_line_stale(client: TestClient):
    first = lines(client)[0]
    assert post(client, fact(first["id"], "text", "Hola, Ana.")).json() == {"revision": 1}
    told = client.get(f"{FILM}/edits/es").json()
    assert told["revision"] == 1
    (stored,) = told["facts"]
    assert (stored["by"], stored["field"], stored["value"]) == ("Ada", "text", "Hola, Ana.")
    row, *others = lines(client)
    assert row["edits"] == {"text": "Hola, Ana."}
    assert row["badges"] == ["edited", "stale"]
    assert row["text"] == first["text"]
    assert all(each["badges"] == [] for each in others)
    (spanish,) = client.get(FILM).json()["languages"]
    assert (spanish["stale"], spanish["revision"], spanish["output_revision"]) == (True, 1, 0)
    assert spanish["counts"]["edited"] == 1


def test_an_undo_makes_it_as_it_was(client: TestClient):
    row = lines(client)[0]
    said = fact(row["id"], "text", "Hola.")
    post(client, said)
    undo = fact(row["id"], "text", None, undoes=said["id"])
    assert post(client, undo, revision=1).status_code == 200
    assert lines(client)[0] == row
    assert client.get(FILM).json()["languages"][0]["stale"] is False


def test_a_comment_and_a_lock_redo_nothing(client: TestClient):
    row = lines(client)[1]
    post(client, fact(row["id"], "comment", "Is this right?"), fact(row["id"], "locked", True))
    assert lines(client)[1]["badges"] == ["locked"]
    assert client.get(FILM).json()["languages"][0]["stale"] is False


def test_a_stale_revision_is_told_what_came_since(client: TestClient):
    one, two = (row["id"] for row in lines(client)[:2])
    post(client, fact(one, "text", "Uno."))
    told = post(client, fact(two, "text", "Dos."))
    assert told.status_code == 409
    assert told.json()["revision"] == 1
    assert [each["value"] for each in told.json()["facts"]] == ["Uno."]
    assert post(client, fact(two, "text", "Dos."), revision=1).json() == {"revision": 2}


def test_what_cannot_be_is_named_and_nothing_of_it_is_taken(client: TestClient):
    one, two = (row["id"] for row in lines(client)[:2])
    good, bad = fact(one, "text", "Uno."), fact(two, "gain_db", 40)
    told = post(client, good, bad)
    assert told.status_code == 422
    assert [each["id"] for each in told.json()["errors"]] == [bad["id"]]
    assert client.get(f"{FILM}/edits/es").json() == {"revision": 0, "facts": []}


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        '{"revision": 0}',
        '{"revision": "x", "by": "me", "facts": []}',
        '{"revision": 0, "by": "me", "facts": [1]}',
        '{"revision": 0, "by": "me", "facts": [{"id": "x"}]}',
        '{"revision": 0, "by": "me", "facts": [{"nothing": 1}]}',
        "[" * 100_000,
    ],
)
def test_a_body_that_is_none_is_refused_in_words(client: TestClient, body: str):
    told = client.post(
        f"{FILM}/edits/es", content=body, headers={"Content-Type": "application/json"}
    )
    assert told.status_code == 422
    assert told.json().get("error") or told.json()["errors"][0]["message"]


def test_too_many_facts_at_once_are_refused(client: TestClient):
    line = lines(client)[0]["id"]
    assert post(client, *(fact(line, "text", f"{n}") for n in range(501))).status_code == 413


def test_the_films_own_words_and_speakers_are_corrected_in_its_language(client: TestClient):
    row = lines(client)[0]
    facts = fact(row["id"], "text", "Good morning!"), fact(row["id"], "speaker", "SPEAKER_01")
    assert post(client, *facts, lang="en").status_code == 200
    now = lines(client)[0]
    assert (now["original"], now["speaker"]) == ("Good morning!", "SPEAKER_01")
    assert now["edits"] == {"original": "Good morning!", "speaker": "SPEAKER_01"}
    assert now["badges"] == ["edited", "stale"]
    film = client.get(FILM).json()
    assert film["source_revision"] == 1
    assert [each["lines"] for each in film["speakers"]] == [2, 3]


def test_a_split_line_is_two_of_which_neither_is_made(client: TestClient):
    row = lines(client)[0]
    split = {"at_s": 0.5, "texts": ["Good", "morning."]}
    assert post(client, fact(row["id"], "split", split), lang="en").status_code == 200
    first, second, *_ = lines(client)
    assert [each["original"] for each in (first, second)] == ["Good", "morning."]
    assert first["end"] <= second["start"]
    assert {first["outcome"], second["outcome"]} == {""}
    assert len({each["id"] for each in lines(client)}) == 7


def test_a_hostile_text_is_sent_as_text(client: TestClient):
    line = lines(client)[0]["id"]
    words = '<img src=x onerror="alert(1)">'
    post(client, fact(line, "text", words))
    told = client.get(f"{FILM}/lines?lang=es")
    assert told.headers["content-type"] == "application/json"
    assert told.json()["lines"][0]["edits"]["text"] == words


def test_approval_waits_for_the_render(room: ReviewRoom):
    decided: list[tuple[str, GateWish]] = []
    watched = replace(room, backstage=backstage(decide=lambda *each: decided.append(each)))
    client = client_of(watched)
    post(client, fact(lines(client)[0]["id"], "text", "Hola."))
    told = client.post(f"{FILM}/gate", json={"action": "approve", "note": "good"})
    assert told.status_code == 409
    assert "render" in told.json()["error"]
    assert client.post(f"{FILM}/gate", json={"action": "hold", "note": "no"}).status_code == 200
    assert client.post(f"{FILM}/gate", json={"action": "burn"}).status_code == 422
    assert decided == [(KEY, GateWish("hold", "no"))]


def test_nobody_approves_a_result_that_they_have_not_seen(room: ReviewRoom):
    decided: list[GateWish] = []
    client = client_of(
        replace(room, backstage=backstage(decide=lambda _, wish: decided.append(wish)))
    )
    seen = client.get(FILM).json()["gate"]["result"]
    wish = {"action": "approve", "result": seen}
    work = room.video(KEY).work(room.settings.work_dir)
    with (work.root / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        busy = client.post(f"{FILM}/gate", json=wish)
    assert (busy.status_code, decided) == (409, [])
    # A run ends between the look and the click.
    work.segments_report.write_bytes(work.segments_report.read_bytes())
    late = client.post(f"{FILM}/gate", json=wish)
    assert late.status_code == 409
    assert "look at it again" in late.json()["error"]
    assert not decided
    wish["result"] = client.get(FILM).json()["gate"]["result"]
    assert client.post(f"{FILM}/gate", json=wish).json()["result"] == wish["result"]
    assert len(decided) == 1
    assert not work.edits.exists()


def test_a_sheet_for_others_runs_no_script(client: TestClient):
    told = client.get(f"{FILM}/qc.html")
    assert told.text == "<p>sheet</p>"
    policy = told.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy


def test_the_cast_is_told_with_lines_to_try_voices_on(client: TestClient):
    told = client.get(f"{FILM}/cast").json()
    ann, other = told["speakers"]
    assert (ann["name"], ann["lines"], ann["spoken_s"]) == ("Ann", 3, 2.5)
    assert len(ann["sample_lines"]) == 3
    assert other["sample_lines"]
    assert told["voices"]["es"]


def test_voices_that_nobody_deals_may_be_chosen(room: ReviewRoom):
    settings = parse_settings({"synthesis": {"engine": "espeak"}}, room.settings.work_dir)
    told = client_of(replace(room, settings=settings)).get(f"{FILM}/cast").json()
    assert {"plain", "deep", "thin"} <= set(told["voices"]["es"])


def test_names_and_voices_are_taken_as_facts(client: TestClient):
    voice = client.get(f"{FILM}/cast").json()["voices"]["es"][0]
    wish = {
        "by": "Ada",
        "speakers": [
            {"id": "SPEAKER_00", "name": "Ann"},
            {"id": "SPEAKER_01", "name": "Bob", "voices": {"es": voice}},
        ],
    }
    told = client.put(f"{FILM}/cast", json=wish).json()
    assert [each["name"] for each in told["speakers"]] == ["Ann", "Bob"]
    assert told["speakers"][1]["voices"] == {"es": voice}
    assert client.get(f"{FILM}/edits/en").json()["revision"] == 1
    assert client.get(f"{FILM}/edits/es").json()["revision"] == 1
    client.put(f"{FILM}/cast", json=wish)
    assert client.get(f"{FILM}/edits/es").json()["revision"] == 1


def test_a_cast_is_taken_whole_or_not_at_all(client: TestClient, room: ReviewRoom):
    wish = {
        "by": "Ada",
        "speakers": [
            {"id": "SPEAKER_00", "name": "Zoe"},
            {"id": "SPEAKER_77", "voices": {"es": "nobody"}},
        ],
    }
    told = client.put(f"{FILM}/cast", json=wish)
    assert told.status_code == 422
    assert told.json()["errors"]
    assert client.get(f"{FILM}/edits/en").json()["revision"] == 0
    assert not room.video(KEY).work(room.settings.work_dir).edits.exists()
    wish["speakers"][1] = {"id": "SPEAKER_01", "voices": {"xx": "a"}}
    assert client.put(f"{FILM}/cast", json=wish).status_code == 404
    assert client.get(f"{FILM}/edits/en").json()["revision"] == 0


def test_a_series_is_known_by_its_memory(room: ReviewRoom):
    told: list[tuple[str, SeriesWish]] = []

    def correct(key: str, wish: SeriesWish) -> SeriesAnswer:
        told.append((key, wish))
        return SeriesAnswer(key, "A Series", 1, (), (), {}, ())

    client = client_of(replace(room, backstage=backstage(correct_series=correct)))
    address = "/api/v1/series/tvdb-1/cast"
    assert client.get(address).status_code == 404
    SeriesFolder.of("tvdb-1", room.settings.work_dir).write(CastMemory("tvdb-1", "A Series"))
    assert client.get(address).json()["title"] == "Series"
    said = {"target": "C1", "field": "name", "value": "Ann"}
    put = client.put(address, json={"by": "Ada", "corrections": [said]})
    assert put.json()["revision"] == 1
    assert told == [("tvdb-1", SeriesWish("Ada", (CastCorrection("C1", "name", "Ann"),)))]
    assert client.put(address, json={"by": "", "corrections": [{}]}).status_code == 422
    for other in ("tvdb-2", "..%2f..", ".."):
        assert client.get(f"/api/v1/series/{other}/cast").status_code == 404
    alone = client_of(replace(room, only=KEY))
    assert alone.get(address).status_code == 404


def test_a_film_names_the_series_whose_memory_has_its_cast(room: ReviewRoom):
    client = client_of(room)
    assert client.get(FILM).json()["series"] is None
    save_video(replace(room.video(KEY), series="tvdb-1"), room.settings.work_dir)
    assert client.get(FILM).json()["series"] is None
    SeriesFolder.of("tvdb-1", room.settings.work_dir).write(CastMemory("tvdb-1", "A Series"))
    # The view is kept; the film's own document is not.
    assert client.get(FILM).json()["series"] == "tvdb-1"
