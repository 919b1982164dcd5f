"""`dubarr library list | scan | explain`: what is dubbed, and why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.api import video_counts
from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline.defs.runtime.tick_state import TickState
from dubarr_pipeline.library import admission
from dubarr_pipeline.library.scan import ScanState, scan
from dubarr_pipeline.progress import Progress
from dubarr_pipeline_tests.fixtures.bench import Bench, Film, make_film, write_config


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with a film of each kind."""
    root = tmp_path_factory.mktemp("films")
    make_film(root / "english.mkv")
    make_film(root / "spanish.mkv", Film(language="spa"))
    make_film(root / "unwritten.mkv", Film(subtitles=False))
    make_film(root / "silent.mkv", Film(sound=False))
    (root / "broken.mkv").write_bytes(b"no film")
    shutil.copytree(root, root / "Extras")
    (root / "Extras" / ".dubarr_skip").touch()
    return root


@pytest.fixture
def bench(films: Path, tmp_path: Path) -> Bench:
    library = {"path": str(films), "target_langs": ["es"]}
    config = write_config(tmp_path / "dubarr.toml", {"libraries.films": library})
    return Bench(tmp_path / "work", config)


def found(bench: Bench, *arguments: str | Path) -> list[dict[str, Any]]:
    answer = bench.run("library", *arguments, "--json")
    assert answer.code == 0, answer.both
    return json.loads(answer.out)


WANTED = {
    "english.mkv": ("NEW", None),
    "spanish.mkv": ("LEFT OUT", "it already has es audio"),
    "unwritten.mkv": ("LEFT OUT", "subtitles"),
    "silent.mkv": ("LEFT OUT", "no audio stream"),
    "broken.mkv": ("LEFT OUT", "broken.mkv"),
    "Extras": ("LEFT OUT", "it holds .dubarr_skip"),
}


def test_a_scan_says_of_every_video_what_becomes_of_it(bench: Bench, films: Path):
    scanned = {
        Path(each["video"]).relative_to(films).as_posix(): each for each in found(bench, "scan")
    }
    assert scanned.keys() == WANTED.keys()
    for name, (status, words) in WANTED.items():
        each = scanned[name]
        assert (each["status"], each["library"]) == (status, "films"), each
        assert words is None or words in each["reason"], each
        assert each["target_langs"] == (["es"] if status == "NEW" else [])
    assert not bench.work_dir.exists(), "a scan starts nothing"


@pytest.mark.parametrize("name", [name for name in WANTED if name != "Extras"])
def test_one_video_is_explained_alike(bench: Bench, films: Path, name: str):
    (each,) = found(bench, "explain", films / name)
    status, words = WANTED[name]
    assert each["status"] == status
    assert words is None or words in each["reason"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Extras/english.mkv", "it holds .dubarr_skip"),
        ("gone.mkv", "it does not exist"),
        ("english.en.srt", "its name is not that of a video"),
    ],
)
def test_what_no_listing_shows_is_explained_too(bench: Bench, films: Path, name: str, words: str):
    (each,) = found(bench, "explain", films / name)
    assert each["status"] == "LEFT OUT"
    assert words in each["reason"]


def test_a_video_outside_is_told_where_the_libraries_are(bench: Bench, films: Path):
    answer = bench.run("library", "explain", films.parent / "other.mkv")
    assert answer.code == 2
    assert f"is not inside any library: films ({films})" in answer.err


def test_a_dubbed_video_is_shown_as_its_task(bench: Bench, films: Path):
    assert bench.dub(films / "english.mkv").code == 0
    (each,) = found(bench, "explain", films / "english.mkv")
    assert (each["status"], each["target_langs"]) == ("DONE", ["es"])
    (library,) = found(bench, "list")
    assert library["videos"] == {"DONE": 1, "LEFT OUT": 5}
    shown = bench.run("library", "list")
    assert "DONE       1" in shown.out


def test_an_unknown_library_is_told_the_choices(bench: Bench):
    answer = bench.run("library", "scan", "series")
    assert answer.code == 2
    assert "unknown library 'series' (choices: films)" in answer.err


def test_without_libraries_it_says_how_to_name_one(tmp_path: Path):
    answer = Bench(tmp_path / "work").run("library", "list")
    assert answer.code == 0
    assert "[libraries.NAME]" in answer.out


def test_thousands_of_new_films_are_counted_without_a_look_into_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    films = tmp_path / "films"
    films.mkdir()
    for number in range(30):
        (films / f"{number}.mkv").write_bytes(b"%d" % number)
    library = {"path": str(films), "target_langs": ["es"]}
    settings = load_settings(write_config(tmp_path / "dubarr.toml", {"libraries.films": library}))
    monkeypatch.setattr(admission, "decide_admission", None)
    shown: list[Progress] = []
    assert video_counts.count_videos(settings, shown.append) == {"films": {"NEW": 30}}
    assert [int(each.done) for each in shown] == list(range(30))
    assert shown[0].total == 30


def test_what_the_sensor_refused_is_left_out(tmp_path: Path):
    films, work_dir = tmp_path / "films", tmp_path / "work"
    films.mkdir()
    for number in range(30):
        (films / f"{number}.mkv").write_bytes(b"%d" % number)
    library = {"path": str(films), "target_langs": ["es"]}
    config = write_config(tmp_path / "dubarr.toml", {"libraries.films": library})
    settings = load_settings(config, work_dir)
    seen = scan(settings.library("films"), ScanState(), work_dir)
    state = {"films": seen.after(list(seen.videos)[:15]).text()}
    TickState(work_dir, "media_folder").save(state, "")
    assert video_counts.count_videos(settings) == {"films": {"NEW": 15, "LEFT OUT": 15}}


def test_what_hides_nothing_is_named_by_a_scan(tmp_path: Path):
    films = tmp_path / "films"
    make_film(films / "a" / "english.mkv")
    (films / "a" / "english.fr.srt").symlink_to("/gone/x.srt")
    (films / "loop").symlink_to("loop")
    (films / "#recycle").mkdir()
    library = {"path": str(films), "target_langs": ["es"]}
    config = write_config(tmp_path / "dubarr.toml", {"libraries.films": library})
    bench = Bench(tmp_path / "work", config)
    told = {Path(each["video"]).name: each["reason"] for each in found(bench, "scan")}
    assert told["english.mkv"] is None
    assert told["english.fr.srt"] == "it is a link that leads nowhere"
    assert told["loop"] == "it is a link that leads to itself"
    assert "recycle bin" in told["#recycle"]
    explained = found(bench, "explain", films / "a" / "english.mkv")
    assert [Path(each["video"]).name for each in explained] == ["english.mkv", "english.fr.srt"]
