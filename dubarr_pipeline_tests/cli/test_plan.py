"""`dubarr plan`: what it foretells is what the run then does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline_tests.fixtures.bench import Bench, write_config


def planned(bench: Bench, *arguments: str) -> dict[str, Any]:
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
