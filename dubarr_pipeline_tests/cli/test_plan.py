"""`dubarr plan`: what it foretells is what the run then does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline_tests.fixtures.bench import Bench, contents, write_config


def planned(bench: Bench, *arguments: str | Path) -> dict[str, Any]:
    answer = bench.run("plan", *arguments, "--json")
    assert answer.code == 0, answer.both
    (found,) = json.loads(answer.out)
    return found


def redone(found: dict[str, Any]) -> tuple[str, ...]:
    return tuple(step["stage"] for step in found["steps"] if step["redo"])


def reason(found: dict[str, Any], stage: str) -> str:
    return next(step["reason"] for step in found["steps"] if step["stage"] == stage)


def test_of_a_finished_video_nothing_is_planned_and_nothing_is_made(dubbed: Bench, tiny_film: Path):
    assert redone(planned(dubbed)) == ()
    assert dubbed.dub(tiny_film, "es,ca").code == 0
    assert dubbed.made() == ()


def test_a_language_more_redoes_only_what_speaks_it(dubbed: Bench, tiny_film: Path):
    found = planned(dubbed, "--to", "es")
    assert redone(found) == ("segments", "mix", "mux", "report")
    assert 'targets: ["es", "ca"] → ["es"]' in reason(found, "segments")
    assert dubbed.dub(tiny_film, "es").code == 0
    assert dubbed.made() == redone(found)


def test_another_option_is_named(dubbed: Bench, tiny_film: Path, tmp_path: Path):
    config = write_config(tmp_path / "dubarr.toml", {"mix": {"preset": "duck"}})
    changed = Bench(dubbed.work_dir, config)
    found = planned(changed)
    assert redone(found) == ("mix", "mux", "report")
    assert 'options.preset: default → "duck"' in reason(found, "mix")
    assert reason(found, "mux") == "mix is made again"
    assert changed.dub(tiny_film, "es,ca").code == 0
    assert changed.made() == redone(found)


def test_a_damaged_file_is_named(dubbed: Bench):
    dubbed.work.transcription.write_text("{}")
    found = planned(dubbed)
    assert redone(found) == STAGE_NAMES[2:]
    assert reason(found, "transcript") == "transcription.json is damaged"


def test_a_transcript_edited_by_hand_is_no_damage(dubbed: Bench, tiny_film: Path):
    path = dubbed.work.transcription
    document = json.loads(path.read_text())
    document["segments"][0]["text"] = "Good night. We need a bridge."
    path.write_text(json.dumps(document))
    before = contents(dubbed.work_dir)
    found = planned(dubbed)
    assert redone(found) == STAGE_NAMES[5:]
    edited = "transcription.json edited by hand: the changes will be taken over"
    assert reason(found, "transcript") == edited
    assert reason(found, "segments") == "lines of transcription.json were edited by hand"
    assert contents(dubbed.work_dir).keys() == before.keys()
    assert dubbed.dub(tiny_film, "es,ca").code == 0
    assert dubbed.made() == redone(found)


def test_speakers_edited_by_hand_are_taken_over_when_the_context_is_made_again(dubbed: Bench):
    path = dubbed.work.speakers
    document = json.loads(path.read_text())
    for facts in document["speakers"].values():
        facts["name"] = "Grandmother"
    path.write_text(json.dumps(document))
    found = planned(dubbed)
    assert "context" in redone(found)
    assert "speakers.json edited by hand" in reason(found, "context")


def test_a_film_that_was_never_dubbed_is_estimated_by_this_machines_history(
    dubbed: Bench, tiny_film: Path, tmp_path: Path
):
    new = tmp_path / "new.mkv"
    shutil.copyfile(tiny_film, new)
    shutil.copyfile(tiny_film.with_suffix(".en.srt"), new.with_suffix(".en.srt"))
    with new.open("ab") as file:
        file.write(b"\0" * 8)
    found = planned(dubbed, new, "--to", "es")
    assert (redone(found), found["fault"]) == (STAGE_NAMES, None)
    cost = found["estimate"]
    assert cost["basis"] == "this machine's history: 1 film"
    assert set(cost["seconds"]) == set(STAGE_NAMES)
    assert cost["total_s"] == sum(cost["seconds"].values())
    assert cost["risks"]["lines"] == 2
    assert cost["work_bytes"] > cost["result_bytes"] > new.stat().st_size
    words = dubbed.run("plan", new, "--to", "es").out
    assert "min of work (this machine's history: 1 film)" in words
    assert "of 2 lines" in words


def test_a_language_that_cannot_be_made_is_told(bench: Bench, film: Path):
    found = planned(bench, film, "--to", "en")
    assert (found["estimate"], "already spoken in English" in found["fault"]) == (None, True)


def test_a_mistyped_path_is_named_and_no_key_is_listed(dubbed: Bench, film: Path):
    for name in (str(film.with_name("flim.mkv")), "flim.mkv", f"{film.parent}/flim"):
        refused = dubbed.run("plan", name)
        assert refused.code == 4
        assert refused.err == f"dubarr: {Path(name).absolute()} is not there: check the path\n"
    assert dubbed.run("plan", str(film.parent)).err.endswith(
        "is a folder: name a video file in it\n"
    )
    assert "0 videos match 'no-key'" in dubbed.run("plan", "no-key").err


def test_a_library_is_planned_by_its_name(film: Path, tmp_path: Path):
    shutil.copyfile(film, film.with_name("unwritten.mkv"))
    tables = {"libraries.films": {"path": str(film.parent), "target_langs": ["es"]}}
    bench = Bench(tmp_path / "work", write_config(tmp_path / "dubarr.toml", tables))
    plans = json.loads(bench.run("plan", "films", "--json").out)
    assert {Path(each["source"]).name for each in plans} == {film.name, "unwritten.mkv"}
    told = {Path(each["source"]).name: each for each in plans}
    assert "no history on this machine" in told[film.name]["estimate"]["basis"]
    assert "no usable subtitles" in told["unwritten.mkv"]["fault"]
    assert not bench.work_dir.exists()


def test_what_runs_again_is_estimated_by_its_last_time(dubbed: Bench):
    found = planned(dubbed, "--to", "es")
    steps = {step["stage"]: step["seconds"] for step in found["steps"] if step["redo"]}
    assert found["estimate"]["seconds"] == steps
    assert "took last time" in found["estimate"]["basis"]


def test_a_damaged_request_hides_no_other_video(dubbed: Bench):
    other = dubbed.work_dir / "another-0123abcd" / "video.json"
    other.parent.mkdir()
    other.write_text("{")
    answer = dubbed.run("plan", "--json")
    assert answer.code == 0, answer.both
    found = {each["video"]: each for each in json.loads(answer.out)}
    assert redone(found[dubbed.works()[1].root.name]) == ()
    assert "is damaged" in found["another-0123abcd"]["fault"]
    assert "another-0123abcd" in dubbed.run("plan").out


def test_a_video_that_has_gone_is_told(bench: Bench, film: Path):
    assert bench.dub(film, "es").code == 0
    film.unlink()
    found = planned(bench)
    assert (found["steps"], str(film) in found["fault"]) == ([], True)


def test_without_videos_there_is_nothing_to_plan(bench: Bench):
    answer = bench.run("plan")
    assert (answer.code, answer.out) == (0, "0 videos; to run: nothing\n")
