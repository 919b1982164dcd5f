"""Lines out as sheets, and what people changed in them in again."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from dubarr_pipeline_tests.fixtures.review_film import KEY
from dubarr_pipeline_tests.review.test_mending import fact, post

FILM = f"/api/v1/films/{KEY}"
FORMATS = ("csv", "xlsx", "srt")


def sent(
    client: TestClient, data: bytes, form: str, dry: int = 0, lang: str = "es", revision: int = -1
) -> Any:
    asked = {"lang": lang, "format": form, "dry": dry, "by": "Ada", "revision": revision}
    kind = {"Content-Type": "application/octet-stream"}
    return client.post(f"{FILM}/import", params=asked, content=data, headers=kind)


def exported(client: TestClient, form: str, lang: str = "es") -> bytes:
    told = client.get(f"{FILM}/export.{form}", params={"lang": lang})
    assert told.status_code == 200
    name, mark = told.headers["content-disposition"], r"\.r\d+" if form == "srt" else ""
    assert re.fullmatch(rf'attachment; filename="{KEY}\.{lang}{mark}\.{form}"', name)
    return told.content


@pytest.mark.parametrize("form", FORMATS)
def test_a_sheet_that_comes_back_as_it_was_changes_nothing(client: TestClient, form: str):
    told = sent(client, exported(client, form), form)
    assert (told.status_code, told.json()) == (200, {"facts": 0, "revision": 0, "locked": []})


@pytest.mark.parametrize("form", ["csv", "srt"])
def test_a_changed_text_is_one_fact(client: TestClient, form: str):
    changed = exported(client, form).replace("línea 1".encode(), "otra línea".encode())
    assert sent(client, changed, form, dry=1).json()["facts"] == 1
    assert client.get(f"{FILM}/edits/es").json()["revision"] == 0
    assert sent(client, changed, form).json()["revision"] == 1
    (fact,) = client.get(f"{FILM}/edits/es").json()["facts"]
    assert (fact["value"], fact["by"]) == ("otra línea", "Ada")


@pytest.mark.parametrize("lang", ["es", "en"])
def test_subtitles_take_nothing_back_that_others_changed_meanwhile(client: TestClient, lang: str):
    """Their name has the revision that they went out with."""
    subtitles, word = exported(client, "srt", lang), "línea" if lang == "es" else "line"
    row = client.get(f"{FILM}/lines?lang=es").json()["lines"][1]["id"]
    post(client, fact(row, "text", "Ben's words"), lang=lang)
    assert sent(client, subtitles, "srt", lang=lang, revision=0).json()["facts"] == 0
    other = subtitles.replace(f"{word} 2".encode(), b"my words")
    assert sent(client, other, "srt", dry=1, lang=lang, revision=0).json()["facts"] == 1
    same = subtitles.replace(f"{word} 1".encode(), b"my words")
    told = sent(client, same, "srt", lang=lang, revision=0)
    assert told.status_code == 422
    assert "of somebody else" in told.json()["errors"][0]["message"]
    assert sent(client, same, "srt", dry=1, lang=lang, revision=1).json()["facts"] == 1


def test_the_films_own_words_go_out_and_in(client: TestClient):
    words = b"source line 1,"
    changed = exported(client, "csv", "en").replace(words + words, words + b"another line,")
    assert sent(client, changed, "csv", lang="en").json() == {
        "facts": 1,
        "revision": 1,
        "locked": [],
    }


def test_a_faulty_sheet_is_refused_whole_with_its_rows(client: TestClient):
    rows = exported(client, "csv").decode("utf-8-sig").splitlines()
    rows[1] = rows[1].replace("línea 0", "nueva")
    rows[2] = "Lnowhere" + rows[2][rows[2].index(",") :]
    told = sent(client, "\r\n".join(rows).encode(), "csv")
    assert told.status_code == 422
    (error,) = told.json()["errors"]
    assert error["message"].startswith("row 3: ")
    assert client.get(f"{FILM}/edits/es").json()["facts"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("export.pdf?lang=es", 404),
        ("export.csv?lang=fr", 404),
        ("export.csv", 422),
        ("export.csv?lang=..%2Fes", 404),
    ],
)
def test_what_is_not_there_is_not_exported(client: TestClient, path: str, status: int):
    assert client.get(f"{FILM}/{path}").status_code == status


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_is_no_sheet_is_refused_in_words(client: TestClient, form: str):
    told = sent(client, b"\x00\xff nothing", form)
    assert told.status_code == 422
    assert told.json()["errors"][0]["message"]


def test_an_unknown_format_is_refused(client: TestClient):
    assert sent(client, b"x", "doc").status_code == 422
