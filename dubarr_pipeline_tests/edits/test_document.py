"""Facts are added all or none, once each, and undone to the beginning."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubarr_pipeline.edits.document import (
    add_facts,
    languages_edited,
    read_edits_document,
    read_proposed,
)
from dubarr_pipeline.edits.history import in_effect, undone
from dubarr_pipeline.edits.model import EditsRefused, StaleRevision
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline_tests.fixtures.edited_film import EditedFilm, edited_film, fact


@pytest.fixture
def film(tmp_path: Path) -> EditedFilm:
    return edited_film(tmp_path)


def contents(film: EditedFilm) -> dict[str, bytes]:
    found = film.work.edits.glob("*.json")
    return {path.name: path.read_bytes() for path in found}


def test_a_fact_is_kept_with_its_author_time_and_line(film: EditedFilm) -> None:
    document = film.state("es", fact("text", "Hola.", film.ids[2]))
    (stored,) = read_edits_document(film.work, "es").facts
    assert document.facts == (stored,)
    assert (stored.by, stored.revision, document.revision) == ("ann", 1, 1)
    assert stored.at.startswith("20")
    assert stored.at.endswith("+00:00")
    assert stored.anchor
    assert (stored.anchor.start_s, stored.anchor.speaker) == (6.0, "SPEAKER_00")
    assert (stored.anchor.before, stored.anchor.text[:11]) == ("No.", "The sea is ")
    assert languages_edited(film.work) == ("es",)


def test_facts_stated_together_share_a_revision(film: EditedFilm) -> None:
    both = fact("text", "Hola.", film.ids[0]), fact("gain_db", -3, film.ids[0])
    assert film.state("es", *both).revision == 1
    assert film.state("es", fact("tempo", 1.1, film.ids[0])).revision == 2


REFUSED = [
    (fact("text", "Hola.", "Lnone"), "there is no line 'Lnone'"),
    (fact("text", "  ", "#1"), "text is empty"),
    (fact("text", "a\0b", "#1"), "control characters"),
    (fact("text", 5, "#1"), "valid string"),
    (fact("text", "x" * 4001, "#1"), "at most 4000"),
    (fact("gain_db", 12.5, "#1"), "less than or equal to 12"),
    (fact("gain_db", float("nan"), "#1"), "finite|less than"),
    (fact("gain_db", True, "#1"), "valid number"),
    (fact("tempo", 3, "#1"), "less than or equal to 2"),
    (fact("start_s", 61, "#1"), "behind the end of the film"),
    (fact("take", "../x", "#1"), "not written as it must be"),
    (fact("locked", "yes", "#1"), "locked"),
    (fact("colour", "red", "#1"), "there is no field 'colour'"),
    (fact("name", "Ann", "#1"), "said of a speaker, not of 'line'"),
    (fact("speaker", "SPEAKER_01", "#1"), "put it into the edits of 'en'"),
    (fact("rendering", "barco", "", target="term"), "a term is a word"),
    (fact("comment", "?", "es", target="film"), "leave target_id empty"),
    (fact("voice", "ef_dora", "SPEAKER_07", target="speaker"), "choose one of SPEAKER_00, SPE"),
    (fact("text", "Hola.", "#1", token="1"), "not a UUID"),
    (fact("text", None, "#1", undoes=str(uuid.uuid4())), "there is no fact"),
]
ADDED = {"start_s": 50, "end_s": 52, "text": "Hello.", "speaker": "SPEAKER_00"}
REFUSED_OF_THE_SOURCE = [
    (fact("take", "0123456789abcdef", "#1"), "said of a dub"),
    (fact("split", {"at_s": 9.0, "texts": ["a", "b"]}, "#1"), "cannot be divided at 9.00 s"),
    (fact("split", {"at_s": 4.1, "texts": ["a"]}, "#1"), "at least 2"),
    (fact("split", {"at_s": 4.1, "texts": ["a", " "]}, "#1"), "split.texts.1"),
    (fact("merge", {"with": ["#1"]}, "#1"), "merged with itself"),
    (fact("merge", {"with": ["Lnone"]}, "#1"), "there is no line 'Lnone'"),
    (fact("merge", {"with": []}, "#1"), "at least 1"),
    (fact("speaker", "SPEAKER_07", "#1"), "choose one of"),
    (
        fact(
            "add", {"start_s": 59, "end_s": 61, "text": "a", "speaker": "SPEAKER_00"}, target="film"
        ),
        "within the film",
    ),
    (
        fact(
            "add", {"start_s": 5, "end_s": 5, "text": "a", "speaker": "SPEAKER_00"}, target="film"
        ),
        "end after it starts",
    ),
]


@pytest.mark.parametrize(
    ("language", "wrong", "fault"),
    [
        *(("es", *row) for row in REFUSED),
        *(("en", *row) for row in REFUSED_OF_THE_SOURCE),
    ],
)
def test_what_cannot_be_is_named_and_nothing_is_applied(
    film: EditedFilm, language: str, wrong, fault: str
) -> None:
    ids = film.ids
    text = json.dumps(read_proposed_form(wrong)).replace("#1", ids[1])
    wrong = read_proposed(json.loads(text))[0]
    good = fact("comment", "good", ids[0])
    with pytest.raises(EditsRefused, match=fault) as refused:
        film.state(language, good, wrong)
    assert [error.id for error in refused.value.errors] == [wrong.id]
    assert not contents(film)


def read_proposed_form(each) -> list[dict[str, object]]:
    names = ("id", "target", "target_id", "field", "value", "undoes")
    return [{name: getattr(each, name) for name in names}]


@pytest.mark.parametrize("sent", [5, [5], [{"id": "x"}], [{"id": 1, "target": "line"}]])
def test_what_is_no_list_of_facts_is_refused(sent) -> None:
    with pytest.raises(EditsRefused, match="facts"):
        read_proposed(sent)


@pytest.mark.parametrize("language", ["", "..", "base", "speakers", "es/../x", "e", "es.json"])
def test_what_is_no_language_has_no_file(film: EditedFilm, language: str) -> None:
    with pytest.raises(EditsRefused, match="not the tag of a language"):
        film.state(language, fact("comment", "a", target="film"))


def test_a_stale_revision_is_told_what_came_since(film: EditedFilm) -> None:
    first = film.state("es", fact("text", "Hola.", film.ids[0]))
    second = film.state("es", fact("text", "Buenas.", film.ids[0]), by="bob")
    with pytest.raises(StaleRevision) as stale:
        add_facts(
            film.work, "es", [fact("text", "Ah.", film.ids[1])], revision=first.revision, by="ann"
        )
    assert (stale.value.revision, stale.value.facts) == (2, second.facts[1:])
    assert stale.value.status == 409


def test_a_stale_revision_of_the_source_is_told_too(film: EditedFilm) -> None:
    source = film.state("en", fact("text", "Good evening.", film.ids[0]))
    proposed = [fact("text", "Hola.", film.ids[0])]
    with pytest.raises(StaleRevision) as stale:
        add_facts(film.work, "es", proposed, revision=0, source_revision=0, by="ann")
    assert (stale.value.source_revision, stale.value.facts) == (1, source.facts)
    add_facts(film.work, "es", proposed, revision=0, source_revision=1, by="ann")


def test_what_is_sent_twice_counts_once_whatever_the_revision(film: EditedFilm) -> None:
    sent = [fact("text", "Hola.", film.ids[0]), fact("tempo", 1.1, film.ids[0])]
    first = add_facts(film.work, "es", sent, revision=0, by="ann")
    before = contents(film)
    assert add_facts(film.work, "es", sent, revision=0, by="ann") == first
    assert contents(film) == before
    other = fact("text", "Adiós.", film.ids[0], token=sent[0].id)
    with pytest.raises(EditsRefused, match="another fact's"):
        add_facts(film.work, "es", [other], revision=1, by="ann")
    with pytest.raises(EditsRefused, match="occurs twice"):
        film.state("es", *[fact("tempo", 1.2, film.ids[0], token=str(uuid.UUID(int=5)))] * 2)


def test_pieces_of_two_facts_never_share_an_id(film: EditedFilm) -> None:
    added = {"start_s": 40.0, "end_s": 42.0, "text": "Hello?", "speaker": "SPEAKER_01"}
    alike = "0b9d6f0e-8f2d-4f1c-9d6e-00000000000{}"
    film.state("en", fact("add", added, target="film", token=alike.format(1)))
    with pytest.raises(EditsRefused, match="begins as another fact's"):
        film.state("en", fact("add", added, target="film", token=alike.format(2)))


def test_of_two_at_once_one_is_stored_and_the_other_told(film: EditedFilm) -> None:
    def post(number: int) -> str:
        try:
            add_facts(
                film.work,
                "es",
                [fact("text", f"{number}", name)],
                revision=0,
                by=f"person {number}",
            )
        except StaleRevision as error:
            return f"{len(error.facts)} since"
        return "stored"

    name = film.ids[0]
    with ThreadPoolExecutor(4) as people:
        told = list(people.map(post, range(4)))
    assert sorted(told) == ["1 since", "1 since", "1 since", "stored"]


def test_only_ones_own_facts_are_undone_and_once(film: EditedFilm) -> None:
    document = film.state("es", fact("text", "Hola.", film.ids[0]))
    with pytest.raises(EditsRefused, match="the fact is ann's"):
        film.undo(document, by="bob")
    other = fact("text", None, film.ids[1], undoes=document.facts[0].id)
    with pytest.raises(EditsRefused, match="the undone fact is about text"):
        film.state("es", other)
    again = film.undo(document)
    with pytest.raises(EditsRefused, match="undone already"):
        film.state("es", fact("text", None, film.ids[0], undoes=document.facts[0].id))
    redone = film.undo(again)
    assert not in_effect(again.facts)
    assert [each.value for each in in_effect(redone.facts).values()] == ["Hola."]
    assert undone(redone.facts) == {again.facts[-1].id}


EDITS = st.sampled_from(
    [
        ("es", "text", "Hola."),
        ("es", "text", None),
        ("es", "gain_db", 3.0),
        ("es", "keep_original", True),
        ("es", "locked", {"text": "Fija."}),
        ("en", "text", "Good evening."),
        ("en", "speaker", "SPEAKER_01"),
        ("en", "remove", True),
        ("en", "split", "middle"),
        ("en", "merge", "next"),
        ("undo", "", None),
    ]
)


def one_edit(film: EditedFilm, chance: random.Random, edit) -> None:
    """State an edit of a line by chance; what cannot be is refused, and changes nothing."""
    language, name, value = edit
    script = film.edits
    if language == "undo":
        language = chance.choice(["es", "en"])
        document = read_edits_document(film.work, language)
        gone = undone(document.facts)
        left = [each for each in document.facts if each.id not in gone]
        if left:
            last = chance.choice(left)
            film.state(language, fact(last.field, None, last.target_id, undoes=last.id))
        return
    if not script.script.segments:
        return  # all lines are removed
    line = chance.choice(script.script.segments)
    if value == "middle":
        middle = (line.span.start + line.span.end) / 2 / script.script.rate
        value = {"at_s": middle, "texts": ["one", "two"]}
    elif value == "next":
        value = {"with": [script.ids[chance.choice(script.script.segments).index]]}
    with contextlib.suppress(EditsRefused):
        film.state(language, fact(name, value, script.ids[line.index]))


@settings(max_examples=25, deadline=None)
@given(st.lists(EDITS, max_size=9), st.integers(0, 99))
def test_undoing_all_gives_the_machines_own_and_redoing_all_the_edits(edits, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        film, chance = edited_film(Path(folder)), random.Random(seed)
        machines = film.edits
        for edit in edits:
            one_edit(film, chance, edit)
        people = film.edits
        assert len(people.ids) == len(people.script.segments) == len({*people.ids.values()})
        steps: list[tuple[str, str]] = []
        for language in ("es", "en"):
            document = read_edits_document(film.work, language)
            gone = undone(document.facts)
            left = [each for each in document.facts if not each.undoes and each.id not in gone]
            for each in reversed(left):
                undo = fact(each.field, None, each.target_id, undoes=each.id)
                steps.append((language, film.state(language, undo).facts[-1].id))
        assert film.edits.script == machines.script
        assert film.edits == machines
        for language, undo in reversed(steps):
            document = read_edits_document(film.work, language)
            (last,) = [each for each in document.facts if each.id == undo]
            film.state(language, fact(last.field, None, last.target_id, undoes=last.id))
        assert film.edits == people


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["text", "tempo", "gain_db"]), max_size=5), st.integers(0, 5))
def test_one_wrong_fact_among_good_ones_leaves_all_as_it_was(names, at: int) -> None:
    values = {"text": "Hola.", "tempo": 1.1, "gain_db": 1}
    with tempfile.TemporaryDirectory() as folder:
        film = edited_film(Path(folder))
        film.state("es", fact("text", "Buenas.", film.ids[0]))
        before, edits = contents(film), film.edits
        batch = [fact(name, values[name], film.ids[n]) for n, name in enumerate(names)]
        batch.insert(at, fact("gain_db", 13, film.ids[0]))
        with pytest.raises(EditsRefused):
            film.state("es", *batch)
        assert contents(film) == before
        assert film.edits == edits


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(4)), st.lists(st.integers(0, 3), max_size=4))
def test_posts_may_come_in_any_order_and_again(order, again) -> None:
    with tempfile.TemporaryDirectory() as folder:
        film = edited_film(Path(folder))
        posts = [
            [fact("text", f"Hola {n}.", film.ids[n]), fact("tempo", 1.1, film.ids[n])]
            for n in range(4)
        ]
        for number in (*order, *again):
            film.state("es", *posts[number])
        document = read_edits_document(film.work, "es")
        assert len(document.facts) == 8
        assert document.revision == 4
        assert film.edits.lines["es"] == {n: film.edits.lines["es"][n] for n in range(4)}
        assert {n: e.text for n, e in film.edits.lines["es"].items()} == {
            n: f"Hola {n}." for n in range(4)
        }


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"schema": 2, "revision": -1, "facts": []}', "revision"),
        ('{"schema": 3, "revision": 1, "facts": []}', "schema 3"),
        ('{"schema": 2, "revision": 1, "facts": [{"id": "x"}]}', "facts.0"),
        ("[" * 100_000, "RecursionError|not readable"),
        ("[]", "not readable"),
        ("{", "not readable"),
        (" " * 20_000_001, "more than 20 MB"),
    ],
)
def test_a_damaged_file_is_named_and_stays(film: EditedFilm, text: str, fault: str) -> None:
    film.work.edits.mkdir()
    (film.work.edits / "es.json").write_text(text)
    with pytest.raises(ArtifactError, match=fault):
        film.state("es", fact("comment", "a", target="film"))
    assert (film.work.edits / "es.json").read_text() == text


def test_before_there_is_a_script_nothing_is_stated(film: EditedFilm) -> None:
    film.work.transcription.unlink()
    with pytest.raises(ArtifactError, match="before it is transcribed"):
        film.state("es", fact("comment", "a", target="film"))


WRITER = """
import sys, uuid
from pathlib import Path
from dubarr_pipeline.edits.document import add_facts, read_edits_document
from dubarr_pipeline.edits.model import ProposedFact
from dubarr_pipeline.workdir.layout import WorkDir
work = WorkDir(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    revision = read_edits_document(work, "es").revision
    facts = [ProposedFact(str(uuid.uuid4()), "film", "", "comment", "x" * 3000) for _ in range(9)]
    add_facts(work, "es", facts, revision=revision, by="ann")
"""


def test_a_kill_leaves_the_file_whole(film: EditedFilm) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, os.fspath(film.work.root)], stdout=subprocess.PIPE
    )
    assert writer.stdout
    writer.stdout.readline()
    while read_edits_document(film.work, "es").revision < 5:
        time.sleep(0.01)
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    document = read_edits_document(film.work, "es")
    assert len(document.facts) == 9 * document.revision
    assert film.state("es", fact("comment", "after", target="film")).revision > document.revision
