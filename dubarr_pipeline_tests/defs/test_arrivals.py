"""Bad and busy films, ticks that are too short, upgrades and tags, tick by tick."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.defs import sensors
from dubarr_pipeline.defs.library_names import PLAIN
from dubarr_pipeline.defs.sensors import media_folder_sensor, webhook_inbox_sensor
from dubarr_pipeline.errors import MissingRequirement
from dubarr_pipeline.library import arrivals, identities
from dubarr_pipeline.library.admission import Refusal
from dubarr_pipeline.library.videos import load_video, registered, superseded_by
from dubarr_pipeline.library.webhooks.inbox import Inbox
from dubarr_pipeline.library.webhooks.payloads import FileEvent
from dubarr_pipeline.library.webhooks.titles import TitleEvent
from dubarr_pipeline.workdir.layout import exclusive
from dubarr_pipeline_tests.defs.test_sensors import Ticks, requested
from dubarr_pipeline_tests.fixtures.bench import Film, make_film, ordinary_permissions, sidecar

media_folder = media_folder_sensor(PLAIN)
webhook_inbox = webhook_inbox_sensor(PLAIN)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("film") / "A film.mkv", Film())


@pytest.fixture
def ticks(tmp_path: Path, film: Path) -> Iterator[Ticks]:
    (tmp_path / "films").mkdir()
    with dg.instance_for_test() as instance:
        yield Ticks(tmp_path, instance)


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "_tried_s", {})


def put(film: Path, where: Path, number: int = 0, subtitles: bool = True) -> Path:
    """The film under another name, and another content."""
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(film.read_bytes() + b"\xec\x84" + number.to_bytes(4, "big"))
    if subtitles:
        shutil.copy(sidecar(film, "en"), sidecar(where, "en"))
    return where


def names(result: dg.SensorResult, ticks: Ticks) -> list[str]:
    keys = [str(key) for key, _ in requested(result)]
    return sorted(load_video(key, ticks.work_dir).source.name for key in keys)


def tell(ticks: Ticks, path: Path, replaces: tuple[str, ...] = (), tags: tuple[str, ...] = ()):
    event = FileEvent("arrived", str(path), None, replaces, tags or None)
    return Inbox(ticks.work_dir).put("films", event)


def test_a_busy_film_is_left_for_the_next_tick_and_holds_up_no_other(ticks: Ticks, film: Path):
    put(film, ticks.films / "A.mkv", 1)
    ticks.tick()
    ((key, _),) = requested(ticks.tick())
    work = load_video(str(key), ticks.work_dir).work(ticks.work_dir)
    with exclusive(work):
        shutil.copy(sidecar(film, "en"), ticks.films / "A.fr.srt")
        put(film, ticks.films / "B.mkv", 2)
        ticks.tick()
        second = ticks.tick()
        assert names(second, ticks) == ["B.mkv"]
        waits = ticks.tick()
        assert waits.skip_reason
        assert "A.mkv" in str(waits.skip_reason)
        assert "another process is working" in str(waits.skip_reason)
    ticks.tick()
    assert ticks.tick().skip_reason is None


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), RuntimeError("a bug")])
def test_a_film_that_cannot_be_looked_into_holds_up_no_other(
    ticks: Ticks, film: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    for number, name in enumerate(("bad.mkv", "good.mkv")):
        put(film, ticks.films / name, number)
    plain = arrivals.admit

    def admit(path: Path, *others: object) -> object:
        if path.name == "bad.mkv":
            raise error
        return plain(path, *others)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(arrivals, "admit", admit)
    ticks.tick()
    assert names(ticks.tick(), ticks) == ["good.mkv"]
    assert str(error) in str(ticks.tick().skip_reason)
    monkeypatch.setattr(arrivals, "admit", plain)
    assert names(ticks.tick(), ticks) == ["bad.mkv"]


def test_a_film_that_may_be_read_later_is_taken_then(ticks: Ticks, film: Path):
    locked = put(film, ticks.films / "A.mkv")
    locked.chmod(0)
    with ordinary_permissions():
        ticks.tick()
        assert "A.mkv" in str(ticks.tick().skip_reason)
    locked.chmod(0o600)
    assert names(ticks.tick(), ticks) == ["A.mkv"]


def test_a_library_whose_engines_are_missing_holds_up_no_other(
    ticks: Ticks, film: Path, monkeypatch: pytest.MonkeyPatch
):
    put(film, ticks.films / "A.mkv", 1)
    put(film, ticks.folder / "more" / "B.mkv", 2)
    more = {"path": str(ticks.folder / "more"), "target_langs": ["ca"]}
    ticks.tables["libraries.more"] = more
    plain = arrivals.profile_engines.check_needs
    looked: list[int] = []

    def check(settings: object) -> None:
        looked.append(1)
        if len(looked) % 2:
            raise MissingRequirement("no voice here")
        plain(settings)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(arrivals.profile_engines, "check_needs", check)
    ticks.tick()
    assert names(ticks.tick(), ticks) == ["B.mkv"]
    with pytest.raises(MissingRequirement):
        ticks.tick()
    monkeypatch.setattr(arrivals.profile_engines, "check_needs", plain)
    assert names(ticks.tick(), ticks) == ["A.mkv"]


@pytest.mark.parametrize("sensor", [media_folder, webhook_inbox])
def test_a_tick_ends_in_time_and_the_next_ones_do_the_rest(
    ticks: Ticks, monkeypatch: pytest.MonkeyPatch, sensor: dg.SensorDefinition
):
    for number in range(12):
        path = ticks.films / f"{number:02}.mkv"
        path.write_bytes(b"%d" % number)
        tell(ticks, path)
    begun: list[str] = []

    def admit(path: Path, *_: object) -> Refusal:
        begun.append(path.name)
        time.sleep(0.1)
        return Refusal("not dubbed")

    monkeypatch.setattr(arrivals, "admit", admit)
    monkeypatch.setattr(sensors, "_TAKING_IN_S", 0.55)
    monkeypatch.setattr(arrivals.profile_engines, "check_needs", lambda _: None)
    for _ in range(30):
        before = len(begun)
        ticks.tick(sensor)
        assert len(begun) - before <= 7
        if sensor is webhook_inbox and not Inbox(ticks.work_dir).names():
            break
    assert sorted(begun) == [f"{number:02}.mkv" for number in range(12)], "each of them once"


def test_a_thousand_messages_are_worked_off_and_the_cursor_stays_small(ticks: Ticks):
    events = [("films", FileEvent("deleted", str(ticks.films / f"{n}.mkv"))) for n in range(1_000)]
    Inbox(ticks.work_dir).put_all(events)
    for _ in range(5):
        ticks.tick(webhook_inbox)
        assert len(str(ticks.cursor)) == 16
    assert Inbox(ticks.work_dir).names() == []


def test_a_film_is_read_once_whatever_comes_beside_it(
    ticks: Ticks, film: Path, monkeypatch: pytest.MonkeyPatch
):
    read, plain = list[str](), identities.identify
    monkeypatch.setattr(identities, "identify", lambda path: read.append(path.name) or plain(path))
    put(film, ticks.films / "A.mkv", subtitles=False)
    for _ in range(3):
        ticks.tick()
    assert read == [], "a film that is refused is not read at all"
    shutil.copy(sidecar(film, "en"), ticks.films / "A.en.srt")
    ticks.tick()
    assert names(ticks.tick(), ticks) == ["A.mkv"]
    shutil.copy(sidecar(film, "en"), ticks.films / "A.fr.srt")
    (ticks.films / "A.mkv").rename(ticks.films / "B.mkv")
    (ticks.films / "A.en.srt").rename(ticks.films / "B.en.srt")
    for _ in range(3):
        ticks.tick()
    assert read == ["A.mkv"]


@pytest.mark.parametrize("content", ["half", "empty", "zeros", "none"])
def test_a_film_that_is_not_whole_yet_goes_on_by_itself(ticks: Ticks, film: Path, content: str):
    path = put(film, ticks.films / "A.mkv")
    whole = path.read_bytes()
    begun = {"half": whole[:300], "empty": b"", "zeros": bytes(5_000)}
    path.write_bytes(begun.get(content, b""))
    if content == "none":
        path.unlink()
    tell(ticks, path)
    for _ in range(3):
        waits = ticks.tick(webhook_inbox)
        assert requested(waits) == []
        assert "A.mkv" in str(waits.skip_reason)
    path.write_bytes(whole)
    assert names(ticks.tick(webhook_inbox), ticks) == ["A.mkv"]
    ticks.tick(webhook_inbox)
    assert Inbox(ticks.work_dir).names() == []


def test_a_film_without_subtitles_waits_for_them_and_is_given_up_in_time(
    ticks: Ticks, film: Path, capfd: pytest.CaptureFixture[str]
):
    for name in ("A", "B"):
        tell(ticks, put(film, ticks.films / name / f"{name}.mkv", ord(name), subtitles=False))
    assert requested(ticks.tick(webhook_inbox)) == []
    (ticks.films / "A" / "Subs").mkdir()
    shutil.copy(sidecar(film, "en"), ticks.films / "A" / "Subs" / "2_English.srt")
    assert names(ticks.tick(webhook_inbox), ticks) == ["A.mkv"]
    assert len(Inbox(ticks.work_dir).names()) == 2
    ticks.tables["webhooks"] = {"wait_hours": 0}
    ticks.tick(webhook_inbox)
    assert "it waited 0 hours" in capfd.readouterr().err
    ticks.tick(webhook_inbox)
    assert Inbox(ticks.work_dir).names() == []


def test_a_film_that_grew_after_it_was_taken_is_taken_again(ticks: Ticks, film: Path):
    path = put(film, ticks.films / "A.mkv", 1)
    tell(ticks, path)
    ((first, _),) = requested(ticks.tick(webhook_inbox))
    put(film, path, 2)
    ((second, _),) = requested(ticks.tick(webhook_inbox))
    assert second != first
    assert requested(ticks.tick(webhook_inbox)) == []
    assert Inbox(ticks.work_dir).names() == []


def test_an_upgrade_under_another_name_inherits_lines_corrections_and_tags(
    ticks: Ticks, film: Path
):
    old = put(film, ticks.films / "F" / "F WEBDL-720p.mkv", 1)
    tell(ticks, old, tags=("mine",))
    ((key, _),) = requested(ticks.tick(webhook_inbox))
    work = load_video(str(key), ticks.work_dir).work(ticks.work_dir)
    work.journal.write_text("a line\n")
    work.edits.mkdir()
    (work.edits / "es.srt").write_text("a person's")
    old.unlink()
    unknown = str(ticks.films / "F" / "F CAM.mkv")
    tell(ticks, put(film, ticks.films / "F" / "F Bluray.mkv", 2), (unknown, str(old)))
    ((better, _),) = requested(ticks.tick(webhook_inbox))
    video = load_video(str(better), ticks.work_dir)
    assert superseded_by(video, ticks.work_dir) == (key,)
    assert video.tags == ("mine",)
    assert video.work(ticks.work_dir).journal.read_text() == "a line\n"
    assert (video.work(ticks.work_dir).edits / "es.srt").read_text() == "a person's"


def test_tags_choose_the_languages_and_the_folder_does_not_undo_it(ticks: Ticks, film: Path):
    ticks.tables["language_profiles.catalan"] = {"target_langs": ["ca"]}
    ticks.tables["language_profiles.french"] = {"target_langs": ["fr", "ca"]}
    ticks.tables["libraries.films.tag_languages"] = {"Dub-CA": "catalan", "dub-fr": "french"}
    path = put(film, ticks.films / "A.mkv")
    for language in ("ca", "fr"):
        shutil.copy(sidecar(film, "en"), sidecar(path, language))
    expected = {("dub-ca", "other"): ("ca",), ("dub-fr", "dub-ca"): ("ca", "fr"), ("x",): ("es",)}
    for tags, languages in expected.items():
        tell(ticks, path, tags=tags)
        ticks.tick(webhook_inbox)
        ticks.cursor = None
        for _ in range(2):
            ticks.tick()
        ticks.cursor = None
        (key,) = registered(ticks.work_dir)
        assert load_video(key, ticks.work_dir).target_langs == languages


def test_a_title_is_found_in_the_libraries_or_waits(ticks: Ticks, film: Path):
    put(film, ticks.films / "Alien (1979)" / "Alien.1979.mkv", 1)
    put(film, ticks.films / "Alien Resurrection (1997)" / "film.mkv", 2)
    put(film, ticks.films / "Show" / "Season 1" / "Show - S01E01-E02 - A.mkv", 3)
    inbox = Inbox(ticks.work_dir)
    inbox.put("", TitleEvent("Alien", 1979))
    assert names(ticks.tick(webhook_inbox), ticks) == ["Alien.1979.mkv"]
    inbox.put("", TitleEvent("Show", None, 1, 2))
    inbox.put("", TitleEvent("Not here", 2020))
    shown = ticks.tick(webhook_inbox)
    assert names(shown, ticks) == ["Show - S01E01-E02 - A.mkv"]
    assert "no film of this title" in str(ticks.tick(webhook_inbox).skip_reason)
    assert len(inbox.names()) == 1


def test_accents_of_a_path_may_be_written_either_way(ticks: Ticks, film: Path):
    put(film, ticks.films / "Ame\u0301lie" / "Ame\u0301lie.mkv")
    tell(ticks, ticks.films / "Am\u00e9lie" / "Am\u00e9lie.mkv")
    assert names(ticks.tick(webhook_inbox), ticks) == ["Ame\u0301lie.mkv"]


def test_of_nested_libraries_the_deepest_owns_a_film(ticks: Ticks, film: Path):
    kids = {"path": str(ticks.films / "kids"), "target_langs": ["ca"]}
    ticks.tables["libraries.kids"] = kids
    path = put(film, ticks.films / "kids" / "A.mkv")
    shutil.copy(sidecar(film, "en"), sidecar(path, "ca"))
    tell(ticks, path)
    ticks.tick(webhook_inbox)
    ticks.cursor = None
    assert sum(len(requested(ticks.tick())) for _ in range(3)) == 1
    (key,) = registered(ticks.work_dir)
    video = load_video(key, ticks.work_dir)
    assert (video.library, video.target_langs) == ("kids", ("ca",))


def test_a_plan_that_takes_long_holds_up_no_tick(
    ticks: Ticks, film: Path, monkeypatch: pytest.MonkeyPatch
):
    put(film, ticks.films / "A.mkv")
    monkeypatch.setattr(sensors, "_PLANNING_S", 0.1)
    ended = threading.Event()
    monkeypatch.setattr(sensors, "plan", lambda *_: ended.wait(60))
    try:
        ticks.tick()
        assert names(ticks.tick(), ticks) == ["A.mkv"], "the run finds out"
    finally:
        ended.set()
