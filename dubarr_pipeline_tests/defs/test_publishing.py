"""The asset `published`: in its place by any road, with a check of each film of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dubarr_pipeline.definitions import defs
from dubarr_pipeline.defs import publishing as room
from dubarr_pipeline.defs.library_names import PLAIN
from dubarr_pipeline.defs.publishing import CHECK, publishing_sensor
from dubarr_pipeline.defs.resources import DubarrResource
from dubarr_pipeline.defs.runtime.records import (
    add_video,
    last_materialization,
    record_metadata,
    stage_key,
)
from dubarr_pipeline.defs.runtime.status import failure_of, task_table
from dubarr_pipeline.defs.stages import PUBLISHED
from dubarr_pipeline.library.publishing.publish import take_back
from dubarr_pipeline.library.publishing.records import record_path
from dubarr_pipeline.library.videos import Video, save_video
from dubarr_pipeline.workdir.checkpoints import Record
from dubarr_pipeline.workdir.identity import FileIdentity
from dubarr_pipeline_tests.fixtures.bench import Film, make_film, write_config
from dubarr_pipeline_tests.fixtures.published_films import Shelf

KEY = PLAIN.key("published")
publishing = publishing_sensor(PLAIN)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("film") / "film.mkv", Film(length_s=5.0))


@dataclass
class House:
    """A shelf, its store, and what the sensor remembers between ticks."""

    shelf: Shelf
    instance: dg.DagsterInstance
    cursor: str | None = None
    made: int = 0
    more: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    @property
    def dubarr(self) -> DubarrResource:
        shelf = self.shelf
        library = {"path": str(shelf.folder), "target_langs": ["es"]}
        wish = {name: value.replace("ROOT", str(shelf.root)) for name, value in shelf.wish.items()}
        tables = {"libraries.films": library, "libraries.films.publish": wish, **self.more}
        config = write_config(shelf.root / "dubarr.toml", tables)
        return DubarrResource(config_file=str(config), work_dir=str(shelf.settings.work_dir))

    def report(self, video: Video) -> None:
        """Record mux and report of a video, as a run does."""
        add_video(self.instance, video.key)
        self.made += 1
        mux = Record("f", f"mux{self.made}", "m")
        report = Record("f", f"report{self.made}", "m", {"mux": mux.production})
        for stage, made in (("mux", mux), ("report", report)):
            about = record_metadata(made)
            self.instance.report_runless_asset_event(
                dg.AssetMaterialization(stage_key(stage), metadata=about, partition=video.key)
            )

    def tick(self) -> list[str | None]:
        """The films that the sensor asks for."""
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"dubarr": self.dubarr}
        ) as context:
            result = publishing(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        requests = result.run_requests or []
        assert len({each.run_key for each in requests}) == len(requests)
        return [each.partition_key for each in requests]

    def run(self, video: Video, asked: bool = False) -> bool:
        ran = defs.resolve_job_def("publish").execute_in_process(
            instance=self.instance,
            partition_key=video.key,
            resources={"dubarr": self.dubarr},
            run_config={"ops": {"dub__published": {"config": {"asked": asked}}}},
            raise_on_error=False,
        )
        return ran.success

    def says(self, video: Video) -> str:
        last = last_materialization(self.instance, PUBLISHED, video.key)
        return str(last.metadata["published"].value) if last else "never asked"

    def check(self, video: Video) -> bool | None:
        """Whether the film's own last check passed."""
        history = self.instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(KEY, CHECK), limit=100
        )
        for each in history:
            event = each.event and each.event.dagster_event
            evaluation = event and event.asset_check_evaluation_data
            if evaluation and evaluation.partition == video.key:
                return evaluation.passed
        return None


@pytest.fixture
def house(film: Path, tmp_path: Path) -> Iterator[House]:
    with dg.instance_for_test() as instance:
        yield House(Shelf(film, tmp_path), instance)


def test_what_was_finished_by_any_road_is_asked_for_once(house: House):
    video = house.shelf.finish(house.shelf.put("F.mkv"))
    assert house.tick() == []
    house.report(video)
    assert house.tick() == [video.key]
    assert house.run(video)
    assert (house.says(video), house.check(video)) == ("beside", True)
    assert "films/F - dubbed.mkv" in house.shelf.names()
    assert [house.tick(), house.tick()] == [[], []]
    house.shelf.finish(video.source)
    house.report(video)
    assert house.tick() == [], "dubbed again, with the same result"
    house.shelf.finish(video.source, b"2")
    house.report(video)
    assert house.tick() == [video.key], "a new result"


def test_what_is_gone_is_put_there_again_and_what_others_put_there_stays(house: House):
    video = house.shelf.finish(house.shelf.put("F.mkv"))
    house.report(video)
    assert house.run(video)
    place = house.shelf.folder / "F - dubbed.mkv"
    place.write_bytes(b"edited by a person")
    assert not house.run(video)
    assert place.read_bytes() == b"edited by a person"
    place.unlink()
    assert house.run(video)
    assert house.check(video) is True


def test_one_films_red_stays_whatever_else_runs(house: House, monkeypatch: pytest.MonkeyPatch):
    shelf = house.shelf
    first, second = (shelf.finish(shelf.put(f"{n}.mkv", n)) for n in (1, 2))
    house.report(first)
    house.report(second)
    fulfil = room.fulfil_wish

    def damaged(video: Video, *rest: Any, **more: Any) -> Any:
        made = fulfil(video, *rest, **more)
        (shelf.folder / "1 - dubbed.mkv").write_bytes(b"damaged")
        return made

    monkeypatch.setattr(room, "fulfil_wish", damaged)
    assert house.run(first)
    monkeypatch.undo()
    assert house.check(first) is False
    assert house.run(second)
    assert (house.check(first), house.check(second)) == (False, True)


def test_films_that_nobody_wants_published_say_so(house: House):
    shelf = house.shelf
    shelf.wish = {"mode": "none"}
    video = shelf.finish(shelf.put("F.mkv"))
    house.report(video)
    assert house.tick() == []
    assert house.run(video)
    assert "publishes nothing" in house.says(video)
    save_video(Video(**{**_fields(video), "library": None}), shelf.settings.work_dir)
    assert house.run(video)
    assert house.says(video) == "nothing: it belongs to no library"
    assert house.check(video) is True
    (row,) = task_table(house.instance, shelf.settings.work_dir, settings=shelf.settings)
    assert row.status != "DONE, not published"


def _fields(video: Video) -> dict[str, Any]:
    return {name: getattr(video, name) for name in Video.__dataclass_fields__}


def test_another_wish_is_asked_for_and_an_earlier_one_again(house: House):
    shelf = house.shelf
    video = shelf.finish(shelf.put("F.mkv"))
    house.report(video)
    for wish in ({"mode": "beside"}, {"mode": "beside", "label": " [es]"}, {"mode": "beside"}):
        shelf.wish = wish
        assert house.tick() == [video.key]
        assert house.run(video)
        assert house.tick() == []
    shelf.wish = {"mode": "none"}
    assert house.tick() == [video.key]
    assert house.run(video)
    assert "films/F - dubbed.mkv" not in shelf.names()
    assert house.tick() == []


def test_what_an_older_version_published_counts_and_nothing_is_done_twice(house: House):
    shelf = house.shelf
    video = shelf.publish("F.mkv")
    house.report(video)
    # Neither the stat of files nor this asset were recorded.
    record = record_path(video.work(shelf.settings.work_dir))
    text = record.read_text().replace('"version"', '"before"').replace('"stale"', '"was"')
    record.write_text(text)
    inode = (shelf.folder / "F - dubbed.mkv").stat().st_ino
    house.cursor = '{"__class__": "RunStatusSensorCursor", "record_id": 12, "update_timestamp": ""}'
    assert [house.tick(), house.tick()] == [[], []]
    assert house.says(video) == "beside"
    assert (shelf.folder / "F - dubbed.mkv").stat().st_ino == inode


def test_what_a_person_took_back_is_not_published_again(house: House):
    shelf = house.shelf
    video = shelf.publish("F.mkv")
    house.report(video)
    take_back(video, shelf.settings.work_dir, by_person=True)
    assert house.tick() == []
    assert house.run(video)
    assert house.says(video) == "nothing: it was taken back by `dubarr restore`"
    assert house.run(video, asked=True)
    assert house.says(video) == "beside"


def test_an_upgraded_film_says_that_it_gave_way(house: House):
    old = house.shelf.finish(house.shelf.put("F.mkv"))
    house.report(old)
    assert house.run(old)
    new = house.shelf.finish(house.shelf.put("F.mkv", release=2))
    house.report(new)
    assert house.tick() == [new.key]
    assert house.run(new)
    assert house.says(old) == "nothing: a better release took its place"
    assert (house.says(new), house.check(new)) == ("beside", True)
    assert house.tick() == []


def test_a_film_in_a_run_is_looked_at_again_after_it(house: House):
    video = house.shelf.finish(house.shelf.put("F.mkv"))
    house.report(video)
    run = dg.DagsterRun(
        job_name="dub",
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": video.key},
    )
    house.instance.add_run(run)
    assert [house.tick(), house.tick()] == [[], []]
    house.instance.delete_run(run.run_id)
    assert house.tick() == [video.key]
    assert house.tick() == []


def test_many_finished_films_are_asked_for_in_a_few_ticks(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As many a tick as it may look at; a thousand took two ticks (of 500) when measured."""
    monkeypatch.setattr(room, "_AT_ONCE", 40)
    house = House(Shelf(film, tmp_path), dg.DagsterInstance.ephemeral())
    shelf = house.shelf
    shelf.folder.mkdir()
    for n in range(80):
        source = shelf.folder / f"f{n}.mkv"
        source.write_bytes(b"film")
        identity = FileIdentity(4, n, n, n, f"{n:064x}")
        video = Video(f"f-{n:08x}", source, identity, ("es",), "lite", library="films")
        save_video(video, shelf.settings.work_dir)
        house.report(video)
    asked = [house.tick() for _ in range(3)]
    assert [len(each) for each in asked] == [40, 40, 0]
    assert len({key for each in asked for key in each}) == 80
    assert len(house.cursor or "") < 200


def test_a_failed_publishing_is_named_in_the_table(house: House):
    shelf = house.shelf
    video = shelf.finish(shelf.put("F.mkv"))
    house.report(video)
    (shelf.folder / "F - dubbed.mkv").write_bytes(b"of others")
    assert not house.run(video)
    run = house.instance.get_runs(limit=1)[0]
    stage, cause, error = failure_of(house.instance, run.run_id)
    assert (stage, error) == ("published", "SettingsError")
    assert "already exists and was not written by dubarr" in cause
