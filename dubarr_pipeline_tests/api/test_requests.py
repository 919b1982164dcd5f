"""One request by every road: Python, a job of the UI, the inbox behind REST, and `dub`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus

import dubarr_pipeline as dubarr
from dubarr_pipeline.api import requests
from dubarr_pipeline.api.dubbing import Watch, dub_videos
from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.definitions import defs
from dubarr_pipeline.defs.library_names import PLAIN
from dubarr_pipeline.defs.resources import DubarrResource
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.sensors import media_folder_sensor, webhook_inbox_sensor
from dubarr_pipeline.errors import (
    DubbingError,
    LanguageError,
    NoScript,
    NotAVideo,
    SourceMissing,
    SpokenLanguage,
)
from dubarr_pipeline.library.dub_requests import DubRequest, film_of
from dubarr_pipeline.library.videos import Video, load_video, registered
from dubarr_pipeline.library.webhooks.inbox import Inbox
from dubarr_pipeline.library.webhooks.receipts import Receipt, read_receipt, write_receipt
from dubarr_pipeline_tests.fixtures.bench import sidecar, write_config

media_folder = media_folder_sensor(PLAIN)
webhook_inbox = webhook_inbox_sensor(PLAIN)

TARGETS = ["ca", "es"]


@dataclass
class Home:
    """A library of one film, a work folder, and all roads by which a request may come."""

    folder: Path
    instance: dg.DagsterInstance

    @property
    def film(self) -> Path:
        return self.folder / "films" / "A film.mkv"

    @property
    def settings(self) -> Settings:
        return load_settings(self.folder / "dubarr.toml", self.folder / "work")

    @property
    def resource(self) -> DubarrResource:
        config, work = self.folder / "dubarr.toml", self.folder / "work"
        return DubarrResource(config_file=str(config), work_dir=str(work))

    def tick(self, sensor: dg.SensorDefinition, cursor: str | None = None) -> dg.SensorResult:
        with dg.build_sensor_context(
            instance=self.instance, cursor=cursor, resources={"dubarr": self.resource}
        ) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        return result

    def by_python(self, path: str, **fields: Any) -> None:
        requests.request(
            path,
            TARGETS,
            work_dir=self.folder / "work",
            config=self.folder / "dubarr.toml",
            **fields,
        )

    def by_job(self, path: str, **fields: Any) -> dg.ExecuteInProcessResult:
        where = {"config_file": self.resource.config_file, "work_dir": self.resource.work_dir}
        config = {"path": path, "target_langs": TARGETS, **fields}
        return defs.resolve_job_def("dub_file").execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            run_config={
                "ops": {"request": {"config": config}},
                "resources": {"dubarr": {"config": where}},
            },
        )

    def by_inbox(self, path: str, **fields: Any) -> dg.SensorResult:
        asked = DubRequest(**{"path": path, "target_langs": tuple(TARGETS), **fields})
        write_receipt(Receipt(asked), self.settings.work_dir)
        Inbox(self.settings.work_dir).put("films", asked)
        return self.tick(webhook_inbox)

    def video(self) -> Video:
        (key,) = registered(self.settings.work_dir)
        return load_video(key, self.settings.work_dir)


@pytest.fixture
def home(tmp_path: Path, tiny_film: Path) -> Iterator[Home]:
    with dg.instance_for_test() as instance:
        found = Home(tmp_path, instance)
        found.film.parent.mkdir()
        shutil.copy(tiny_film, found.film)
        shutil.copy(sidecar(tiny_film, "en"), sidecar(found.film, "en"))
        overrides = {'"mix.preset"': "duck"}
        films = {"path": str(found.film.parent), "target_langs": ["fr"]}
        tables = {"libraries.films": films, "libraries.films.overrides": overrides}
        tables["libraries.films.path_mappings"] = {'"/movies"': str(found.film.parent)}
        write_config(tmp_path / "dubarr.toml", tables)
        yield found


ROADS: list[Callable[[Home, str], object]] = [Home.by_python, Home.by_job, Home.by_inbox]


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("path", ["FILM", "/movies/A film.mkv"])
def test_every_road_registers_the_same(
    home: Home, road: Callable[[Home, str], object], path: str
) -> None:
    road(home, path.replace("FILM", str(home.film)))
    video = home.video()
    assert (video.source, video.target_langs) == (home.film, ("ca", "es"))
    assert (video.library, video.profile, video.by_person) == ("films", "lite", True)
    assert video.overrides == {"mix.preset": "duck"}


def test_the_job_adds_the_partition_and_queues_its_run_once(home: Home) -> None:
    ran = home.by_job(str(home.film), priority=7, force=True)
    assert ran.success
    key = ran.output_for_node("request")
    assert list(home.instance.get_dynamic_partitions("videos")) == [key] == [home.video().key]
    (queued,) = home.instance.get_backfills()
    assert queued.status == BulkActionStatus.REQUESTED
    wanted = {"Film": "A film", "Language": "ca, es", "dagster/priority": "7"}
    assert wanted.items() <= queued.tags.items()
    assert queued.run_config
    assert queued.run_config["ops"]["dub__mux"]["config"] == {"force": True}
    run = home.instance.get_run_by_id(ran.run_id)
    assert run
    assert run.tags["Film"] == "A film"
    for _ in range(2):
        assert home.by_job(str(home.film), priority=7, force=True).success
    assert len(home.instance.get_backfills()) == 1


@pytest.mark.parametrize(
    ("name", "fields", "kind", "words"),
    [
        ("none.mkv", {}, SourceMissing, "none.mkv"),
        ("words.txt", {}, NotAVideo, "not a video"),
        ("A film.mkv", {"library": "nowhere"}, DubbingError, "unknown library 'nowhere'"),
        ("A film.mkv", {"spoken_language": "klingonese"}, LanguageError, "unknown language"),
        ("A film.mkv", {"spoken_language": "fr"}, NoScript, "no usable subtitles"),
        ("A film.mkv", {"spoken_language": "es"}, SpokenLanguage, "already spoken in Spanish"),
    ],
)
def test_what_cannot_be_dubbed_is_said_in_the_same_words_by_every_road(
    home: Home, name: str, fields: dict[str, str], kind: type[DubbingError], words: str
) -> None:
    (home.film.parent / "words.txt").write_text("no film at all\n" * 50)
    path = str(home.film.parent / name)
    with pytest.raises(kind, match=words) as raised:
        home.by_python(path, **fields)
    ran = home.by_job(path, **fields)
    (failed,) = [each for each in ran.all_events if each.is_step_failure]
    described = failed.step_failure_data.user_failure_data
    assert described
    assert described.description == str(raised.value)
    assert not list(registered(home.settings.work_dir))


def test_python_queues_for_the_daemon_and_tells_the_state(home: Home) -> None:
    home.by_python(str(home.film))
    (task,) = dubarr.status(home.settings.work_dir, home.settings.config_file)
    found = requests.find_video(task.video.key, home.settings)
    assert (task.status, found.state, found.languages) == ("QUEUED", "QUEUED", ("ca", "es"))
    assert [stage.made for stage in found.stages] == [False] * 9
    assert requests.page_of_videos(0, 5, home.settings).videos == (found,)
    assert requests.page_of_videos(1, 5, home.settings).total == 1
    with open_instance(home.settings.work_dir) as instance:
        assert len(instance.get_backfills()) == 1


def test_a_request_in_the_inbox_becomes_a_run_of_a_person(home: Home) -> None:
    result = home.by_inbox(str(home.film), priority=-3, force=True)
    (asked,) = result.run_requests or []
    key = home.video().key
    assert (asked.partition_key, asked.tags["dagster/priority"]) == (key, "-3")
    assert asked.run_config["ops"]["dub__vocals"]["config"] == {"force": True}
    receipt = read_receipt(
        Receipt(DubRequest(str(home.film), ("ca", "es"), priority=-3, force=True)).name,
        home.settings.work_dir,
    )
    assert receipt
    assert (receipt.state, receipt.video) == ("ACCEPTED", key)
    home.tick(webhook_inbox, result.cursor)
    assert Inbox(home.settings.work_dir).names() == []


def test_a_refused_request_says_why_and_one_without_words_waits(home: Home) -> None:
    work_dir = home.settings.work_dir
    home.by_inbox(str(home.film), spoken_language="fr")
    asked = DubRequest(str(home.film), ("ca", "es"), "fr")
    waiting = read_receipt(Receipt(asked).name, work_dir)
    assert waiting
    assert waiting.state == "REQUESTED"
    assert "no usable subtitles" in waiting.cause
    # What is spoken is known, with or without words; subtitles that may come change nothing of it.
    home.by_inbox(str(home.film), target_langs=("en",), spoken_language="en")
    spoken = read_receipt(Receipt(DubRequest(str(home.film), ("en",), "en")).name, work_dir)
    assert spoken
    assert (spoken.state, "already spoken in English" in spoken.cause) == ("REFUSED", True)
    words = home.film.with_name("words.mkv")
    words.write_text("no film at all\n" * 50)
    home.by_inbox(str(words))
    refused = read_receipt(Receipt(DubRequest(str(words), ("ca", "es"))).name, work_dir)
    assert refused
    assert refused.state == "REFUSED"
    assert "not a video" in refused.cause


def test_a_request_for_a_film_that_is_gone_waits_and_is_given_up_in_time(home: Home) -> None:
    gone = DubRequest(str(home.film.with_name("gone.mkv")), ("ca", "es"))
    home.by_inbox(gone.path)
    waiting = read_receipt(Receipt(gone).name, home.settings.work_dir)
    assert waiting
    assert (waiting.state, "gone.mkv" in waiting.cause) == ("REQUESTED", True)
    with (home.folder / "dubarr.toml").open("a") as config:
        config.write("\n[webhooks]\nwait_hours = 0\n")
    result = home.tick(webhook_inbox)
    given_up = read_receipt(Receipt(gone).name, home.settings.work_dir)
    assert given_up
    assert (given_up.state, "it waited 0 hours" in given_up.cause) == ("REFUSED", True)
    home.tick(webhook_inbox, result.cursor)
    assert Inbox(home.settings.work_dir).names() == []


def test_a_path_is_of_the_library_in_which_it_ends(home: Home) -> None:
    twice = film_of(DubRequest(f"/{home.film}", ("es",)), home.settings)
    assert (twice.path, twice.library) == (home.film, "films")
    outside = home.folder / "outside" / "A film.mkv"
    outside.parent.mkdir()
    shutil.move(home.film, outside)
    shutil.move(sidecar(home.film, "en"), sidecar(outside, "en"))
    request = DubRequest(f"{home.film.parent}/../outside/A film.mkv", ("es",))
    found = film_of(request, home.settings)
    assert (found.path, found.library) == (outside, None)


def test_what_a_person_chose_stays_through_the_scans_of_its_library(home: Home) -> None:
    home.by_job(str(home.film))
    cursor = home.tick(media_folder).cursor
    result = home.tick(media_folder, cursor)
    (asked,) = result.run_requests or []
    assert str(asked.run_key).startswith(f"{home.video().key}/ca,es/lite")
    assert home.video().by_person


def test_who_asks_for_what_the_library_wishes_leaves_it_to_the_library(home: Home) -> None:
    home.by_job(str(home.film))
    assert home.video().by_person
    text = (home.folder / "dubarr.toml").read_text().replace('["fr"]', '["es", "ca"]')
    (home.folder / "dubarr.toml").write_text(text)
    home.by_job(str(home.film))
    assert not home.video().by_person


def test_dub_takes_the_library_as_it_is_and_only_the_asked_profile(home: Home) -> None:
    (attempt,) = dub_videos([home.film], ("es",), home.settings, Watch(on_start=_stop))
    assert isinstance(attempt, NoScript)
    video = home.video()
    assert (video.library, video.overrides) == ("films", {"mix.preset": "duck"})
    assert (video.profile, video.by_person) == ("lite", True)


def _stop(_: Video) -> None:
    """End the run before its first stage."""
    raise NoScript("enough")
