"""Edits put into a film: what each field does, and what becomes of it in another script."""

from __future__ import annotations

from pathlib import Path

import pytest

from dubarr_pipeline.edits.base import read_base
from dubarr_pipeline.edits.film import (
    edits_digest,
    output_revision,
    stale_slots,
    with_speaker_facts,
    write_output_revisions,
)
from dubarr_pipeline.edits.model import EditsRefused, LineEdits
from dubarr_pipeline.script.model import SpeakerProfile
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.edited_film import (
    RATE,
    ROWS,
    EditedFilm,
    edited_film,
    fact,
    script,
)


@pytest.fixture
def film(tmp_path: Path) -> EditedFilm:
    return edited_film(tmp_path)


def texts(film: EditedFilm) -> list[str]:
    return [line.text for line in film.edits.script.segments]


def test_a_film_without_edits_is_as_the_machine_has_it(film: EditedFilm) -> None:
    found = film.edits
    assert found.script == film.transcript
    assert len({*found.ids.values()}) == len(ROWS)
    assert all(name.startswith("L") for name in found.ids.values())
    assert not film.work.edits.exists(), "an id alone is nothing to keep"
    assert edits_digest(film.work, ("es", "en")) is None


def test_every_edit_of_a_line_arrives(film: EditedFilm) -> None:
    wanted = {
        "text": "Hola.",
        "take": "0123456789abcdef01234567",
        "voice": "ef_dora",
        "start_s": 4.5,
        "tempo": 1.1,
        "gain_db": -3.0,
        "keep_original": True,
        "locked": True,
        "comment": "as agreed",
    }
    film.state("es", *(fact(name, value, film.ids[1]) for name, value in wanted.items()))
    assert film.edits.lines["es"] == {1: LineEdits(**wanted)}
    assert film.edits.lines["fr"] == {}
    film.state("es", *(fact(name, None, film.ids[1]) for name in wanted))
    assert film.edits.lines["es"] == {}


def test_a_lock_pins_wording_and_take_until_another_is_said(film: EditedFilm) -> None:
    take = "0123456789abcdef01234567"
    film.state("es", fact("locked", {"text": "Hola.", "take": take}, film.ids[0]))
    assert film.edits.lines["es"][0] == LineEdits("Hola.", take, locked=True)
    film.state("es", fact("text", "Buenas.", film.ids[0]))
    assert film.edits.lines["es"][0].text == "Buenas."


def test_the_source_is_put_right(film: EditedFilm) -> None:
    film.state(
        "en",
        fact("text", "Good evening.", film.ids[0]),
        fact("speaker", "SPEAKER_00", film.ids[1]),
        fact("remove", True, film.ids[4]),
        fact("name", "Ann", "SPEAKER_00", target="speaker"),
    )
    found = film.edits
    assert [line.index for line in found.script.segments] == [0, 1, 2, 3, 5]
    assert texts(film)[0] == "Good evening."
    assert found.script.segments[1].speaker == "SPEAKER_00"
    assert [line.text for line in found.removed.values()] == ["No."]
    assert found.names == {"SPEAKER_00": "Ann"}


def test_pieces_of_a_split_are_new_lines_and_the_rest_keeps_its_place(film: EditedFilm) -> None:
    film.state("es", fact("voice", "ef_dora", film.ids[2]), fact("text", "El mar.", film.ids[2]))
    both = {"at_s": 7.5, "texts": ["The sea is calm,", "and the harbour is near."]}
    film.state("en", fact("split", both, film.ids[2]))
    found = film.edits
    assert [line.index for line in found.script.segments] == [0, 1, 6, 7, 3, 4, 5]
    first, second = found.script.segments[2:4]
    assert (first.span.start, first.span.end, second.span.start) == (
        6 * RATE,
        7.5 * RATE,
        7.5 * RATE,
    )
    assert found.lines["es"] == {6: LineEdits(voice="ef_dora"), 7: LineEdits(voice="ef_dora")}
    assert film.ids[6] != film.ids[7]
    film.state("es", fact("text", "El mar está en calma,", film.ids[6]))
    assert film.edits.lines["es"][6] == LineEdits("El mar está en calma,", voice="ef_dora")


def test_an_undone_split_leaves_the_numbers_of_later_pieces(film: EditedFilm) -> None:
    half = {"at_s": 7.5, "texts": ["The sea is calm,", "and the harbour is near."]}
    first = film.state("en", fact("split", half, film.ids[2]))
    film.state("en", fact("merge", {"with": [film.ids[5]]}, film.ids[4]))
    (merged,) = [line for line in film.edits.script.segments if line.text.startswith("No. Then")]
    film.state("en", fact("split", None, first.facts[0].target_id, undoes=first.facts[0].id))
    (again,) = [line for line in film.edits.script.segments if line.text.startswith("No. Then")]
    assert again == merged
    assert 2 in film.ids


def test_merged_lines_are_one_from_the_first_to_the_last(film: EditedFilm) -> None:
    film.state("en", fact("merge", {"with": [film.ids[5]], "text": "No, we wait."}, film.ids[4]))
    *_, last = film.edits.script.segments
    assert (last.text, last.span.start, last.speaker) == ("No, we wait.", 14 * RATE, "SPEAKER_00")
    assert last.span.end == film.transcript.segments[5].span.end


def test_a_line_is_added_where_speech_has_none(film: EditedFilm) -> None:
    added = {"start_s": 40.0, "end_s": 42.5, "text": "Hello?", "speaker": "SPEAKER_01"}
    film.state("en", fact("add", added, target="film"))
    *_, last = film.edits.script.segments
    assert (last.index, last.text, last.kind) == (6, "Hello?", "speech")
    assert last.span == Span(40 * RATE, round(42.5 * RATE))
    film.state("es", fact("text", "¿Hola?", film.ids[6]))
    assert film.edits.lines["es"][6].text == "¿Hola?"


def test_merged_speakers_speak_with_one_voice(film: EditedFilm) -> None:
    film.state("en", fact("merge", {"with": ["SPEAKER_01"]}, "SPEAKER_00", target="speaker"))
    # The other way round would be a circle.
    film.state("en", fact("merge", {"with": ["SPEAKER_00"]}, "SPEAKER_01", target="speaker"))
    film.state("es", fact("voice", "ef_dora", "SPEAKER_00", target="speaker"))
    found = film.edits
    assert {line.speaker for line in found.script.segments} == {"SPEAKER_00"}
    assert found.merged == {"SPEAKER_01": "SPEAKER_00"}
    assert found.voices["es"] == {"SPEAKER_00": "ef_dora"}


def test_speakers_end_where_older_corrections_do(film: EditedFilm) -> None:
    film.state("en", fact("name", "Ann", "SPEAKER_00", target="speaker"))
    film.state("es", fact("voice", "ef_dora", "SPEAKER_00", target="speaker"))
    profiles = {"SPEAKER_00": SpeakerProfile("SPEAKER_00", voices={"fr": "ff_siwis"})}
    (profile,) = with_speaker_facts(film.edits, profiles).values()
    assert (profile.name, profile.voices) == ("Ann", {"fr": "ff_siwis", "es": "ef_dora"})


def test_terms_have_their_words(film: EditedFilm) -> None:
    film.state(
        "es",
        fact("rendering", "el puerto", "harbour", target="term"),
        fact("pronunciation", "shon", "Sean", target="term"),
    )
    assert film.edits.renderings["es"] == {"harbour": "el puerto"}
    assert film.edits.pronunciations["es"] == {"Sean": "shon"}


def test_anybody_may_put_an_orphan_elsewhere_or_drop_it(film: EditedFilm) -> None:
    document = film.state("es", fact("text", "Esperamos.", film.ids[5]))
    (own,) = document.facts
    undo = fact("text", None, own.target_id, undoes=own.id)
    with pytest.raises(EditsRefused, match="the fact is ann's"):
        film.state("es", undo, by="bob")
    longer = (16.0, "SPEAKER_00", "No. Then we shall wait here until the evening comes.")
    film.heard(script([*ROWS[:4], longer]))
    (orphan,) = film.edits.orphans["es"]
    assert orphan.candidate
    film.state("es", undo, fact("text", "Esperamos.", orphan.candidate), by="bob")
    assert not film.edits.orphans
    assert film.edits.lines["es"][4].text == "Esperamos."


def test_edits_of_a_piece_wait_while_its_split_is_undone(film: EditedFilm) -> None:
    half = {"at_s": 7.5, "texts": ["The sea is calm,", "and the harbour is near."]}
    split = film.state("en", fact("split", half, film.ids[2]))
    film.state("es", fact("text", "El mar,", film.ids[6]))
    undone = film.undo(split)
    (orphan,) = film.edits.orphans["es"]
    assert (orphan.reason, orphan.candidate) == ("recut", film.ids[2])
    film.undo(undone)
    assert film.edits.lines["es"][6].text == "El mar,"


LATER = tuple((start + 5, who, text) for start, who, text in ROWS)
SWAPPED = {"SPEAKER_00": "SPEAKER_01", "SPEAKER_01": "SPEAKER_00"}


def test_edits_find_their_lines_in_another_script(film: EditedFilm) -> None:
    ids = dict(film.ids)
    film.state("es", fact("text", "No, no.", ids[4]), fact("start_s", 14.25, ids[4]))
    film.state("es", fact("voice", "ef_dora", "SPEAKER_01", target="speaker"))
    half = {"at_s": 7.5, "texts": ["The sea is calm,", "and the harbour is near."]}
    film.state("en", fact("split", half, ids[2]), fact("speaker", "SPEAKER_01", ids[0]))
    rows = [(0.5, "SPEAKER_00", "Hush!"), *((at, SWAPPED[who], text) for at, who, text in LATER)]
    film.heard(script(rows))
    found = film.edits
    assert {index: found.ids[index] for index in (1, 2, 4, 5, 6)} == {
        index: ids[index - 1] for index in (1, 2, 4, 5, 6)
    }
    assert found.lines["es"][5] == LineEdits("No, no.", start_s=pytest.approx(19.25))
    assert found.voices["es"] == {"SPEAKER_00": "ef_dora"}, "the same person under another id"
    assert found.script.segments[1].speaker == "SPEAKER_00"
    (second,) = [line for line in found.script.segments if line.text.startswith("and the")]
    assert second.span.start == round(12.5 * RATE)
    assert not found.orphans


def test_what_is_not_found_is_orphaned_with_a_candidate_and_comes_back(film: EditedFilm) -> None:
    ids = film.ids
    document = film.state(
        "es",
        fact("text", "Esperamos.", ids[5]),
        fact("text", "Nadie.", ids[3]),
        fact("tempo", 1.1, ids[3]),
    )
    nobody = (10.0, "SPEAKER_01", "You find nobody.")
    halves = "Then we shall wait", "here until the evening comes."
    waiting = [(16.0 + 2 * at, "SPEAKER_00", text) for at, text in enumerate(halves)]
    film.heard(script([*ROWS[:3], nobody, ROWS[4], *waiting]))
    found = film.edits
    assert found.lines["es"] == {}
    lost = {each.target_id: each for each in found.orphans["es"]}
    assert lost[ids[5]].reason == "recut"
    assert lost[ids[3]].reason == "gone"
    assert lost[ids[3]].facts == (document.facts[1].id, document.facts[2].id)
    assert lost[ids[3]].anchor
    # A fact on the new script keeps the old one for those that are lost.
    film.state("es", fact("text", "No encontrarás.", film.ids[3]))
    assert len(read_base(film.work)) == 2
    assert len(film.edits.orphans["es"]) == 2
    film.heard(script())
    assert {n: e.text for n, e in film.edits.lines["es"].items()} == {3: "Nadie.", 5: "Esperamos."}
    assert [each.reason for each in film.edits.orphans["es"]] == ["recut"]


def test_a_candidate_is_offered_for_a_line_that_was_cut_otherwise(film: EditedFilm) -> None:
    film.state("es", fact("text", "Esperamos.", film.ids[5]))
    longer = (16.0, "SPEAKER_00", "No. Then we shall wait here until the evening comes.")
    film.heard(script([*ROWS[:4], longer]))
    (orphan,) = film.edits.orphans["es"]
    assert (orphan.reason, orphan.candidate) == ("recut", film.ids[4])


def test_scripts_without_facts_are_not_kept(film: EditedFilm) -> None:
    film.state("es", fact("text", "No.", film.ids[1]))
    film.heard(script(shift_s=5))
    film.state("es", fact("text", "No, no.", film.ids[4]))
    (base,) = read_base(film.work)
    assert [line.start_s for line in base.lines] == [row[0] for row in LATER]


def test_an_added_line_moves_with_the_film_and_is_not_said_twice(film: EditedFilm) -> None:
    added = {"start_s": 20.0, "end_s": 22.0, "text": "Hello?", "speaker": "SPEAKER_01"}
    film.state("en", fact("add", added, target="film"))
    film.heard(script(LATER))
    assert film.edits.script.segments[-1].span.start == 25 * RATE
    film.heard(script([*LATER, (25.0, "SPEAKER_01", "Hello?")]))
    assert texts(film).count("Hello?") == 1
    assert [each.target for each in film.edits.orphans["en"]] == ["film"]


def test_only_what_is_heard_counts_for_the_digest(film: EditedFilm) -> None:
    film.state("es", fact("comment", "why?", film.ids[0]), fact("locked", True, film.ids[0]))
    assert edits_digest(film.work, ("es",)) is None
    stated = film.state("es", fact("text", "Hola.", film.ids[0]))
    first = edits_digest(film.work, ("es", "en"))
    assert first
    assert edits_digest(film.work, ("en",)) is None
    film.undo(stated)
    assert edits_digest(film.work, ("es", "en")) is None
    film.state("es", fact("text", "Hola.", film.ids[0]))
    assert edits_digest(film.work, ("es", "en")) == first


def test_a_track_is_stale_while_it_lacks_an_edit(film: EditedFilm) -> None:
    assert not stale_slots(film.work, "es")
    film.state("es", fact("text", "Hola.", film.ids[0]), fact("comment", "?", film.ids[1]))
    assert stale_slots(film.work, "es") == {("line", film.ids[0], "text")}
    assert not stale_slots(film.work, "fr")
    write_output_revisions(film.work, {"es": 1, "en": 0})
    assert output_revision(film.work, "es") == 1
    assert not stale_slots(film.work, "es")
    document = film.state("es", fact("text", "Ah.", film.ids[1]))
    assert stale_slots(film.work, "es") == {("line", film.ids[1], "text")}
    film.undo(document)
    film.state("es", fact("locked", {"text": "Hola."}, film.ids[0]))
    assert not stale_slots(film.work, "es"), "it is as it was rendered"
    film.state("en", fact("text", "Good evening.", film.ids[0]))
    assert stale_slots(film.work, "en")


def test_a_file_that_is_not_readable_counts_as_it_is(film: EditedFilm) -> None:
    film.work.edits.mkdir()
    for text in ("{", "[1]", '{"facts": 5}'):
        (film.work.edits / "es.json").write_text(text)
        assert edits_digest(film.work, ("es",))
