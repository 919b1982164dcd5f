"""A person's changes in artifacts are taken over, and outlive them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.script.model import Context, Segment, SpeakerProfile, Term, Transcript
from dubarr_pipeline.spans import Span
from dubarr_pipeline.workdir import checkpoints, corrections
from dubarr_pipeline.workdir.artifacts import write_context, write_speakers, write_transcript
from dubarr_pipeline.workdir.layout import WorkDir

PROFILES = tuple(SpeakerProfile(f"SPEAKER_0{n}", gender="male", pitch_hz=120.0) for n in range(3))
CONTEXT = Context("They meet.", "dry", glossary=(Term("Martha", "name"),))
SCRIPT = Transcript(
    1000,
    9000,
    "en",
    tuple(Segment(n, Span(1000 * n, 1000 * n + 500), "SPEAKER_00", f"line {n}") for n in range(3)),
)


@pytest.fixture
def work(tmp_path: Path) -> WorkDir:
    """A folder as the stages left it."""
    made = WorkDir(tmp_path / "film")
    write_transcript(made.transcription, SCRIPT, engine="e")
    write_context(made.context, CONTEXT, engine="e")
    write_speakers(made.speakers, PROFILES)
    files = {"transcript": [made.transcription], "context": [made.context, made.speakers]}
    for stage, paths in files.items():
        record(made, stage, paths)
    return made


def record(work: WorkDir, stage: str, paths: list[Path]) -> None:
    corrections.keep_made(work, stage)
    checkpoints.write_record(work, stage, checkpoints.wanted(stage, "1", {}), {}, paths)


def edit(path: Path, change: Callable[[Any], object]) -> None:
    document = read_json(path)
    change(document)
    write_json(path, document)


def test_what_nobody_changed_is_left_alone(work: WorkDir) -> None:
    for stage in corrections.EDITABLE:
        assert corrections.take_over(work, stage) == []
    assert not work.edits.exists()
    assert corrections.edited_speakers(work) == {each.speaker: each for each in PROFILES}
    assert corrections.edited_context(work) == CONTEXT


def test_changes_add_up_and_only_differences_are_kept(work: WorkDir) -> None:
    edit(work.speakers, lambda found: found["speakers"]["SPEAKER_01"].update(gender=None))
    (words,) = corrections.take_over(work, "context")
    assert "gender of SPEAKER_01 kept in edits/speakers.json" in words
    edit(
        work.speakers,
        lambda found: found["speakers"]["SPEAKER_01"].update(name="Ann", voices={"es": "dora"}),
    )
    corrections.take_over(work, "context")
    kept = read_json(work.edits / "speakers.json")["speakers"]
    assert kept == {"SPEAKER_01": {"gender": None, "name": "Ann", "voices": {"es": "dora"}}}
    found = corrections.edited_speakers(work)["SPEAKER_01"]
    assert (found.name, found.gender, found.voices) == ("Ann", None, {"es": "dora"})
    assert found.gender_basis == "said by a person"
    assert corrections.edited_speakers(work)["SPEAKER_00"] == PROFILES[0]


def test_a_choice_that_is_taken_back_is_none(work: WorkDir) -> None:
    write_json(work.edits / "speakers.json", {"speakers": {"SPEAKER_00": {"voices": {"es": "a"}}}})
    write_speakers(work.speakers, tuple(corrections.edited_speakers(work).values()))
    record(work, "context", [work.context, work.speakers])
    edit(work.speakers, lambda found: found["speakers"]["SPEAKER_00"].update(voices={}))
    corrections.take_over(work, "context")
    assert corrections.edited_speakers(work)["SPEAKER_00"].voices == {}


def test_what_the_edits_cannot_hold_is_kept_aside(work: WorkDir) -> None:
    edit(work.speakers, lambda found: found["speakers"].pop("SPEAKER_02"))
    (words,) = corrections.take_over(work, "context")
    assert "speakers.json.bak" in words
    assert "SPEAKER_02" not in read_json(work.root / "speakers.json.bak")["speakers"]
    edit(work.transcription, lambda found: found["segments"][1].update(end=1.9, text="Line 1"))
    (words,) = corrections.take_over(work, "transcript")
    assert "text of line 1 kept in edits/en.json" in words
    assert "transcription.json.bak" in words
    assert read_json(work.transcription)["segments"][1]["end"] == 1.5
    assert read_json(work.root / "transcription.json.bak")["segments"][1]["end"] == 1.9


def test_an_artifact_of_a_version_without_copies_loses_nothing(work: WorkDir) -> None:
    for path in work.checkpoints.glob("*.made"):
        path.unlink()
    edit(work.speakers, lambda found: found["speakers"]["SPEAKER_00"].update(voices={"es": "a"}))
    edit(work.context, lambda found: found.update(tone="loud"))
    assert len(corrections.take_over(work, "context")) == 2
    assert corrections.edited_speakers(work)["SPEAKER_00"].voices == {"es": "a"}
    assert read_json(work.root / "context.json.bak")["tone"] == "loud"
    # Which of its words are a person's, nobody can tell.
    assert not (work.edits / "context.json").exists()


def test_damage_is_kept_aside_and_takes_nothing_over(work: WorkDir) -> None:
    work.context.write_bytes(b'{"schema": 1, "tone"')
    work.speakers.write_bytes(b"")
    (words,) = corrections.take_over(work, "context")
    assert "not readable" in words
    assert not work.context.exists()
    assert not work.edits.exists()


def test_a_part_of_the_context_replaces_the_whole_part(work: WorkDir) -> None:
    edit(work.context, lambda found: found["glossary"][0].update(translations={"es": "Marta"}))
    corrections.take_over(work, "context")
    (term,) = corrections.edited_context(work).glossary
    assert term.translations == {"es": "Marta"}
    assert corrections.edited_context(work).tone == "dry"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("speakers.json", "[1]", "no table"),
        ("speakers.json", '{"speakers": {"SPEAKER_09": {}}}', "SPEAKER_00, SPEAKER_01"),
        ("speakers.json", '{"speakers": {"SPEAKER_00": {"age_group": "old"}}}', "age_group"),
        ("speakers.json", '{"speakers": {"SPEAKER_00": {"pitch_hz": "NaN"}}}', "pitch_hz"),
        ("speakers.json", '{"speakers": {"SPEAKER_00": {"voices": ["a"]}}}', "voices"),
        ("speakers.json", "[" * 100_000, "correct or remove it"),
        ("context.json", '{"mood": "dry"}', "synopsis, tone"),
        ("context.json", '{"tone": 5}', "tone"),
    ],
)
def test_wrong_corrections_are_named_with_the_choices(
    work: WorkDir, name: str, content: str, words: str
) -> None:
    work.edits.mkdir()
    (work.edits / name).write_text(content)
    read = corrections.edited_speakers if name[0] == "s" else corrections.edited_context
    with pytest.raises(ArtifactError, match=words):
        read(work)


def test_a_copy_of_the_whole_profile_is_a_correction_too(work: WorkDir) -> None:
    whole = {**asdict(PROFILES[0]), "voices": {"es": "a"}, "name": "Ann"}
    work.edits.mkdir()
    (work.edits / "speakers.json").write_text(json.dumps({"speakers": {"SPEAKER_00": whole}}))
    assert corrections.edited_speakers(work)["SPEAKER_00"].voices == {"es": "a"}
