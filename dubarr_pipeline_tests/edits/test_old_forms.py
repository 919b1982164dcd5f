"""Corrections by line number and corrected subtitles: read, in effect, and carried over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dubarr_pipeline.edits.document import read_edits_document, settle_lines
from dubarr_pipeline.edits.film import edits_digest, stale_slots
from dubarr_pipeline.edits.history import in_effect
from dubarr_pipeline.edits.model import LineEdits
from dubarr_pipeline.errors import ArtifactError, NoScript
from dubarr_pipeline.library.admission import inherit_lines
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures.edited_film import (
    ROWS,
    EditedFilm,
    edited_film,
    fact,
    script,
)

BY_INDEX = {"lines": {"1": {"text": "Que no."}, "3": {"text": "\x07 Nadie."}, "77": {"text": "?"}}}
SOURCE = {"lines": {"0": {"text": "Good evening.", "speaker": "SPEAKER_01"}, "1": {"text": " "}}}
SRT = "1\n00:00:06,000 --> 00:00:08,000\nEl mar.\n\n2\n00:00:04,000 --> 00:00:04,600\nNo, no.\n"


@pytest.fixture
def film(tmp_path: Path) -> EditedFilm:
    film = edited_film(tmp_path)
    film.work.edits.mkdir()
    (film.work.edits / "es.json").write_text(json.dumps(BY_INDEX))
    (film.work.edits / "en.json").write_text(json.dumps(SOURCE))
    (film.work.edits / "es.srt").write_text(SRT)
    return film


def texts(film: EditedFilm, language: str = "es") -> dict[int, str | None]:
    return {index: each.text for index, each in film.edits.lines[language].items()}


def test_older_forms_are_in_effect(film: EditedFilm) -> None:
    assert texts(film) == {1: "Que no.", 2: "El mar.", 3: " Nadie."}
    first = film.edits.script.segments[0]
    assert (first.text, first.speaker) == ("Good evening.", "SPEAKER_01")
    assert film.edits.script.segments[1].text == "No."
    assert read_edits_document(film.work, "es").revision == 0
    assert read_edits_document(film.work, "es") == read_edits_document(film.work, "es")
    assert not stale_slots(film.work, "es")


def test_the_digest_of_older_forms_is_that_of_their_bytes(film: EditedFilm) -> None:
    before = edits_digest(film.work, ("es", "en"))
    assert before == edits_digest(film.work, ("es", "en"))
    (film.work.edits / "es.json").write_text(json.dumps(BY_INDEX, indent=3))
    assert edits_digest(film.work, ("es", "en")) != before


def test_the_first_fact_keeps_them_and_may_overrule_them(film: EditedFilm) -> None:
    film.state("es", fact("text", "No.", film.ids[1]), fact("text", "Mar.", film.ids[2]))
    assert texts(film) == {1: "No.", 2: "Mar.", 3: " Nadie."}
    stored = json.loads((film.work.edits / "es.json").read_text())
    assert (stored["schema"], stored["revision"]) == (2, 1)
    assert [each["value"] for each in stored["facts"]] == ["Que no.", " Nadie.", "No.", "Mar."]
    (film.work.edits / "es.srt").unlink()
    film.state("es", fact("text", None, film.ids[2]))
    assert texts(film) == {1: "No.", 3: " Nadie."}


def test_lines_that_a_hand_puts_into_a_file_of_facts_are_the_last_word(film: EditedFilm) -> None:
    path = film.work.edits / "es.json"
    film.state("es", fact("text", "No.", film.ids[1]))
    path.write_text(json.dumps({**json.loads(path.read_text()), **BY_INDEX}))
    assert texts(film)[1] == "Que no."
    assert read_edits_document(film.work, "es").revision == 2
    assert film.state("es", fact("tempo", 1.1, film.ids[1])).revision == 3
    assert "lines" not in json.loads(path.read_text())
    assert texts(film)[1] == "Que no."


def test_line_numbers_are_settled_before_another_script_comes(film: EditedFilm) -> None:
    settle_lines(film.work)
    film.heard(script([(0.2, "SPEAKER_00", "Hush!"), *ROWS[1:]]))
    assert texts(film) == {1: "Que no.", 2: "El mar.", 3: " Nadie."}
    film.heard(script([(0.2, "SPEAKER_00", "Hush!"), *ROWS]))
    assert texts(film) == {2: "Que no.", 3: "El mar.", 4: " Nadie."}
    assert film.edits.script.segments[1].speaker == "SPEAKER_01"


def test_another_release_inherits_by_words(film: EditedFilm, tmp_path: Path) -> None:
    (film.work.edits / "fr.json").write_text("{")
    new = EditedFilm(WorkDir(tmp_path / "new"))
    for _ in range(2):
        inherit_lines(film.work, new.work)
    new.heard(script([(0.2, "SPEAKER_00", "Hush!"), *((at + 90, *row) for at, *row in ROWS)]))
    (new.work.edits / "fr.json").unlink()
    assert texts(new) == {2: "Que no.", 3: "El mar.", 4: " Nadie."}
    assert new.edits.script.segments[1].text == "Good evening."
    assert not (new.work.edits / "es.srt").exists()
    assert (film.work.edits / "es.srt").read_text() == SRT


def test_facts_go_along_to_another_release(film: EditedFilm, tmp_path: Path) -> None:
    film.state("es", fact("tempo", 1.1, film.ids[5]))
    film.state("es", fact("locked", {"text": "Aguardamos."}, film.ids[5]))
    new = EditedFilm(WorkDir(tmp_path / "new"))
    inherit_lines(film.work, new.work)
    new.heard(script(ROWS[3:], shift_s=-9))
    assert new.edits.lines["es"][2] == LineEdits("Aguardamos.", tempo=1.1, locked=True)
    assert len(in_effect(read_edits_document(new.work, "es").facts)) == 5
    assert {each.reason for each in new.edits.orphans["es"]} == {"gone"}


def test_what_is_not_readable_is_named(film: EditedFilm) -> None:
    (film.work.edits / "es.srt").write_text("no subtitle")
    with pytest.raises(NoScript, match="no cue"):
        _ = film.edits
    (film.work.edits / "es.srt").write_text(" " * 20_000_001)
    with pytest.raises(ArtifactError, match="more than 20 MB"):
        _ = film.edits
    settle_lines(film.work)


def test_without_a_script_they_wait(film: EditedFilm) -> None:
    film.work.transcription.unlink()
    settle_lines(film.work)
    assert not read_edits_document(film.work, "es").facts
