"""`dubarr backfill`: a library as it is wished now; only what that changes is made."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.defs.runtime.records import stage_key
from dubarr_pipeline.defs.stages import PUBLISHED, STAGE_NAMES
from dubarr_pipeline.library.videos import load_video
from dubarr_pipeline_tests.fixtures.bench import Bench, stats, write_config
from dubarr_pipeline_tests.fixtures.snapshot import Snapshot

LANGUAGE_STAGES = ("segments", "mix", "mux", "report")


@dataclass
class Shelf:
    """A library of one film that can be dubbed, and one that cannot."""

    films: Path
    bench: Bench

    def backfill(self, *arguments: str) -> str:
        answer = self.bench.run("backfill", "films", *arguments)
        assert answer.code == 0, answer.both
        return answer.out

    def dates(self) -> dict[str, int]:
        root = self.bench.work.root
        files = [*root.glob("*.wav"), *root.glob("*.ac3"), *root.rglob("segments/*.wav")]
        return {path.name: path.stat().st_mtime_ns for path in files}

    def store(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(str(self.bench.work_dir / ".dagster"))


@pytest.fixture(scope="module")
def dubbed(tiny_film: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shelf, Snapshot]:
    """The library, dubbed once."""
    folder = tmp_path_factory.mktemp("backfill")
    films = folder / "films"
    shutil.copytree(tiny_film.parent, films)
    (films / "broken.mkv").write_bytes(b"no film")
    library = {"path": str(films), "target_langs": ["es"]}
    config = write_config(folder / "dubarr.toml", {"libraries.films": library})
    shelf = Shelf(films, Bench(folder / "work", config))
    assert "tiny.mkv  → es: new" in shelf.backfill("--dry-run")
    assert not shelf.bench.work_dir.exists()
    said = shelf.backfill("--here")
    assert "broken.mkv is not dubbed" in said
    assert "1 videos; to run: " + ", ".join(f"{stage} 1" for stage in STAGE_NAMES) in said
    return shelf, Snapshot(shelf.bench.work_dir)


@pytest.fixture
def done(dubbed: tuple[Shelf, Snapshot]) -> Shelf:
    shelf, snapshot = dubbed
    snapshot.restore()
    return shelf


def test_relaunched_it_makes_nothing(done: Shelf):
    before = done.dates()
    for arguments in (("--dry-run",), ("--here",), ()):
        assert "1 videos; to run: nothing" in done.backfill(*arguments)
    assert done.dates() == before
    with done.store() as store:
        assert store.get_runs_count() == 1
        assert store.get_backfills() == []


def test_another_language_model_would_make_all_from_the_context_on(done: Shelf, tmp_path: Path):
    tables = {
        "libraries.films": {"path": str(done.films), "target_langs": ["es"]},
        "context": {"engine": "llm"},
        "llm": {"url": "http://127.0.0.1:9/v1", "model": "another"},
    }
    changed = Bench(done.bench.work_dir, write_config(tmp_path / "dubarr.toml", tables))
    answer = changed.run("backfill", "films", "--dry-run")
    assert answer.code == 0, answer.both
    wanted = ("context", *LANGUAGE_STAGES)
    assert "to run: " + ", ".join(f"{stage} 1" for stage in wanted) in answer.out


def test_a_language_more_makes_only_that_language(done: Shelf):
    before = done.dates()
    foretold = done.backfill("--to", "es,ca", "--dry-run")
    assert "to run: " + ", ".join(f"{stage} 1" for stage in LANGUAGE_STAGES) in foretold
    assert load_video(done.bench.work.root.name, done.bench.work_dir).target_langs == ("es",)
    done.backfill("--to", "es,ca", "--here")
    assert done.bench.made() == LANGUAGE_STAGES
    figures = stats(done.bench.work)
    assert (figures["lines"], figures["reused"]) == (4, 2)
    after = done.dates()
    assert {name: after.get(name) for name in before} == before
    assert any("_ca" in name for name in after.keys() - before.keys())


def test_a_slice_and_a_stage_are_queued_as_a_backfill_of_dagster(done: Shelf):
    assert "0 videos; to run: nothing" in done.backfill("--slice", "Show/*")
    key = done.bench.work.root.name
    said = done.backfill("--slice", "TINY*", "--from", "mux")
    assert "to run: mux 1, report 1" in said
    assert "no daemon is running" in said
    with done.store() as store:
        (asked,) = store.get_backfills()
        assert store.has_dynamic_partition("videos", key)
    assert set(asked.asset_selection or []) == {stage_key(s) for s in (*STAGE_NAMES, PUBLISHED)}
    assert asked.asset_backfill_data is not None
    subset = asked.asset_backfill_data.target_subset
    assert {each.partition_key for each in subset.iterate_asset_partitions()} == {key}
    assert asked.tags["dubarr/library"] == "films"
    assert not done.bench.work.muxed.exists()
    assert done.bench.work.journal.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("shows",), "choices: films"),
        (("films", "--from", "dub"), "choose one of: vocals"),
        (("films", "--to", "tlh-"), "tlh-"),
    ],
)
def test_what_is_unknown_is_told_with_the_choices(done: Shelf, arguments, words):
    answer = done.bench.run("backfill", *arguments)
    assert answer.code == 2
    assert words in answer.err


def test_a_library_that_is_away_is_told(done: Shelf):
    done.films.rename(done.films.with_name("away"))
    answer = done.bench.run("backfill", "films")
    done.films.with_name("away").rename(done.films)
    assert answer.code == 2
    assert "is it mounted?" in answer.err
    assert os.listdir(done.films)  # noqa: PTH208
