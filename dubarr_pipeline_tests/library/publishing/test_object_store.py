"""Finished films in an object store: whole, or not there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from dubarr_pipeline.config.libraries import PublishOptions
from dubarr_pipeline.config.settings import parse_settings
from dubarr_pipeline.errors import (
    ArtifactError,
    MissingRequirement,
    ServiceUnavailable,
    SettingsError,
    VerificationError,
)
from dubarr_pipeline.files import write_json
from dubarr_pipeline.library.publishing.object_store import publish_objects, withdraw
from dubarr_pipeline.library.publishing.records import Publication, read_publication
from dubarr_pipeline.library.videos import Video, make_video, save_video
from dubarr_pipeline.workdir import checkpoints
from dubarr_pipeline.workdir.checkpoints import Wanted


@dataclass
class Finished:
    """A library with a film, and its finished work; bytes do for a film where none is opened."""

    root: Path
    work_dir: Path
    video: Video

    def finish(self, content: bytes) -> None:
        work = self.video.work(self.work_dir)
        work.muxed.write_bytes(content)
        write_json(work.mux_report, {})
        checkpoints.write_record(work, "mux", Wanted("f"), {}, [work.muxed, work.mux_report])

    def publish(self, url: str = "memory://shelf/films") -> Publication:
        options = PublishOptions("tree", url=url)
        return publish_objects(self.video, self.root, self.work_dir, options)


@pytest.fixture
def finished(tmp_path: Path) -> Finished:
    root, work_dir = tmp_path / "library", tmp_path / "work"
    source = root / "A film: 100 %" / "film [1].mp4"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"a film")
    video = make_video(source, work_dir, target_langs=("es",), profile="lite")
    save_video(video, work_dir)
    found = Finished(root, work_dir, video)
    found.finish(bytes(range(256)) * 100)
    return found


@pytest.fixture
def store() -> Iterator[MemoryFileSystem]:
    MemoryFileSystem.store.clear()
    yield MemoryFileSystem()
    MemoryFileSystem.store.clear()


def held(store: MemoryFileSystem) -> dict[str, bytes]:
    return {path: store.cat_file(path) for path in store.find("/")}


PLACE = "/shelf/films/A film: 100 %/film [1].mkv"


def test_a_film_is_stored_once_under_its_path(finished: Finished, store, monkeypatch):
    found = finished.publish()
    made = finished.video.work(finished.work_dir).muxed.read_bytes()
    assert held(store) == {PLACE: made}
    (stored,) = found.objects
    assert (stored.url, stored.size) == (f"memory:/{PLACE}", len(made))
    assert read_publication(finished.video.work(finished.work_dir)) == found
    monkeypatch.setattr(MemoryFileSystem, "put_file", None)
    assert finished.publish() == found


def test_a_film_that_is_made_anew_takes_the_place_of_the_old_one(finished: Finished, store):
    finished.publish()
    finished.finish(b"better")
    finished.publish()
    assert held(store) == {PLACE: b"better"}


def test_what_others_stored_there_stays(finished: Finished, store):
    store.pipe_file(PLACE, b"another's")
    with pytest.raises(SettingsError, match="not written by dubarr"):
        finished.publish()
    assert held(store) == {PLACE: b"another's"}


def test_after_a_kill_before_the_record_it_is_known_again(finished: Finished, store):
    finished.publish()
    (finished.video.work(finished.work_dir).root / "published.json").unlink()
    assert finished.publish().objects
    assert list(held(store)) == [PLACE]


def test_what_arrives_torn_or_changed_is_removed(finished: Finished, store, monkeypatch):
    def torn(self: MemoryFileSystem, lpath: str, rpath: str, **_: object) -> None:
        self.pipe_file(rpath, Path(lpath).read_bytes()[:-1] + b"?")

    monkeypatch.setattr(MemoryFileSystem, "put_file", torn)
    with pytest.raises(VerificationError, match="as it was sent"):
        finished.publish()
    assert held(store) == {}
    assert read_publication(finished.video.work(finished.work_dir)) is None


@pytest.mark.parametrize(
    ("failure", "ours"),
    [
        (PermissionError("access denied"), SettingsError),
        (FileNotFoundError("no such bucket"), SettingsError),
        (OSError("slow down"), ServiceUnavailable),
        (TimeoutError(), ServiceUnavailable),
    ],
)
def test_a_store_that_refuses_or_fails_is_named(
    finished: Finished, store, monkeypatch, failure: OSError, ours: type[Exception]
):
    def refuse(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(MemoryFileSystem, "put_file", refuse)
    with pytest.raises(ours, match=str(failure) or "TimeoutError"):
        finished.publish()
    assert held(store) == {}


def test_it_is_taken_back_unless_it_is_anothers(finished: Finished, store):
    (stored,) = finished.publish().objects
    store.pipe_file(PLACE, b"another's")
    withdraw(stored)
    assert held(store) == {PLACE: b"another's"}
    store.rm_file(PLACE)
    (stored,) = finished.publish().objects
    withdraw(stored)
    withdraw(stored)
    assert held(store) == {}


def test_a_folder_is_a_store_too(finished: Finished, tmp_path: Path):
    finished.publish(f"file://{tmp_path}/shelf")
    (stored,) = [path for path in (tmp_path / "shelf").rglob("*") if path.is_file()]
    assert stored == tmp_path / "shelf" / "A film: 100 %" / "film [1].mkv"


def test_what_is_missing_or_no_address_is_told(finished: Finished, store, monkeypatch):
    with pytest.raises(SettingsError, match=r"publish\.url"):
        finished.publish("nosuchstore://films")
    finished.video.work(finished.work_dir).muxed.unlink()
    with pytest.raises(ArtifactError, match="not finished"):
        finished.publish()

    def absent(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    finished.finish(b"film")
    monkeypatch.setattr(fsspec.core, "url_to_fs", absent)
    with pytest.raises(MissingRequirement, match="Install s3fs"):
        finished.publish()


@pytest.mark.parametrize(
    "publish",
    [
        {"mode": "tree"},
        {"mode": "tree", "url": "films"},
        {"mode": "beside", "url": "s3://f"},
        {"mode": "tree", "url": "sftp://me:S3CRET@nas/films"},
    ],
)
def test_settings_that_mean_nothing_are_refused(publish: dict[str, str], tmp_path: Path):
    library = {"path": str(tmp_path), "target_langs": ["es"], "publish": publish}
    with pytest.raises(SettingsError, match="url") as failure:
        parse_settings({"libraries": {"films": library}}, tmp_path)
    assert "S3CRET" not in str(failure.value)
