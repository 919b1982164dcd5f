"""Finished films over S3's own protocol: a real server, a real client, and a wire that breaks."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
import httpx
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from dubarr_pipeline.config.libraries import PublishOptions
from dubarr_pipeline.errors import DubbingError, ServiceUnavailable, SettingsError
from dubarr_pipeline.files import write_json
from dubarr_pipeline.library.failures import may_pass
from dubarr_pipeline.library.publishing.object_store import publish_objects, withdraw
from dubarr_pipeline.library.publishing.records import Publication, read_publication
from dubarr_pipeline.library.videos import Video, make_video, save_video
from dubarr_pipeline.media.container.probe import probe_video
from dubarr_pipeline.workdir import checkpoints
from dubarr_pipeline.workdir.checkpoints import Wanted

SECRET = "S3CRETT0KEN-of-some-length"
PART_BYTES = 5 << 20
"""The least that S3 takes; s3fs's own is ten times that, and a film has at least two."""
LARGE_BYTES = 12 << 20


@dataclass
class Wire:
    """A TCP relay before the server: it can be slow, and it can break for good."""

    target: tuple[str, int]
    delay_s: float = 0.0
    budget_bytes: float = float("inf")
    _open: set[socket.socket] = field(default_factory=set[socket.socket])

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.budget_bytes = 0
        for each in (self._listener, *self._open):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection(self.target)
            except OSError:
                return
            for ends in ((ours, theirs, True), (theirs, ours, False)):
                threading.Thread(target=self._relay, args=ends, daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        self._open.add(source)
        try:
            while self.budget_bytes > 0 and (block := source.recv(1 << 16)):
                if counted:
                    self.budget_bytes -= len(block)
                else:
                    time.sleep(self.delay_s)
                sink.sendall(block)
        except OSError:
            pass
        for each in (source, sink):
            each.close()
            self._open.discard(each)


@dataclass
class Shop:
    """A library with a finished film, and a bucket to put it into."""

    client: Any
    server: str
    work_dir: Path
    root: Path
    monkeypatch: pytest.MonkeyPatch

    def film(self, name: str | bytes, content: bytes | Path = b"a dubbed film") -> Video:
        source = self.root / os.fsdecode(name)
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(b"a film")
        video = make_video(source, self.work_dir, target_langs=("es",), profile="lite")
        save_video(video, self.work_dir)
        return self.finish(video, content)

    def finish(self, video: Video, content: bytes | Path) -> Video:
        work = video.work(self.work_dir)
        if isinstance(content, Path):
            work.muxed.unlink(missing_ok=True)
            os.link(content, work.muxed)
        else:
            work.muxed.write_bytes(content)
        write_json(work.mux_report, {})
        checkpoints.write_record(work, "mux", Wanted("f"), {}, [work.muxed, work.mux_report])
        return video

    def publish(self, video: Video, url: str = "s3://shelf/films") -> Publication:
        return publish_objects(video, self.root, self.work_dir, PublishOptions("tree", url=url))

    def fails(self, video: Video, url: str = "s3://shelf/films") -> DubbingError:
        with pytest.raises(DubbingError) as failure:
            self.publish(video, url)
        assert read_publication(video.work(self.work_dir)) is None
        assert SECRET not in str(failure.value)
        return failure.value

    def at(self, endpoint: str) -> None:
        """Let the pipeline see the store there."""
        self.monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        s3fs.S3FileSystem.clear_instance_cache()

    def held(self) -> dict[str, int]:
        """What lies in the bucket, by key, with its size in bytes."""
        listed = self.client.call_s3("list_objects_v2", Bucket="shelf").get("Contents", ())
        return {each["Key"]: each["Size"] for each in listed}

    def half_uploads(self) -> list[str]:
        listed = self.client.call_s3("list_multipart_uploads", Bucket="shelf")
        return [each["Key"] for each in listed.get("Uploads", ())]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def shop(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    # The driver tries five times, with pauses; two show as much.
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 2)
    monkeypatch.setattr(s3fs.core, "calculate_chunksize", lambda *_, **__: PART_BYTES)
    httpx.post(f"{server}/moto-api/reset").raise_for_status()
    client = s3fs.S3FileSystem(endpoint_url=server, use_listings_cache=False)
    client.mkdir("shelf")
    shop = Shop(client, server, tmp_path / "work", tmp_path / "library", monkeypatch)
    shop.at(server)
    yield shop
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def wire(shop: Shop) -> Iterator[Wire]:
    host, _, port = shop.server.removeprefix("http://").partition(":")
    wire = Wire((host, int(port)))
    shop.at(wire.url)
    yield wire
    wire.close()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "film.mkv"
    with path.open("wb") as file:
        file.truncate(LARGE_BYTES)
        file.seek(LARGE_BYTES // 2)
        file.write(b"the middle of a film")
    return path


def test_a_real_film_is_stored_once_and_plays(shop: Shop, wire: Wire, tmp_path: Path):
    made = tmp_path / "made.mkv"
    sound = "sine=440:duration=2"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x36:duration=2"]
    command += ["-f", "lavfi", "-i", sound, "-map", "0", "-map", "1", "-map", "1"]
    command += ["-metadata:s:a:1", "language=spa", "-c:a", "flac", "-c:v", "mpeg4", str(made)]
    subprocess.run(command, check=True)
    video = shop.film("Film/film.mp4", made)
    found = shop.publish(video)
    assert shop.held() == {"films/Film/film.mkv": made.stat().st_size}
    back = tmp_path / "back.mkv"
    shop.client.get_file("shelf/films/Film/film.mkv", str(back))
    assert back.read_bytes() == made.read_bytes()
    assert [track.language for track in probe_video(back).audio][1:] in (["es"], ["spa"])

    wire.budget_bytes = sent = 64 << 10
    assert shop.publish(video) == found
    assert sent - wire.budget_bytes < made.stat().st_size, "it was not sent again"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Film [1999]/film [1].mp4", "Film [1999]/film [1].mkv"),
        ("100 %/what? #1 + é 🎬 'x' & \"y\" *.mp4", "100 %/what? #1 + é 🎬 'x' & \"y\" *.mkv"),
        ("You Can :: Not {Redo}%20%2F.mp4", "You Can :: Not {Redo}%20%2F.mkv"),
        (b"caf\xe9.mp4", "caf\\udce9.mkv"),
    ],
)
def test_any_name_of_a_film_is_a_key(shop: Shop, name: str | bytes, key: str):
    video = shop.film(name)
    (stored,) = shop.publish(video).objects
    assert list(shop.held()) == [f"films/{key}"]
    assert read_publication(video.work(shop.work_dir)) == shop.publish(video)
    withdraw(stored)
    assert shop.held() == {}


def test_a_wire_that_breaks_in_a_large_film_leaves_the_old_one(
    shop: Shop, wire: Wire, large: Path, monkeypatch: pytest.MonkeyPatch
):
    video = shop.film("film.mp4", b"the old one")
    shop.publish(video)
    shop.finish(video, large)
    wire.budget_bytes = LARGE_BYTES * 0.7
    with pytest.raises(ServiceUnavailable, match=r"s3://shelf/films/film\.mkv is not writable"):
        shop.publish(video)
    assert shop.held() == {"films/film.mkv": len(b"the old one")}
    assert shop.half_uploads() != [], "nobody could take it back"

    monkeypatch.setattr(s3fs.core, "MANAGED_COPY_THRESHOLD", LARGE_BYTES // 2)
    shop.at(shop.server)
    (stored,) = shop.publish(video).objects
    assert shop.held() == {"films/film.mkv": LARGE_BYTES}
    assert shop.half_uploads() == []
    assert stored.size == LARGE_BYTES


def test_a_copy_inside_the_store_that_breaks_leaves_no_parts(
    shop: Shop, large: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(s3fs.core, "MANAGED_COPY_THRESHOLD", LARGE_BYTES // 2)
    call = s3fs.S3FileSystem._call_s3

    async def refuse(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if method == "complete_multipart_upload" and kwargs["Key"].endswith("film.mkv"):
            raise OSError("the store is busy")
        return await call(self, method, *args, **kwargs)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", refuse)
    error = shop.fails(shop.film("film.mp4", large))
    assert isinstance(error, ServiceUnavailable)
    assert shop.held() == {}
    assert shop.half_uploads() == []


def test_a_store_that_takes_its_time_is_waited_for(shop: Shop, wire: Wire, monkeypatch):
    monkeypatch.setattr(s3fs.S3FileSystem, "read_timeout", 0.1)
    wire.delay_s = 0.15
    assert shop.publish(shop.film("film.mp4")).objects


def test_a_missing_bucket_is_named_and_not_made(shop: Shop):
    error = shop.fails(shop.film("film.mp4"), "s3://shelv/films")
    assert isinstance(error, SettingsError)
    assert "s3://shelv/films/film.mkv" in str(error)
    assert "create the bucket" in str(error)
    assert shop.client.ls("") == ["shelf"]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "docs/storage.md"),
        ({"AWS_ACCESS_KEY_ID": ""}, "credentials"),
        ({"AWS_PROFILE": "no-such-profile"}, "no-such-profile"),
        ({"AWS_ENDPOINT_URL": "no address"}, "no address"),
        ({"AWS_DEFAULT_REGION": "no region"}, "no region"),
    ],
)
def test_keys_and_settings_that_are_wrong_are_named(shop: Shop, environment, said: str):
    for name, value in environment.items():
        shop.monkeypatch.setenv(name, value)
    if not environment.get("AWS_ACCESS_KEY_ID", "x"):
        shop.monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        shop.monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    video = shop.film("film.mp4")
    httpx.post(f"{shop.server}/moto-api/reset-auth", content="0").raise_for_status()
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        error = shop.fails(video)
    finally:
        httpx.post(f"{shop.server}/moto-api/reset-auth", content="inf").raise_for_status()
    assert isinstance(error, SettingsError)
    assert not may_pass(type(error).__name__)
    assert said in str(error)
    assert shop.held() == {}


def test_a_store_that_is_away_is_tried_again_later(shop: Shop, wire: Wire):
    wire.close()
    error = shop.fails(shop.film("film.mp4"))
    assert may_pass(type(error).__name__)
    assert wire.url in str(error)


def test_the_endpoint_may_stand_in_fsspecs_own_settings(shop: Shop, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": shop.server})
    s3fs.S3FileSystem.clear_instance_cache()
    shop.publish(shop.film("film.mp4"))
    assert list(shop.held()) == ["films/film.mkv"]
