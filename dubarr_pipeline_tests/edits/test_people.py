"""What is known of speakers, taken to a script that numbers them otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dubarr_pipeline.edits.people import mark_people, settle_people
from dubarr_pipeline.library.admission import inherit_lines
from dubarr_pipeline.script.speakers.casting import NARRATOR
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures.edited_film import ROWS, EditedFilm, edited_film, script

OTHERWISE = [
    (at, {"SPEAKER_00": "SPEAKER_05"}.get(who, "SPEAKER_00"), said) for at, who, said in ROWS
]
SAID = {"SPEAKER_00": {"gender": "female"}, "SPEAKER_01": {"name": "Ann"}}


@pytest.fixture
def film(tmp_path: Path) -> EditedFilm:
    film = edited_film(tmp_path)
    film.work.edits.mkdir()
    document = {"speakers": {**SAID, "SPEAKER_09": {"name": "Nobody"}}}
    (film.work.edits / "speakers.json").write_text(json.dumps(document))
    voices = {"SPEAKER_00": {"voice": "bea"}, "SPEAKER_01": {"voice": "ana"}}
    languages = {"es": {**voices, NARRATOR: {"voice": "tom"}}}
    film.work.cast.write_text(json.dumps({"synthesizer": "x", "languages": languages}))
    return film


def known(work: WorkDir) -> tuple[dict[str, object], dict[str, object]]:
    people = json.loads((work.edits / "speakers.json").read_text())
    cast = json.loads(work.cast.read_text())["languages"]["es"]
    return people, {who: each["voice"] for who, each in cast.items()}


def test_another_release_finds_its_people_by_their_lines(film: EditedFilm, tmp_path: Path) -> None:
    new, third = EditedFilm(WorkDir(tmp_path / "new")), EditedFilm(WorkDir(tmp_path / "third"))
    inherit_lines(film.work, new.work)
    # It is replaced before it was ever heard.
    inherit_lines(new.work, third.work)
    for release in (new, third):
        heard = script(OTHERWISE, shift_s=7)
        release.heard(heard)
        assert settle_people(release.work, heard) == ("SPEAKER_09",)
        people, voices = known(release.work)
        assert people["speakers"] == {
            "SPEAKER_05": SAID["SPEAKER_00"],
            "SPEAKER_00": SAID["SPEAKER_01"],
        }
        assert people["lost"] == {"SPEAKER_09": {"name": "Nobody"}}
        assert voices == {"SPEAKER_05": "bea", "SPEAKER_00": "ana", NARRATOR: "tom"}
        assert settle_people(release.work, heard) == ()


def test_a_rerun_that_hears_the_same_leaves_every_byte(film: EditedFilm) -> None:
    (film.work.edits / "speakers.json").write_text(json.dumps({"speakers": SAID}))
    before = [path.read_bytes() for path in (film.work.edits / "speakers.json", film.work.cast)]
    mark_people(film.work)
    assert settle_people(film.work, film.transcript) == ()
    assert before == [
        path.read_bytes() for path in (film.work.edits / "speakers.json", film.work.cast)
    ]


def test_a_rerun_with_other_numbers_is_followed(film: EditedFilm) -> None:
    mark_people(film.work)
    heard = script(OTHERWISE)
    film.heard(heard)
    settle_people(film.work, heard)
    assert known(film.work)[1] == {"SPEAKER_05": "bea", "SPEAKER_00": "ana", NARRATOR: "tom"}
