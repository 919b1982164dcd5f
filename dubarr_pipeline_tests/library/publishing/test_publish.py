"""A library's wish is fulfilled, whatever was published before: no film is there twice."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from dubarr_pipeline.errors import ArtifactError, SettingsError
from dubarr_pipeline.library.housekeeping import note_absences, removals, remove
from dubarr_pipeline.library.publishing import files
from dubarr_pipeline.library.publishing.publish import (
    fulfil_wish,
    publishing_fault,
    take_back,
)
from dubarr_pipeline.library.publishing.records import read_publication, record
from dubarr_pipeline.library.releases import release_title
from dubarr_pipeline.library.videos import (
    Video,
    load_video,
    make_video,
    save_video,
    superseded_by,
)
from dubarr_pipeline.workdir import checkpoints
from dubarr_pipeline_tests.fixtures.bench import Film, make_film
from dubarr_pipeline_tests.fixtures.published_films import PLACES, WISHES, Shelf, publish_video

DAY_S = 86_400.0


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("film") / "film.mkv", Film(length_s=5.0))


@pytest.fixture
def shelf(film: Path, tmp_path: Path) -> Shelf:
    MemoryFileSystem.store.clear()
    return Shelf(film, tmp_path)


def published(shelf: Shelf, mode: str, name: str) -> bytes:
    """What lies where a film of this name belongs."""
    place = PLACES[mode].format(name)
    if mode == "store":
        return MemoryFileSystem().cat_file(place)
    return (shelf.root / place).read_bytes()


def finished(shelf: Shelf, video: Video) -> bytes:
    work = video.work(shelf.settings.work_dir)
    (made,) = [p for p in checkpoints.recorded_files(work, "mux") if p.suffix != ".json"]
    return made.read_bytes()


@pytest.mark.parametrize("mode", WISHES)
def test_every_mode_comes_to_its_end_and_back(shelf: Shelf, mode: str):
    shelf.wish = WISHES[mode]
    video = shelf.publish("Show/E1.mkv")
    assert published(shelf, mode, "E1") == finished(shelf, video)
    assert publishing_fault(video, shelf.settings) is None
    again = fulfil_wish(video, shelf.settings)
    assert again.publication == read_publication(video.work(shelf.settings.work_dir))
    take_back(video, shelf.settings.work_dir, by_person=True)
    assert shelf.names() == ["films/Show/E1.mkv"]
    assert MemoryFileSystem.store == {}
    video = load_video(video.key, shelf.settings.work_dir)
    assert fulfil_wish(video, shelf.settings).reason == "it was taken back by `dubarr restore`"
    assert publishing_fault(video, shelf.settings) is None
    with pytest.raises(ArtifactError, match="was not published"):
        take_back(video, shelf.settings.work_dir)
    publish_video(video, shelf.settings)
    assert published(shelf, mode, "E1") == finished(shelf, video)


@pytest.mark.parametrize("mode", WISHES)
@pytest.mark.parametrize("name", ["Show S01E01 720p", "Show S01E01 1080p"])
def test_a_better_release_takes_the_place_of_the_old_one(shelf: Shelf, mode: str, name: str):
    shelf.wish = WISHES[mode]
    old = shelf.publish("Show/Show S01E01 720p.mkv")
    if name != "Show S01E01 720p":
        (shelf.folder / "Show/Show S01E01 720p.mkv").unlink()
    new = shelf.publish(f"Show/{name}.mkv", release=2)
    assert new.key != old.key
    assert superseded_by(new, shelf.settings.work_dir) == (old.key,)
    assert published(shelf, mode, name) == finished(shelf, new)
    shown = [each for each in shelf.names() if "originals" not in each]
    expected = {f"films/Show/{name}.mkv", PLACES[mode].format(name)}
    assert set(shown) == {each for each in expected if not each.startswith("/")}
    assert len(MemoryFileSystem.store) == (mode == "store")
    assert publishing_fault(old, shelf.settings) is None
    assert fulfil_wish(old, shelf.settings).reason == "a better release took its place"
    # What it superseded goes by its date, and the new one stays.
    later_s = time.time() + 400 * DAY_S
    note_absences(shelf.settings, time.time())
    for _ in range(2):
        for due in list(removals(shelf.settings, later_s)):
            remove(due, shelf.settings, later_s)
        note_absences(shelf.settings, time.time())
    assert not old.work(shelf.settings.work_dir).video.exists()
    assert published(shelf, mode, name) == finished(shelf, new)


@pytest.mark.parametrize("before", WISHES)
@pytest.mark.parametrize("after", WISHES)
def test_another_mode_takes_back_what_was_published_before(shelf: Shelf, before: str, after: str):
    shelf.wish = WISHES[before]
    video = shelf.publish("Show/E1.mkv")
    shelf.wish = WISHES[after]
    if "sidecar" in (before, after) and before != after:
        with pytest.raises((SettingsError, ArtifactError), match=r"needs mux.container|as one MKV"):
            publish_video(load_video(video.key, shelf.settings.work_dir), shelf.settings)
        video = load_video(video.key, shelf.settings.work_dir)
        shelf.finish(video.source)
    publish_video(load_video(video.key, shelf.settings.work_dir), shelf.settings)
    video = load_video(video.key, shelf.settings.work_dir)
    assert published(shelf, after, "E1") == finished(shelf, video)
    shown = {each for each in shelf.names() if "originals" not in each}
    assert shown == {"films/Show/E1.mkv", PLACES[after].format("E1")} - {
        PLACES["store"].format("E1")
    }
    assert len(MemoryFileSystem.store) == (after == "store")
    shelf.wish = {"mode": "none"}
    assert publishing_fault(video, shelf.settings) == "what was published is still to be taken back"
    assert fulfil_wish(video, shelf.settings).publication is None
    assert shelf.names() == ["films/Show/E1.mkv"]
    assert publishing_fault(video, shelf.settings) is None


def test_a_renamed_film_is_renamed_and_not_copied(shelf: Shelf):
    video = shelf.publish("Show/S01E01 - TBA.mkv")
    old = shelf.folder / "Show/S01E01 - TBA - dubbed.mkv"
    inode = old.stat().st_ino
    pilot = (shelf.folder / "Show/S01E01 - TBA.mkv").rename(
        shelf.folder / "Show/S01E01 - Pilot.mkv"
    )
    video = make_video(
        pilot, shelf.settings.work_dir, target_langs=("es",), profile="lite", library="films"
    )
    save_video(video, shelf.settings.work_dir)
    assert publishing_fault(video, shelf.settings) == "not published yet"
    publish_video(video, shelf.settings)
    assert shelf.names() == [f"films/Show/S01E01 - Pilot{end}.mkv" for end in (" - dubbed", "")]
    assert pilot.with_name("S01E01 - Pilot - dubbed.mkv").stat().st_ino == inode


def test_another_label_and_what_a_kill_left_of_the_way_to_it(shelf: Shelf):
    video = shelf.publish("F.mkv")
    before = read_publication(video.work(shelf.settings.work_dir))
    shelf.wish = {"mode": "beside", "label": " [dub]"}
    found = publish_video(video, shelf.settings)
    assert shelf.names() == ["films/F [dub].mkv", "films/F.mkv"]
    # Killed between the record and the removal.
    assert before
    shutil.copy(shelf.folder / "F [dub].mkv", shelf.folder / "F - dubbed.mkv")
    record(video.work(shelf.settings.work_dir), found.in_place_of(before))
    assert fulfil_wish(video, shelf.settings).publication
    assert shelf.names() == ["films/F [dub].mkv", "films/F.mkv"]


def test_what_a_person_changed_is_never_removed(shelf: Shelf):
    video = shelf.publish("F.mkv")
    (shelf.folder / "F - dubbed.mkv").write_bytes(b"of a person")
    assert publishing_fault(video, shelf.settings) is not None
    shelf.wish = {"mode": "beside", "label": " [dub]"}
    publish_video(video, shelf.settings)
    assert (shelf.folder / "F - dubbed.mkv").read_bytes() == b"of a person"


def test_two_films_of_one_name_do_not_take_turns(shelf: Shelf):
    shelf.publish("F.mkv")
    with pytest.raises(SettingsError, match=r"is the dub of 'F\.mkv'"):
        shelf.publish("F.mp4", release=2)
    assert "films/F - dubbed.mkv" in shelf.names()


def test_rights_are_those_of_the_film_and_its_folder(shelf: Shelf):
    shelf.wish = WISHES["tree"]
    film = shelf.put("Show/F.mkv")
    film.chmod(0o664)
    film.parent.chmod(0o775)
    umask = os.umask(0o077)
    try:
        publish_video(shelf.finish(film), shelf.settings)
    finally:
        os.umask(umask)
    placed = shelf.root / "out/Show/F.mkv"
    assert placed.stat().st_mode & 0o777 == 0o664
    assert placed.parent.stat().st_mode & 0o777 == 0o775
    assert placed.stat().st_gid == film.stat().st_gid


@pytest.mark.parametrize("mode", ["beside", "sidecar", "replace"])
def test_a_folder_that_leads_out_is_refused_before_the_work_and_after_it(shelf: Shelf, mode: str):
    shelf.wish = WISHES[mode]
    outside = shelf.root / "disk2"
    outside.mkdir()
    shelf.folder.mkdir()
    (shelf.folder / "Show").symlink_to(outside)
    film, options = shelf.put("Show/E1.mkv"), shelf.settings.library("films").publish
    with pytest.raises(SettingsError, match="leads out of"):
        files.check_destination(film, ("es",), shelf.folder, options, shelf.settings.work_dir)
    with pytest.raises(SettingsError, match="leads out of"):
        publish_video(shelf.finish(film), shelf.settings)
    assert [path.name for path in outside.iterdir()] == ["E1.mkv"]


def test_an_original_does_not_take_the_place_of_a_better_release(shelf: Shelf):
    shelf.wish = WISHES["replace"]
    video = shelf.publish("F.mkv")
    better = shelf.put("F.mkv", release=2)
    with pytest.raises(SettingsError, match="was not written by dubarr"):
        take_back(video, shelf.settings.work_dir)
    assert better.read_bytes()[-1] == 2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Show - S01E01 - Pilot [WEBDL-720p]", "show.s01e01.1080p.bluray", True),
        ("Show - S01E01 - TBA [WEBDL-720p]", "Show - S01E01 - Pilot [Bluray-1080p]", True),
        ("Show - S01E01 - Pilot", "Show - S01E02 - Pilot", False),
        ("S01E01 - TBA", "S01E01 - Pilot", True),
        ("Film (2010) WEBDL-720p", "Film.2010.Bluray-1080p", True),
        ("Film (2010) WEBDL-720p", "Film (2011) WEBDL-720p", False),
        ("Blade Runner 2049 (2017) 720p", "Blade Runner 2049 (2017) 2160p", True),
        ("2012 (2009) 720p", "2012 (2010) 720p", False),
    ],
)
def test_releases_are_told_by_title_and_year_or_code(one: str, other: str, same: bool):
    assert (release_title(one) == release_title(other)) is same
    assert release_title("a clip") is None


@pytest.mark.parametrize("mode", ["replace", "beside", "tree"])
def test_what_another_program_renamed_is_not_published_a_second_time(shelf: Shelf, mode: str):
    shelf.wish = WISHES[mode]
    video = shelf.publish("Show/E1.mkv")
    place = shelf.root / PLACES[mode].format("E1")
    place.rename(place.with_name("E1 renamed.mkv"))
    if mode == "replace":
        assert publishing_fault(video, shelf.settings) is None
    fulfil_wish(video, shelf.settings)
    shown = [each for each in shelf.names() if "originals" not in each]
    assert len(shown) == (1 if mode == "replace" else 2), shown
    # A new result goes where the old one lies by now.
    shelf.finish_again(video)
    fulfil_wish(load_video(video.key, shelf.settings.work_dir), shelf.settings)
    assert [each for each in shelf.names() if "originals" not in each] == shown
    assert len(shelf.names()) == 2
    take_back(load_video(video.key, shelf.settings.work_dir), shelf.settings.work_dir)
    name = "E1 renamed" if mode == "replace" else "E1"
    assert shelf.names() == [f"films/Show/{name}.mkv"]
