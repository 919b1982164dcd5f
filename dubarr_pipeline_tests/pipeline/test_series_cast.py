"""A series keeps its voices from film to film, and a correction speaks one person again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.cli.test_plan import planned, redone
from dubarr_pipeline_tests.fakes import stock_voices
from dubarr_pipeline_tests.fixtures.bench import (
    Bench,
    Film,
    Said,
    make_film,
    stats,
    write_config,
)

ANNA, PAUL = 210.0, 95.0
WORDS = (
    "Good morning. We need a boat and a bell.",
    "Nobody knows what happened to the old king.",
)


def episode(path: Path, order: tuple[float, ...]) -> Path:
    """Make an episode in which each person says both lines, the first of `order` before others."""
    path.parent.mkdir(exist_ok=True, parents=True)
    names = {ANNA: "ANNA", PAUL: "PAUL"}
    said = [(pitch, words) for words in WORDS for pitch in order]
    lines = [
        Said(0.3 + 3.0 * n, f"{names[pitch]}: {words}", 3.0 + 3.0 * n, pitch_hz=pitch)
        for n, (pitch, words) in enumerate(said)
    ]
    return make_film(path, Film(lines, 0.6 + 3.0 * len(lines)))


@pytest.fixture(autouse=True, scope="module")
def stock() -> Iterator[None]:
    with stock_voices.registered():
        yield


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two episodes; in the second Paul speaks first, and so has Anna's id of the first."""
    folder = tmp_path_factory.mktemp("library") / "The Boat (2020)" / "Season 01"
    first = episode(folder / "The Boat - S01E01.mkv", (ANNA, PAUL))
    return first, episode(folder / "The Boat - S01E02.mkv", (PAUL, ANNA))


@pytest.fixture(scope="module")
def dubbed_once(films: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Both episodes in Spanish, the second one first; never to be changed."""
    folder = tmp_path_factory.mktemp("series")
    config = write_config(folder / "dubarr.toml", {"synthesis": {"engine": "stock"}})
    done = Bench(folder / "work", config)
    for film in reversed(films):
        answer = done.dub(film, "es")
        assert answer.code == 0, answer.both
    return done


@pytest.fixture
def bench(dubbed_once: Bench, tmp_path: Path) -> Bench:
    shutil.copytree(dubbed_once.work_dir, tmp_path / "work")
    return Bench(tmp_path / "work", dubbed_once.config)


def memory(bench: Bench) -> dict[str, Any]:
    (path,) = bench.work_dir.glob(".cast/*/cast.json")
    return json.loads(path.read_text())


def voices(work: WorkDir) -> dict[str, set[str]]:
    """Words of a line -> the voices that speak them, by name in the subtitles."""
    names = {
        who: each["name"] for who, each in json.loads(work.speakers.read_text())["speakers"].items()
    }
    found: dict[str, set[str]] = {}
    for line in json.loads(work.segments_report.read_text())["languages"]["es"]:
        found.setdefault(names[line["speaker"]].upper(), set()).add(line["voice"])
    return found


def character(bench: Bench, name: str) -> str:
    (found,) = (
        who for who, each in memory(bench)["characters"].items() if each["name"].upper() == name
    )
    return found


def test_a_person_has_one_voice_in_all_films(bench: Bench):
    first, second = bench.works()
    assert voices(first) == voices(second)
    assert {len(each) for each in voices(first).values()} == {1}
    known = memory(bench)
    assert (known["title"], len(known["characters"]), len(known["episodes"])) == (
        "The Boat (2020)",
        2,
        2,
    )
    outcomes = {
        key: {who: each["outcome"] for who, each in episode["speakers"].items()}
        for key, episode in known["episodes"].items()
    }
    assert set(outcomes[second.root.name].values()) == {"new"}
    assert set(outcomes[first.root.name].values()) == {"same"}
    cast = json.loads(first.cast.read_text())["languages"]["es"]
    assert all("in the series" in each["why"] for each in cast.values())
    for each in known["characters"].values():
        assert each["voices"]["stock"]["es"]
        (folder,) = bench.work_dir.glob(".cast/*/refs")
        assert (folder / each["reference"]["file"]).is_file()


def test_a_corrected_voice_speaks_one_person_again_in_all_films_and_only_on_request(
    bench: Bench, films: tuple[Path, Path]
):
    before = [voices(work) for work in bench.works()]
    anna = character(bench, "ANNA")
    series = memory(bench)["series"]
    answer = bench.run("cast", series[:8], "--voice", f"{anna}/es=ca_mar")
    assert answer.code == 0, answer.both
    assert "not spoken again" in answer.both
    # Nothing that is finished is stale for it.
    for film in films:
        assert redone(planned(bench, str(film))) == ()
    answer = bench.run("cast", series, "--respeak")
    assert answer.code == 0, answer.both
    for work, earlier in zip(bench.works(), before, strict=True):
        assert voices(work) == {**earlier, "ANNA": {"ca_mar"}}
        assert (stats(work)["reused"], stats(work)["spoken"] > 0) == (2, True)
    answer = bench.run("cast", series)
    assert "not spoken again" not in answer.both
    for film in films:
        assert redone(planned(bench, str(film))) == ()


def test_who_is_somebody_else_is_spoken_again_in_that_film_alone(bench: Bench):
    first, second = bench.works()
    before, other = voices(first), second.segments_report.read_bytes()
    (paul,) = (
        who
        for who, each in memory(bench)["episodes"][first.root.name]["speakers"].items()
        if each["character"] == character(bench, "PAUL")
    )
    series = memory(bench)["series"]
    answer = bench.run("cast", series, "--is", f"{first.root.name}/{paul}=new", "--respeak")
    assert answer.code == 0, answer.both
    now = voices(first)
    assert now["ANNA"] == before["ANNA"]
    assert now["PAUL"].isdisjoint(before["PAUL"] | before["ANNA"])
    assert stats(first)["reused"] == 2
    assert second.segments_report.read_bytes() == other


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--voice", "C01/es=nobody", "es_dora"),
        ("--voice", "C77/es=es_dora", "C01, C02"),
        ("--is", "s01e01/SPEAKER_77=C01", "SPEAKER_00"),
        ("--name", "C01", "TARGET=VALUE"),
        ("--rendering", "boat/klingonese=vaixell", "unknown language"),
    ],
)
def test_a_wrong_correction_is_named_with_the_choices(
    dubbed_once: Bench, option: str, value: str, words: str
):
    answer = dubbed_once.run("cast", memory(dubbed_once)["series"], option, value)
    assert answer.code == 2
    assert words in answer.both


@pytest.mark.parametrize("options", [("--name", "C01=Anna"), ("--respeak",)])
def test_a_correction_without_a_series_is_refused(dubbed_once: Bench, options: tuple[str, ...]):
    answer = dubbed_once.run("cast", *options)
    assert answer.code == 2
    assert "name it" in answer.both
