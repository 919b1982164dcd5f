"""What may go goes, each thing for a reason that is told; what is needed stays."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.defs.jobs import tidy
from dubarr_pipeline.defs.runtime.records import add_video
from dubarr_pipeline.files import write_json
from dubarr_pipeline.library.dub_requests import DubRequest
from dubarr_pipeline.library.housekeeping import Removal, removals, remove
from dubarr_pipeline.library.videos import Video, make_video, save_video
from dubarr_pipeline.library.webhooks.receipts import Receipt, write_receipt
from dubarr_pipeline.workdir.identity import identify
from dubarr_pipeline.workdir.layout import WorkDir, exclusive
from dubarr_pipeline_tests.fixtures.bench import Bench, write_config

DAY_S = 86_400.0


@dataclass
class House:
    """A library of one film, its work folder, and a store."""

    films: Path
    work_dir: Path
    config: Path
    store: dg.DagsterInstance

    @property
    def settings(self) -> Settings:
        return load_settings(self.config, self.work_dir)

    def film(self, name: str) -> Video:
        source = self.films / name
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(f"picture of {name}")
        wishes = {"target_langs": ("es",), "profile": "lite", "library": "films"}
        video = make_video(source, self.work_dir, **wishes)
        save_video(video, self.work_dir)
        add_video(self.store, video.key)
        return video

    def work(self, video: Video) -> WorkDir:
        return video.work(self.work_dir)

    def due(self, days: float = 0.0) -> list[tuple[str, str]]:
        """What would go, as it will be so many days from now."""
        found = removals(self.settings, time.time() + days * DAY_S)
        return [(each.kind, each.path.name) for each in found]

    def tidy(self, days: float) -> list[Removal]:
        return list(tidy(self.store, self.settings, time.time() + days * DAY_S))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    films = {"path": str(tmp_path / "films"), "target_langs": ["es"]}
    (tmp_path / "films").mkdir()
    config = write_config(tmp_path / "dubarr.toml", {"libraries.films": films})
    with dg.DagsterInstance.ephemeral() as store:
        yield House(tmp_path / "films", tmp_path / "work", config, store)


def age(path: Path, days: float) -> None:
    then = time.time() - days * DAY_S
    os.utime(path, (then, then))


def test_unfinished_files_go_when_they_are_old_and_nobody_is_at_work(house: House):
    work = house.work(house.film("one.mkv"))
    young, old = work.root / ".mux.part.1.mkv", work.root / "segments" / ".take.part.2.wav"
    folder = work.root / ".edits.part"
    old.parent.mkdir()
    folder.mkdir()
    for path in (young, old, folder / "es.srt"):
        path.write_text("half")
    age(old, 0.1)
    age(folder, 0.1)
    assert house.due() == [("unfinished file", folder.name), ("unfinished file", old.name)]
    house.tidy(0)
    assert not old.exists()
    assert not folder.exists()


def test_temporary_files_stay_while_somebody_works_on_the_video(house: House):
    work = house.work(house.film("one.mkv"))
    window = work.temporary / "separation" / "window.npy"
    window.parent.mkdir(parents=True)
    window.write_bytes(bytes(1000))
    assert house.due(6.9) == []
    with exclusive(work), ThreadPoolExecutor() as elsewhere:
        assert elsewhere.submit(house.tidy, 7.1).result() == []
    (found,) = house.tidy(7.1)
    assert (found.kind, found.size) == ("temporary files", 1000)
    assert "7 days" in found.reason
    assert not work.temporary.exists()
    assert work.video.exists()


def test_a_deleted_video_is_forgotten_and_corrections_stay(house: House):
    video, _ = house.film("Old film/one.mkv"), house.film("two.mkv")
    work = house.work(video)
    work.edits.mkdir()
    (work.edits / "es.srt").write_text("corrected")
    video.source.unlink()
    video.source.parent.rmdir()
    assert house.tidy(0) == []
    assert house.due(29.9) == []
    assert house.due(30.1) == [("deleted video", video.key)]
    (found,) = house.tidy(30.1)
    assert "has been gone for 30 days" in found.reason
    assert [path.name for path in work.root.iterdir()] == ["edits"]
    assert not house.store.has_dynamic_partition("videos", video.key)
    assert house.tidy(61) == []


def test_a_film_that_is_back_starts_its_time_anew(house: House):
    video, _ = house.film("one.mkv"), house.film("two.mkv")
    away = video.source.rename(house.films.parent / "away")
    house.tidy(0)
    away.rename(video.source)
    house.tidy(20)
    video.source.unlink()
    house.tidy(25)
    assert house.due(54.9) == []
    assert house.due(55.1) == [("deleted video", video.key)]


@pytest.mark.parametrize("empty", ["library", "folder"])
def test_what_may_be_a_disk_that_is_not_mounted_is_not_deleted(house: House, empty):
    video = house.film("Disk/one.mkv")
    if empty == "folder":
        house.film("two.mkv")
    video.source.unlink()
    if empty == "library":
        video.source.parent.rmdir()
    house.tidy(0)
    assert house.due(365) == []
    house.films.rename(house.films.with_name("away"))
    assert house.due(365) == []


def test_a_video_without_a_library_is_never_forgotten(house: House):
    video = house.film("one.mkv")
    house.film("two.mkv")
    save_video(replace(video, library=None), house.work_dir)
    video.source.unlink()
    house.tidy(0)
    assert house.due(365) == []


def test_an_original_goes_when_its_time_is_over_and_the_dubbed_film_is_whole(house: House):
    video = house.film("one.mkv")
    kept = house.films / ".dubarr-originals" / "one.mkv"
    kept.parent.mkdir()
    video.source.rename(kept)
    video.source.write_text("dubbed")
    until_s = time.time() + 10 * DAY_S
    document = {
        "mode": "replace",
        "files": [{"path": str(video.source), "digest": identify(video.source).digest}],
        "source": str(video.source),
        "original": str(kept),
        "keep_until_s": until_s,
    }
    write_json(house.work(video).root / "published.json", document)
    save_video(replace(video, source=kept), house.work_dir)
    assert house.due(9.9) == []
    video.source.write_text("damaged")
    assert house.due(10.1) == []
    video.source.write_text("dubbed")
    assert [each.kind for each in house.tidy(10.1)] == ["kept original"]
    assert not kept.exists()
    assert video.source.read_text() == "dubbed"
    house.tidy(20)
    assert house.due(365) == [], "the film stands in its original's place"


def test_logs_go_and_marks_of_answered_questions_stay(house: House):
    video = house.film("one.mkv")
    for folder in (house.work_dir / "logs", house.work(video).logs):
        folder.mkdir()
        (folder / "llm.log").write_text("said")
        (folder / "tried-1").touch()
    assert house.due(29) == []
    write_receipt(Receipt(DubRequest("/films/A.mkv", ("es",))), house.work_dir)
    assert [each.kind for each in house.tidy(31)] == ["service log"] * 2 + ["receipt"]
    assert len(list(house.work_dir.rglob("tried-1"))) == 2


def test_the_command_says_first_and_then_does(house: House):
    work = house.work(house.film("one.mkv"))
    old = work.root / ".mux.part.1.mkv"
    old.write_text("half")
    age(old, 1)
    bench = Bench(house.work_dir, house.config)
    told = json.loads(bench.run("prune", "--dry-run", "--json").out)
    assert (told["removed"], told["runs"]) == (False, 0)
    assert [(row["path"], row["bytes"]) for row in told["files"]] == [(str(old), 4)]
    assert old.exists()
    answer = bench.run("prune")
    assert answer.code == 0, answer.both
    assert "its process was killed while writing it" in answer.out
    assert not old.exists()
    assert "removed: 0 files" in bench.run("prune").out


def test_what_a_browser_was_shown_goes_when_nobody_looks_any_more(house: House):
    kept = house.settings.work_dir / ".review"
    for name, days in (("seen-0123abcd", 1), ("left-0123abcd", 20)):
        piece = kept / name / "dub-es" / "0000.s16"
        piece.parent.mkdir(parents=True)
        piece.write_bytes(bytes(100))
        used_s = time.time() - days * DAY_S
        for path in (piece, piece.parent, piece.parent.parent):
            os.utime(path, (used_s, used_s))
    found = [each for each in removals(house.settings, time.time()) if each.kind == "review cache"]
    assert [(each.path.name, each.size) for each in found] == [("left-0123abcd", 100)]
    assert remove(found[0], house.settings, time.time())
    assert [path.name for path in kept.iterdir()] == ["seen-0123abcd"]


def test_a_link_that_leads_nowhere_keeps_no_other_sample_from_going(house: House):
    samples = house.settings.work_dir / "samples"
    samples.mkdir(parents=True)
    (samples / "A film.mkv").symlink_to(samples / "gone.mkv")
    (samples / "old.mkv").touch()
    used_s = time.time() - 20 * DAY_S
    os.utime(samples / "old.mkv", (used_s, used_s))
    found = [each for each in removals(house.settings, time.time()) if each.kind == "sample"]
    assert [each.path.name for each in found] == ["old.mkv"]
