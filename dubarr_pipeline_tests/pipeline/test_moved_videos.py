"""Renamed, moved, copied, linked, deleted and returned films: all their work is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.defs.library_names import PLAIN
from dubarr_pipeline.defs.resources import DubarrResource
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.sensors import media_folder_sensor
from dubarr_pipeline.library.videos import load_video
from dubarr_pipeline_tests.fixtures.bench import Bench, contents, sidecar, write_config

media_folder = media_folder_sensor(PLAIN)


class Watched:
    """A dubbed film in a library that the sensor watches."""

    def __init__(self, bench: Bench, store: dg.DagsterInstance) -> None:
        self.bench, self.store = bench, store
        self.cursor: str | None = None

    def look(self) -> list[dg.RunRequest]:
        """What is asked for after two more looks."""
        asked: list[dg.RunRequest] = []
        for _ in range(2):
            dubarr = DubarrResource(
                config_file=str(self.bench.config), work_dir=str(self.bench.work_dir)
            )
            with dg.build_sensor_context(
                instance=self.store, cursor=self.cursor, resources={"dubarr": dubarr}
            ) as context:
                found = media_folder(context)
            assert isinstance(found, dg.SensorResult)
            self.cursor = found.cursor
            asked += found.run_requests or []
        return asked

    @property
    def key(self) -> str:
        return self.bench.work.root.name

    def source(self) -> Path:
        return load_video(self.key, self.bench.work_dir).source


def move(film: Path, to: Path) -> Path:
    """Rename a film with the subtitles beside it."""
    to.parent.mkdir(parents=True, exist_ok=True)
    sidecar(film, "en").rename(sidecar(to, "en"))
    return film.rename(to)


@pytest.fixture(scope="module")
def watched(tiny_film: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A dubbed film that the sensor knows; every test leaves it done, wherever it lies."""
    folder = tmp_path_factory.mktemp("moved")
    film = folder / "films" / "tiny.mkv"
    shutil.copytree(tiny_film.parent, film.parent)
    (film.parent / "other.txt").write_text("the library is never empty")
    library = {"path": str(film.parent), "target_langs": ["es"]}
    config = write_config(folder / "dubarr.toml", {"libraries.films": library})
    bench = Bench(folder / "work", config)
    assert bench.dub(film).code == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", "")
        with open_instance(bench.work_dir) as store:
            yield Watched(bench, store)


def test_a_film_that_is_done_is_not_asked_for(watched: Watched):
    assert watched.look() == []
    assert watched.look() == []
    assert load_video(watched.key, watched.bench.work_dir).library == "films"


def test_a_copy_and_a_hard_link_are_no_work(watched: Watched):
    film = watched.source()
    copy, link = film.with_name("A copy.mkv"), film.with_name("A link.mkv")
    shutil.copy(film, copy)
    shutil.copy(sidecar(film, "en"), sidecar(copy, "en"))
    os.link(film, link)
    assert watched.look() == []
    assert len(watched.bench.works()) == 1
    assert watched.source() == film
    for path in (copy, sidecar(copy, "en"), link):
        path.unlink()


def test_a_film_that_was_deleted_and_is_back_is_done_again(watched: Watched):
    film = watched.source()
    away = move(film, film.parent.parent / "away" / film.name)
    assert watched.look() == []
    move(away, film)
    assert watched.look() == []
    assert [task["status"] for task in watched.bench.status()] == ["DONE"]


def test_a_wish_that_is_changed_and_changed_back_is_asked_for_each_time(watched: Watched):
    asked: list[list[str | None]] = []
    for languages in (["es", "ca"], ["es"], ["es", "ca"], ["es"]):
        library = {"path": str(watched.source().parent), "target_langs": languages}
        assert watched.bench.config
        write_config(watched.bench.config, {"libraries.films": library})
        asked.append([each.run_key for each in watched.look()])
    assert [len(keys) for keys in asked] == [1, 0, 1, 0], "what is made already is not asked for"
    assert asked[0] != asked[2]


def test_after_a_rename_only_what_bears_the_name_is_made(watched: Watched):
    before = contents(watched.bench.work.root)
    new = move(watched.source(), watched.source().parent / "Season 1" / "New name.mkv")
    (asked,) = watched.look()
    assert (asked.partition_key, watched.source()) == (watched.key, new)
    assert watched.bench.run("retry", watched.key).code == 0
    assert watched.bench.made() == ("segments", "mix", "mux", "report")
    assert watched.look() == []
    after = contents(watched.bench.work.root)
    kept = [n for n in before if n.endswith((".wav", ".ac3", ".journal", "transcription.json"))]
    assert len(kept) > 4
    assert [name for name in kept if before[name] != after.get(name)] == []
    assert "New name.es.srt" in after
    assert "tiny.es.srt" not in after
