"""`dubarr sample`: a minute of a film, all the way; the film and the task table do not notice."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.media.container.probe import probe_video
from dubarr_pipeline_tests.fixtures.bench import (
    Bench,
    Film,
    Said,
    contents,
    make_film,
    sidecar,
    write_config,
)

LINES = (
    Said(1.0, "ANNA: Good morning. We need a boat.", 3.6),
    Said(9.0, "ANNA: Silence! I hear a bell.", 11.0),
    Said(11.6, "TOM: The bell is far away.", 13.6),
    Said(14.2, "EVA: We must go there.", 16.0),
)


@pytest.fixture(scope="module")
def longer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds, in whose second half three people speak; never to be changed."""
    return make_film(tmp_path_factory.mktemp("films") / "A Boat (2020).mkv", Film(LINES, 20.0))


@pytest.fixture(scope="module")
def sampled(longer: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, dict[str, Any]]:
    bench = Bench(tmp_path_factory.mktemp("sampled") / "work")
    answer = bench.run("sample", longer, "--to", "es", "--seconds", "10", "--json")
    assert answer.code == 0, answer.both
    return bench, json.loads(answer.out)


def test_a_sample_is_a_small_film_of_the_minute_with_most_speakers(
    sampled: tuple[Bench, dict[str, Any]], longer: Path
):
    bench, told = sampled
    path = Path(told["path"])
    assert path.parent == bench.work_dir / "samples"
    assert path.name.startswith("A Boat (2020) 0-00-")
    film = probe_video(path)
    assert [stream.language for stream in film.audio] == ["en", "es"]
    assert told["minute"]["start_s"] <= 9.0
    assert 10 <= film.duration_s <= 20
    assert "3 speakers are named (anna, eva, tom)" in told["minute"]["reason"]
    assert {each["name"].casefold() for each in told["speakers"]} >= {"tom", "eva"}
    assert told["summary"]
    assert Path(told["report"]).is_file()
    assert len(told["stages"]) == 9


def test_a_sample_is_no_video_of_the_task_table_and_leaves_the_film_alone(
    sampled: tuple[Bench, dict[str, Any]], longer: Path
):
    bench, _ = sampled
    assert bench.works() == []
    assert bench.status() == []
    assert sorted(contents(longer.parent)) == [longer.with_suffix(".en.srt").name, longer.name]


def test_old_samples_are_pruned(sampled: tuple[Bench, dict[str, Any]]):
    bench, told = sampled
    assert "sample" not in bench.run("prune", "--dry-run").out
    old = time.time() - 8 * 86_400
    for path in (bench.work_dir / "samples", *(bench.work_dir / "samples").rglob("*")):
        os.utime(path, (old, old))
    names = {Path(told["path"]).name, "cuts"}
    found = json.loads(bench.run("prune", "--dry-run", "--json").out)["files"]
    assert names <= {Path(each["path"]).name for each in found if each["kind"] == "sample"}


def test_corrections_of_the_film_hold_in_its_sample(dubbed: Bench, tiny_film: Path, tmp_path: Path):
    work = dubbed.work
    work.edits.mkdir(exist_ok=True)
    speakers = json.loads(work.speakers.read_text())["speakers"]
    named = {who: {"name": "Grandmother", "gender": "female"} for who in speakers}
    (work.edits / "speakers.json").write_text(json.dumps({"speakers": named}))
    lines = {"0": {"text": "Buenas noches a todos."}}
    (work.edits / "es.json").write_text(json.dumps({"lines": lines}))
    out = tmp_path / "elsewhere"
    answer = dubbed.run("sample", work.root.name, "--to", "es", "--out", out)
    assert answer.code == 0, answer.both
    assert "the film is no longer than that" in answer.out
    assert "(Grandmother)" in answer.out
    assert "line 0 (es)" in answer.out
    (made,) = out.iterdir()
    assert f"mpv '{made}'" in answer.out
    (said,) = (dubbed.work_dir / "samples").glob("*/segments.json")
    assert "Buenas noches a todos." in said.read_text(encoding="utf-8")
    assert [each["status"] for each in dubbed.status()] == ["DONE"]


def test_mistakes_are_told_before_any_work(longer: Path, tmp_path: Path):
    bench = Bench(tmp_path / "work")
    for arguments, code, words in (
        ((longer,), 2, "name some with --to"),
        ((longer, "--to", "es", "--at", "1:00:00"), 2, "lasts 0:00:20"),
        ((longer, "--to", "es", "--at", "soon"), 2, "is no time"),
        ((longer, "--to", "es", "--at", "3.7", "--seconds", "5"), 4, "no line of"),
        ((longer, "--to", "en"), 2, "already spoken"),
        ((tmp_path / "gone.mkv", "--to", "es"), 4, "is not there"),
    ):
        answer = bench.run("sample", *arguments)
        assert (answer.code, words in answer.both) == (code, True), answer.both
    assert not (bench.work_dir / "samples").exists()


def test_the_languages_are_those_of_the_library(longer: Path, tmp_path: Path):
    library = {"path": str(longer.parent), "target_langs": ["es"]}
    config = write_config(tmp_path / "dubarr.toml", {"libraries.films": library})
    bench = Bench(tmp_path / "work", config)
    answer = bench.run("sample", longer, "--at", "0:08", "--seconds", "6")
    assert answer.code == 0, answer.both
    assert "as asked" in answer.out
    assert sidecar(longer, "en").is_file()
    assert not list(longer.parent.glob("*es*"))


def test_a_place_that_cannot_be_written_is_refused_before_any_work(bench: Bench, longer: Path):
    file = bench.work_dir.parent / "a file"
    file.touch()
    for out in (file / "samples", file / "sample.mkv"):
        answer = bench.run("sample", longer, "--to", "es", "--seconds", "10", "--out", out)
        assert answer.code == 5, answer.both
        assert "choose another with --out" in answer.both
    assert not (bench.work_dir / "samples").exists()
