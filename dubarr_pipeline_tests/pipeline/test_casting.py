"""Every speaker has a voice of their own, and what a person chooses outlives every run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline_tests.cli.test_plan import planned, redone
from dubarr_pipeline_tests.fakes import stock_voices
from dubarr_pipeline_tests.fakes.strict_speech import StrictSpeechServer
from dubarr_pipeline_tests.fixtures.bench import (
    Bench,
    Film,
    Said,
    make_film,
    stats,
    write_config,
)

LINES = (
    Said(0.3, "ANNA: Good morning. We need a boat.", 2.2),
    Said(2.9, "PAUL: Silence! I hear a bell.", 4.5),
    Said(5.2, "ANNA: We need a boat and a bell.", 7.0),
)


@pytest.fixture(autouse=True, scope="module")
def stock() -> Iterator[None]:
    with stock_voices.registered():
        yield


@pytest.fixture(scope="module")
def two_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven seconds with two people, whom the subtitles name."""
    return make_film(tmp_path_factory.mktemp("library") / "two.mkv", Film(LINES, 7.5))


@pytest.fixture(scope="module")
def cast_once(two_people: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The film of two people in Spanish and Catalan; never to be changed."""
    folder = tmp_path_factory.mktemp("cast")
    config = write_config(folder / "dubarr.toml", {"synthesis": {"engine": "stock"}})
    done = Bench(folder / "work", config)
    answer = done.dub(two_people, "es,ca")
    assert answer.code == 0, answer.both
    return done


@pytest.fixture
def cast(cast_once: Bench, tmp_path: Path) -> Bench:
    """A copy of the film's work folder, on which a test may go on."""
    shutil.copytree(cast_once.work_dir, tmp_path / "work")
    return Bench(tmp_path / "work", cast_once.config)


def spoken(bench: Bench, language: str) -> dict[int, tuple[str, str]]:
    """Index -> speaker and voice, by segments.json."""
    document = json.loads(bench.work.segments_report.read_text())
    lines = document["languages"][language]
    return {line["index"]: (line["speaker"], line["voice"]) for line in lines}


def takes(bench: Bench) -> set[tuple[str, int, str]]:
    """Language, index and key of every take in the journal."""
    entries = [json.loads(line) for line in bench.work.journal.read_text().splitlines()]
    return {(e["language"], e["index"], e["key"]) for e in entries if e["kind"] == "take"}


def document(bench: Bench, name: str) -> dict[str, Any]:
    return json.loads((bench.work.root / name).read_text())


def choose(bench: Bench, name: str, **facts: object) -> None:
    """Edit the artifact `speakers.json` by hand."""
    whole = document(bench, "speakers.json")
    (who,) = (s for s in whole["speakers"].values() if (s["name"] or "").upper() == name)
    who.update(facts)
    (bench.work.root / "speakers.json").write_text(json.dumps(whole))


def test_every_speaker_has_a_voice_of_their_own(cast: Bench):
    for language in ("es", "ca"):
        voices = spoken(cast, language)
        assert voices[0] == voices[2] != voices[1]
        assert voices[0][1] != voices[1][1]
    report, table = document(cast, "report.json"), document(cast, "cast.json")
    for speaker in report["speakers"]:
        for language, voice in speaker["voices"].items():
            known = table["languages"][language][speaker["speaker"]]
            assert (voice["voice"], voice["by"]) == (known["voice"], "dealt")
            assert known["why"]
    assert report["lines"]["es"]["voices"]["1"] == spoken(cast, "es")[1][1]
    assert any(line.startswith("es: voices: ") for line in report["summary"])
    page = (cast.work.root / "report.html").read_text()
    assert page.count(spoken(cast, "es")[0][1]) >= 3


def test_a_choice_in_speakers_json_outlives_all_runs_and_moves_nobody_else(
    cast: Bench, two_people: Path
):
    before, known = spoken(cast, "es"), takes(cast)
    choose(cast, "PAUL", voices={"es": "ca_pau"})
    answer = cast.dub(two_people, "es,ca")
    assert answer.code == 0, answer.both
    assert "context" in cast.made()
    assert spoken(cast, "es") == {**before, 1: (before[1][0], "ca_pau")}
    assert {(language, index) for language, index, _ in takes(cast) - known} == {("es", 1)}
    assert stats(cast.work)["reused"] == 5
    edits = document(cast, "edits/speakers.json")["speakers"]
    assert edits == {before[1][0]: {"voices": {"es": "ca_pau"}}}
    assert document(cast, "speakers.json")["speakers"][before[1][0]]["voices"] == {"es": "ca_pau"}
    assert document(cast, "cast.json")["languages"]["es"][before[1][0]]["by"] == "person"
    assert "corrected by hand: speakers.json" in answer.both
    assert cast.dub(two_people, "es,ca").code == 0
    assert cast.made() == ()
    answer = cast.run("dub", "--force", "--to", "es,ca", two_people)
    assert answer.code == 0, answer.both
    assert spoken(cast, "es")[1][1] == "ca_pau"
    assert document(cast, "edits/speakers.json")["speakers"] == edits


def test_a_choice_in_the_edits_redoes_no_reading(cast: Bench, two_people: Path):
    before = spoken(cast, "ca")
    edits = cast.work.edits / "speakers.json"
    edits.parent.mkdir()
    edits.write_text(json.dumps({"speakers": {before[0][0]: {"voices": {"ca": "sam"}}}}))
    answer = cast.dub(two_people, "es,ca")
    assert answer.code == 0, answer.both
    assert cast.made() == ("segments", "mix", "mux", "report")
    assert {line[1] for line in spoken(cast, "ca").values()} == {"sam", before[1][1]}
    assert stats(cast.work)["reused"] == 4


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"SPEAKER_77": {"name": "X"}}, "SPEAKER_00"),
        ({"SPEAKER_00": {"voices": {"es": "nobody"}}}, "es_dora, es_alex"),
        ({"SPEAKER_00": {"voice": "es_dora"}}, "voices"),
        ({"SPEAKER_00": {"gender": "m"}}, "gender"),
    ],
    ids=["speaker", "voice", "field", "value"],
)
def test_a_wrong_choice_is_named_with_the_choices(cast: Bench, two_people: Path, edit, words):
    path = cast.work.edits / "speakers.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"speakers": edit}))
    answer = cast.dub(two_people, "es,ca")
    assert answer.code != 0
    assert next(iter(edit)) in answer.err
    assert words in answer.err


def test_a_speakers_file_that_is_not_readable_is_kept_aside(cast: Bench, two_people: Path):
    (cast.work.root / "speakers.json").write_text('{"speakers": {"SPEAKER_00": {"voi')
    answer = cast.dub(two_people, "es,ca")
    assert answer.code == 0, answer.both
    assert (cast.work.root / "speakers.json.bak").read_text().endswith('"voi')
    assert stats(cast.work)["spoken"] == 0


def test_words_corrected_in_the_transcript_are_taken_over_and_heard_no_more(
    cast: Bench, two_people: Path
):
    whole = document(cast, "transcription.json")
    whole["segments"][1]["text"] = "Silence! I hear a boat."
    whole["segments"][2]["speaker"] = whole["segments"][1]["speaker"]
    made = cast.work.transcription.read_bytes()
    cast.work.transcription.write_text(json.dumps(whole))
    answer = cast.dub(two_people, "es,ca")
    assert answer.code == 0, answer.both
    assert cast.made() == ("segments", "mix", "mux", "report")
    assert cast.work.transcription.read_bytes() == made
    lines = document(cast, "edits/en.json")["lines"]
    assert lines["1"] == {"text": "Silence! I hear a boat."}
    assert lines["2"] == {"speaker": whole["segments"][1]["speaker"]}
    voices = spoken(cast, "es")
    assert voices[2] == voices[1]
    assert stats(cast.work)["reused"] == 2


def test_a_context_edited_by_hand_stays(cast: Bench, two_people: Path):
    whole = document(cast, "context.json")
    whole["tone"] = "dry as dust"
    cast.work.context.write_text(json.dumps(whole))
    answer = cast.run("dub", "--force", "--to", "es,ca", two_people)
    assert answer.code == 0, answer.both
    assert document(cast, "context.json")["tone"] == "dry as dust"
    assert document(cast, "edits/context.json")["tone"] == "dry as dust"


def dubbed_by(
    narrator: dict[str, Any], engine: str, film: Path, folder: Path, languages: str = "es"
) -> tuple[Bench, Any]:
    tables = {"segments": {"casting": "lektor", **narrator}, "synthesis": {"engine": engine}}
    bench = Bench(folder / "work", write_config(folder / "dubarr.toml", tables))
    return bench, bench.dub(film, languages)


def test_a_lektor_reads_all_lines_over_the_lowered_original(two_people: Path, tmp_path: Path):
    bench, answer = dubbed_by({}, "espeak", two_people, tmp_path)
    assert answer.code == 0, answer.both
    lines = document(bench, "segments.json")["languages"]["es"]
    assert [line["outcome"] for line in lines] == ["placed"] * 3
    assert len({line["speaker"] for line in lines}) == 2
    ends = [line["placement"]["start"] + line["placement"]["length"] for line in lines]
    assert all(
        end <= line["placement"]["start"] for end, line in zip(ends, lines[1:], strict=False)
    )
    track = document(bench, "mix.json")["tracks"]["es"]
    # The original is heard under the narrator, lowered by mix.ducking.depth_db.
    assert track["proof"]["original_left_db"] == pytest.approx(-9, abs=2)
    assert track["proof"]["muted_s"] == []
    levels = [line["dub_lufs"] for line in track["report"]["lines"]]
    assert max(levels) - min(levels) < 1
    takes = {line["takes"][line["chosen"]]["sound"] for line in lines}
    again = bench.run("dub", "--force", "--to", "es", two_people)
    assert again.code == 0, again.both
    forced = document(bench, "segments.json")["languages"]["es"]
    assert {line["takes"][line["chosen"]]["sound"] for line in forced} == takes


def test_a_narrator_is_chosen_by_name(two_people: Path, tmp_path: Path):
    bench, answer = dubbed_by({"narrator": "sam"}, "stock", two_people, tmp_path)
    assert answer.code == 0, answer.both
    assert {voice for _, voice in spoken(bench, "es").values()} == {"sam"}
    assert document(bench, "cast.json")["languages"]["es"]["NARRATOR"]["by"] == "person"
    assert {s["voices"]["es"]["voice"] for s in document(bench, "report.json")["speakers"]} == {
        "sam"
    }
    (tmp_path / "other").mkdir()
    _, answer = dubbed_by({"narrator": "nobody"}, "stock", two_people, tmp_path / "other")
    assert answer.code != 0
    assert "NARRATOR has no voice 'nobody' in es: choose one of es_dora" in answer.err


def test_the_voices_of_a_server_are_dealt(two_people: Path, tmp_path: Path):
    listed = {"voices": [{"id": "nova"}, {"id": "onyx"}, {"id": "echo"}, {"id": "zm_yunxi"}]}
    with StrictSpeechServer(listed=listed, letter_s=0.05) as server:
        tables = {"synthesis": {"engine": "openai", "url": server.url, "model": "tts-1"}}
        bench = Bench(tmp_path / "work", write_config(tmp_path / "dubarr.toml", tables))
        answer = bench.dub(two_people)
        assert answer.code == 0, answer.both
        # The first question, and the lines that were under way when the first was refused.
        assert server.refused <= 1 + 3
    # Both are men.
    assert {order["voice"] for order in server.orders[1:]} == {"onyx", "echo"}
    voices = spoken(bench, "es")
    assert voices[0] == voices[2] != voices[1]
    # Nothing is made again because the server is away now.
    assert redone(planned(bench)) == ()
