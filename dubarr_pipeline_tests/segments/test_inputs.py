from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dubarr_pipeline.config.settings import Settings, parse_settings
from dubarr_pipeline.edits.document import read_edits_document
from dubarr_pipeline.edits.film import film_edits
from dubarr_pipeline.edits.model import LineEdits
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import read_json
from dubarr_pipeline.script.model import Context, Relation, ScriptEdit, SpeakerProfile, Term
from dubarr_pipeline.segments.inputs import briefed_context
from dubarr_pipeline.segments.wishes.pronunciation import pronounced
from dubarr_pipeline.workdir.artifacts import read_context, write_context, write_speakers
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fakes.simulated_services import SimulatedServer
from dubarr_pipeline_tests.fixtures.small_scripts import transcript

READ = Context(
    "They meet.",
    "dry",
    glossary=(Term("Martha", "name"),),
    relations=(Relation("SPEAKER_00", "SPEAKER_01", "boss", "polite"),),
    edits=(ScriptEdit(3, "teh sea", "the sea", "misheard", applied=True),),
    gaps=("lines 4-5 not read: nothing came",),
)


@pytest.fixture
def server() -> Iterator[SimulatedServer]:
    with SimulatedServer() as running:
        yield running


@pytest.fixture
def work(tmp_path: Path) -> WorkDir:
    made = WorkDir(tmp_path / "film")
    write_context(made.context, READ)
    write_speakers(made.speakers, (SpeakerProfile("SPEAKER_00"), SpeakerProfile("SPEAKER_01")))
    return made


def settings(folder: Path, server: SimulatedServer) -> Settings:
    tables = {"context": {"engine": "llm"}, "llm": {"url": server.url}}
    return parse_settings(tables, folder)


def test_what_was_read_is_read_back_whole(work: WorkDir) -> None:
    assert read_context(work.context) == READ


def test_another_language_asks_for_its_own_brief_alone(
    work: WorkDir, tmp_path: Path, server: SimulatedServer
) -> None:
    chosen = settings(tmp_path, server)
    first = briefed_context(chosen, work, "en", ("es",))
    assert [what.split()[1] for what in server.record.order] == ["es", "es"]
    both = briefed_context(chosen, work, "en", ("es", "fr"))
    assert [what.split()[1] for what in server.record.order] == ["es", "es", "fr", "fr"]
    assert both.addresses["es"] == first.addresses["es"]
    assert [told.form for told in both.addresses["fr"]] == ["vous"]
    assert read_json(work.brief("fr"))["style_guide"] == both.style_guides["fr"]
    assert read_context(work.context) == READ


def test_a_reader_without_briefs_leaves_the_context_as_it_is(work: WorkDir, tmp_path: Path) -> None:
    assert briefed_context(parse_settings({}, tmp_path), work, "en", ("es",)) == READ
    assert not work.brief("es").exists()


def test_terms_are_respelled_for_the_voice_as_whole_words() -> None:
    terms = (
        Term("Sean", "name", {"es": "Sean"}, {"es": "Shon"}),
        Term("Sean Bean", "name", {"es": "Sean Bean"}, {"es": "Shon Bin"}),
        Term("Anna", "name", {"es": "Ana"}),
    )
    text = "Sean Bean y Sean, Seany y Ana."
    assert pronounced(text, terms, "es") == "Shon Bin y Shon, Seany y Ana."
    assert pronounced(text, terms, "fr") == text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"lines": {"1": {"text": null}}}', "lines.1.text: Input should be a valid string"),
        ('{"lines": {"1": {"text": 5}}}', "lines.1.text: Input should be a valid string"),
        ('{"lines": {"one": {"text": "Sí."}}}', "lines.one.*: Input should be a valid integer"),
        ('{"lines": {"1": "Sí."}}', "lines.1: Input should be"),
        ('{"lines": []}', "lines: Input should be"),
        ("[" * 100_000, "es.json is not readable .RecursionError"),
        ('{"lines": {"1": {"text": "' + "x" * 4001 + '"}}}', "at most 4000 characters"),
        (" " * 20_000_001, "has more than 20 MB"),
    ],
)
def test_corrections_that_are_none_are_refused(tmp_path: Path, text: str, fault: str) -> None:
    work = WorkDir(tmp_path / "film")
    work.edits.mkdir(parents=True)
    (work.edits / "es.json").write_text(text)
    with pytest.raises(ArtifactError, match=fault):
        read_edits_document(work, "es", transcript(3))


def test_corrections_are_read_by_line(tmp_path: Path) -> None:
    work = WorkDir(tmp_path / "film")
    work.edits.mkdir(parents=True)
    (work.edits / "es.json").write_text('{"lines": {"1": {"text": "Sí.", "note": "hers"}}}')
    found = film_edits(work, transcript(3), ("es",))
    assert found.lines["es"] == {1: LineEdits(text="Sí.")}
