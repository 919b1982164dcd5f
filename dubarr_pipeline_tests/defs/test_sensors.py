"""The sensor of the media folders, tick by tick."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.defs.library_names import PLAIN
from dubarr_pipeline.defs.resources import DubarrResource
from dubarr_pipeline.defs.sensors import media_folder_sensor, webhook_inbox_sensor
from dubarr_pipeline.errors import WorkspaceError
from dubarr_pipeline.library.videos import load_video
from dubarr_pipeline.library.webhooks.inbox import Inbox
from dubarr_pipeline.library.webhooks.payloads import FileEvent
from dubarr_pipeline_tests.fixtures.bench import (
    Film,
    make_film,
    ordinary_permissions,
    sidecar,
    srt,
    write_config,
)

media_folder = media_folder_sensor(PLAIN)
webhook_inbox = webhook_inbox_sensor(PLAIN)


@dataclass
class Ticks:
    """The sensor over a library of films, with what it remembers between ticks."""

    folder: Path
    instance: dg.DagsterInstance
    cursor: str | None = None
    languages: list[str] = field(default_factory=lambda: ["es"])
    wishes: dict[str, object] = field(default_factory=dict[str, object])
    tables: dict[str, dict[str, object]] = field(default_factory=dict[str, dict[str, object]])

    @property
    def films(self) -> Path:
        return self.folder / "films"

    @property
    def work_dir(self) -> Path:
        return self.folder / "work"

    def tick(self, sensor: dg.SensorDefinition = media_folder) -> dg.SensorResult:
        films = {"path": str(self.films), "target_langs": self.languages, **self.wishes}
        tables = {"libraries.films": films, **self.tables}
        config = write_config(self.folder / "dubarr.toml", tables)
        dubarr = DubarrResource(config_file=str(config), work_dir=str(self.work_dir))
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"dubarr": dubarr}
        ) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return result


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("film") / "A film.mkv", Film())


@pytest.fixture
def ticks(tmp_path: Path, film: Path) -> Iterator[Ticks]:
    films = tmp_path / "films"
    shutil.copytree(film.parent, films)
    with dg.instance_for_test() as instance:
        yield Ticks(tmp_path, instance)


def requested(result: dg.SensorResult) -> list[tuple[str | None, str | None]]:
    """Key and wish of every run that is asked for."""
    requests = result.run_requests or []
    return [(each.partition_key, str(each.run_key).rpartition("/")[0]) for each in requests]


def test_a_new_film_is_registered_and_requested_once(ticks: Ticks):
    assert requested(ticks.tick()) == []
    result = ticks.tick()
    ((key, run_key),) = requested(result)
    assert key is not None
    video = load_video(key, ticks.work_dir)
    assert (video.source, video.target_langs) == (ticks.films / "A film.mkv", ("es",))
    assert (video.profile, video.library) == ("lite", "films")
    assert run_key == f"{key}/es/lite"
    (added,) = result.dynamic_partitions_requests or []
    assert (added.partitions_def_name, list(added.partition_keys)) == ("videos", [key])
    assert [requested(ticks.tick()), requested(ticks.tick())] == [[], []]


def test_a_copy_is_the_same_work_and_a_new_wish_another(ticks: Ticks, film: Path):
    ticks.tick()
    first = requested(ticks.tick())
    shutil.copy(film, ticks.films / "The same.mkv")
    shutil.copy(sidecar(film, "en"), ticks.films / "The same.en.srt")
    assert requested(ticks.tick()) == []
    assert requested(ticks.tick()) == first
    ticks.languages = ["es", "ca"]
    ticks.tick()
    wished = requested(ticks.tick())
    assert {run_key for _, run_key in wished} == {f"{first[0][0]}/es,ca/lite"}


def test_what_cannot_be_dubbed_is_named_once_and_tried_again_when_it_changes(
    ticks: Ticks, capfd: pytest.CaptureFixture[str]
):
    sidecar(ticks.films / "A film.mkv", "en").unlink()
    (ticks.films / "No film.mkv").write_bytes(b"not a film")
    ticks.tick()
    assert requested(ticks.tick()) == []
    told = [line for line in capfd.readouterr().err.splitlines() if "library films" in line]
    for name in ("A film.mkv", "No film.mkv"):
        assert [line for line in told if name in line and "not dubbed" in line], told
    assert len(told) == 2
    assert [requested(ticks.tick()), requested(ticks.tick())] == [[], []]
    assert "library films" not in capfd.readouterr().err
    sidecar(ticks.films / "A film.mkv", "en").write_text(srt(Film().lines))
    ticks.tick()
    assert len(requested(ticks.tick())) == 1


def test_a_fault_of_ours_is_no_fault_of_the_film(ticks: Ticks):
    ticks.tick()
    before = ticks.cursor
    kept = ticks.work_dir.rename(ticks.folder / "kept")
    ticks.work_dir.write_text("a file where the work folder should be")
    with pytest.raises(WorkspaceError):
        ticks.tick()
    assert ticks.cursor == before
    ticks.work_dir.unlink()
    kept.rename(ticks.work_dir)
    assert len(requested(ticks.tick())) == 1


def test_a_library_that_is_away_forgets_nothing(ticks: Ticks, capfd: pytest.CaptureFixture[str]):
    ticks.tick()
    assert len(requested(ticks.tick())) == 1
    ticks.films.rename(ticks.folder / "away")
    assert requested(ticks.tick()) == []
    said = capfd.readouterr().err
    assert "library films" in said
    assert "the folder is not there" in said
    (ticks.folder / "away").rename(ticks.films)
    assert [requested(ticks.tick()), requested(ticks.tick())] == [[], []]


def test_without_libraries_there_is_nothing_to_do(tmp_path: Path):
    with (
        dg.instance_for_test() as instance,
        dg.build_sensor_context(
            instance=instance, resources={"dubarr": DubarrResource(work_dir=str(tmp_path))}
        ) as context,
    ):
        result = media_folder(context)
    assert isinstance(result, dg.SensorResult)
    assert not result.run_requests


def test_it_is_off_until_somebody_switches_it_on():
    assert media_folder.default_status == dg.DefaultSensorStatus.STOPPED
    assert webhook_inbox.default_status == dg.DefaultSensorStatus.STOPPED


def test_in_quiet_hours_what_lies_ready_waits(ticks: Ticks):
    ticks.wishes["quiet_hours"] = ["00:00-12:00", "12:00-00:00"]
    assert [requested(ticks.tick()), requested(ticks.tick())] == [[], []]
    del ticks.wishes["quiet_hours"]
    assert len(requested(ticks.tick())) == 1


def test_libraries_take_turns_in_the_queue(ticks: Ticks, film: Path):
    for name in ("one.mkv", "two.mkv", "three.mkv"):
        copy = ticks.films / name
        copy.write_bytes(film.read_bytes() + name.encode())
        shutil.copy(sidecar(film, "en"), sidecar(copy, "en"))
    ticks.tick()
    requests = ticks.tick().run_requests or []
    priorities = [int(request.tags["dagster/priority"]) for request in requests]
    assert priorities == sorted(priorities, reverse=True)
    assert [request.tags["dubarr/rank"] for request in requests] == ["0", "1", "2", "3"]
    assert max(priorities) < 0, "behind what a person asks"


def test_an_upgraded_film_starts_with_the_lines_of_the_old_one(ticks: Ticks, film: Path):
    ticks.tick()
    ((old, _),) = requested(ticks.tick())
    assert old is not None
    work = load_video(old, ticks.work_dir).work(ticks.work_dir)
    work.journal.write_text("a line\n")
    better = ticks.films / "A film.mkv"
    better.write_bytes(film.read_bytes() + b"better")
    ticks.tick()
    ((new, _),) = requested(ticks.tick())
    assert new != old
    assert (
        load_video(str(new), ticks.work_dir).work(ticks.work_dir).journal.read_text() == "a line\n"
    )


def told(ticks: Ticks, path: Path, kind: str = "arrived") -> None:
    Inbox(ticks.work_dir).put("films", FileEvent(kind, str(path)))  # pyright: ignore[reportArgumentType]


def test_what_a_webhook_told_of_is_requested_and_leaves_the_inbox_once_recorded(ticks: Ticks):
    inbox = Inbox(ticks.work_dir)
    told(ticks, ticks.films / "A film.mkv")
    before = ticks.cursor
    first = ticks.tick(webhook_inbox)
    ((key, wish),) = requested(first)
    assert wish == f"{key}/es/lite"
    assert len(inbox.names()) == 1, "nothing is recorded yet"
    ticks.cursor = before  # as if the daemon had been killed
    again = ticks.tick(webhook_inbox)
    assert [each.run_key for each in again.run_requests or []] == [
        each.run_key for each in first.run_requests or []
    ]
    assert requested(ticks.tick(webhook_inbox)) == []
    assert inbox.names() == []


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("../A film.mkv", "arrived", "is not inside"),
        ("A film.en.srt", "arrived", "its name is not that of a video"),
        ("No film.mkv", "arrived", "No film.mkv"),
        ("A film.mkv", "deleted", "was deleted"),
    ],
)
def test_what_is_not_dubbed_is_named_once(
    ticks: Ticks, capfd: pytest.CaptureFixture[str], name: str, kind: str, words: str
):
    (ticks.films / "No film.mkv").write_bytes(b"not a film")
    shutil.copy(ticks.films / "A film.mkv", ticks.films.parent)
    told(ticks, ticks.films / name, kind)
    assert requested(ticks.tick(webhook_inbox)) == []
    assert words in capfd.readouterr().err
    ticks.tick(webhook_inbox)
    assert Inbox(ticks.work_dir).names() == []


def test_a_file_that_has_not_appeared_yet_waits(ticks: Ticks):
    told(ticks, ticks.films / "late.mkv")
    for _ in range(3):
        assert requested(ticks.tick(webhook_inbox)) == []
    assert len(Inbox(ticks.work_dir).names()) == 1
    ticks.tables["webhooks"] = {"wait_hours": 0}
    ticks.tick(webhook_inbox)
    ticks.tick(webhook_inbox)
    assert Inbox(ticks.work_dir).names() == []


def test_a_path_that_may_not_be_read_stops_no_other_message(
    ticks: Ticks, capfd: pytest.CaptureFixture[str]
):
    locked = ticks.films / "locked"
    locked.mkdir()
    (locked / "secret.mkv").write_bytes(b"")
    told(ticks, locked / "secret.mkv")
    told(ticks, ticks.films / "A film.mkv")
    locked.chmod(0)
    with ordinary_permissions():
        assert len(requested(ticks.tick(webhook_inbox))) == 1
        ticks.tick(webhook_inbox)
        assert len(Inbox(ticks.work_dir).names()) == 1
        ticks.tables["webhooks"] = {"wait_hours": 0}
        ticks.tick(webhook_inbox)
        assert "secret.mkv" in capfd.readouterr().err
        ticks.tick(webhook_inbox)
    locked.chmod(0o700)
    assert Inbox(ticks.work_dir).names() == []


def test_a_damaged_message_stops_no_other(ticks: Ticks, capfd: pytest.CaptureFixture[str]):
    told(ticks, ticks.films / "A film.mkv")
    (name,) = Inbox(ticks.work_dir).names()
    (Inbox(ticks.work_dir).folder / f"0{name}").write_text("{")
    assert len(requested(ticks.tick(webhook_inbox))) == 1
    assert f"0{name}" in capfd.readouterr().err
