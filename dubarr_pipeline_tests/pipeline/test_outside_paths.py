"""No key, manifest, message or link leads out of the folder that it belongs to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dubarr_pipeline.config.libraries import Library
from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline.errors import ArtifactError, RequestRefused, SettingsError
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.library.scan import left_out
from dubarr_pipeline.library.videos import (
    Video,
    last_at,
    load_video,
    make_video,
    registered,
    save_video,
)
from dubarr_pipeline.library.webhooks.inbox import Inbox, WebhookIntake
from dubarr_pipeline.library.webhooks.payloads import FileEvent
from dubarr_pipeline.workdir import checkpoints
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures.bench import Bench

KEYS = (
    "",
    ".",
    "..",
    "../..",
    "../../etc",
    "../elsewhere/film-01234567",
    "/etc",
    "film-01234567/../../elsewhere/film-01234567",
    "film-01234567\n",
    "film-01234567\0",
    "FILM-01234567",
    "film-0123456g",
    "film" * 40 + "-01234567",
    "film-٠١٢٣٤٥٦٧",
    "\ud800-01234567",
)
"""Dagster takes any text for a partition, also from its UI."""


@pytest.fixture
def video(tmp_path: Path) -> Video:
    """A video that is registered in ``work``, and its double in ``elsewhere``."""
    source = tmp_path / "film.mkv"
    source.write_bytes(b"film")
    for folder in ("work", "elsewhere"):
        found = make_video(source, tmp_path / folder, target_langs=("es",), profile="lite")
        save_video(found, tmp_path / folder)
    return make_video(source, tmp_path / "work", target_langs=("es",), profile="lite")


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_a_partition_is_never_a_path(video: Video, tmp_path: Path, key: str):
    with pytest.raises(ArtifactError, match="no video"):
        load_video(key, tmp_path / "work")


def test_the_same_video_is_not_read_through_another_folder(video: Video, tmp_path: Path):
    assert load_video(video.key, tmp_path / "work").key == video.key
    with pytest.raises(ArtifactError, match="no video"):
        load_video(f"../elsewhere/{video.key}", tmp_path / "work")


def test_a_folder_that_is_no_key_is_no_video(video: Video, tmp_path: Path):
    write_json(tmp_path / "work" / "Not a key" / "video.json", {})
    assert list(registered(tmp_path / "work")) == [video.key]


def test_a_request_under_another_videos_name_is_damaged(video: Video, tmp_path: Path):
    path = video.work(tmp_path / "work").video
    document = read_json(path)
    write_json(path, {**document, "key": "../../etc"})
    with pytest.raises(ArtifactError, match="not the request of"):
        load_video(video.key, tmp_path / "work")


def test_the_note_of_a_source_leads_nowhere_else(video: Video, tmp_path: Path):
    (note,) = (tmp_path / "work" / ".sources").iterdir()
    note.write_bytes(f"../elsewhere/{video.key}\xff".encode("latin-1"))
    assert last_at(video.source, tmp_path / "work") is None


@pytest.mark.parametrize("name", ["..", "../..", "../elsewhere", "/etc", "", "fil\0m"])
def test_purge_takes_no_path(video: Video, tmp_path: Path, name: str):
    bench = Bench(tmp_path / "work")
    answer = bench.run("purge", name) if name.isprintable() and name else None
    assert answer is None or answer.code != 0
    with pytest.raises(ArtifactError):
        load_video(name, tmp_path / "work")
    assert (tmp_path / "elsewhere" / video.key / "video.json").is_file()


@pytest.mark.parametrize("name", ["../kept.txt", "/kept.txt", "", ".", "a/../../kept.txt", "a\0b"])
def test_a_manifest_removes_nothing_outside(tmp_path: Path, name: str):
    work = WorkDir(tmp_path / "work")
    kept = tmp_path / "kept.txt"
    kept.write_text("kept")
    named = name.replace("/kept", str(kept)[:-8] + "/kept") if name.startswith("/") else name
    write_json(work.checkpoints / "mux.json", {"files": {named: {}}})
    assert checkpoints.forget(work, "mux") == []
    assert checkpoints.recorded_files(work, "mux") == []
    assert kept.read_text() == "kept"


def test_removing_a_work_folder_follows_no_link(tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "film.mkv").write_text("film")
    work = WorkDir(tmp_path / "work")
    work.root.mkdir()
    (work.root / "linked").symlink_to(outside)
    (work.root / "file").symlink_to(outside / "film.mkv")
    work.remove()
    assert not work.root.exists()
    assert (outside / "film.mkv").read_text() == "film"


TRICKS = (
    "/movies/../../etc/passwd",
    "/movies/link/film.mkv",
    "/movies/link/../film.mkv/../../outside/film.mkv",
    "/movies//../outside/film.mkv",
    "/movies",
    "/movies-other/film.mkv",
    "/moviesfilm.mkv",
    "movies/film.mkv",
    "C:\\movies\\film.mkv",
    "\\\\host\\movies\\film.mkv",
    "file:///movies/film.mkv",
    "/MOVIES/film.mkv",
    "/movies/\uff0e\uff0e/film.mkv/../../x.mkv",
    "/movies/" + "x" * 256 + ".mkv",
    "/movies/" + "é" * 128 + ".mkv",
    "/movies/" + "x/" * 2100 + "x.mkv",
    "/movies/\ud800.mkv",
    "/movies/loop/film.mkv/../../../outside/film.mkv",
)


@pytest.mark.parametrize("path", TRICKS, ids=lambda path: ascii(path[:40]))
def test_a_webhook_names_nothing_outside_a_library(tmp_path: Path, path: str):
    root, outside = tmp_path / "films", tmp_path / "outside"
    for folder in (root, outside):
        folder.mkdir()
        (folder / "film.mkv").write_text("film")
    (root / "link").symlink_to(outside)
    (root / "loop").symlink_to(root / "loop")
    (tmp_path / "dubarr.toml").write_text(
        f'[libraries.films]\npath = "{root}"\ntarget_langs = ["es"]\n'
        f'path_mappings = {{ "/movies" = "{root}" }}\n'
    )
    settings = load_settings(tmp_path / "dubarr.toml", tmp_path / "work")
    intake = WebhookIntake(settings)
    refused: RequestRefused | None = None
    try:
        intake.take("generic", json.dumps({"paths": [path]}).encode())
    except RequestRefused as refusal:
        refused = refusal
    inbox = Inbox(settings.work_dir)
    told = [Path(inbox.read(name).event.path) for name in inbox.names()]
    if refused:
        assert (refused.status, told) == (422, [])
        assert len(str(refused)) < 400
        return
    assert told[0].resolve().is_relative_to(root)
    assert left_out(settings.library("films"), told[0]) is not None


def test_a_former_name_outside_the_library_is_forgotten(tmp_path: Path):
    (tmp_path / "films").mkdir()
    (tmp_path / "dubarr.toml").write_text(
        f'[libraries.films]\npath = "{tmp_path}/films"\ntarget_langs = ["es"]\n'
    )
    settings = load_settings(tmp_path / "dubarr.toml", tmp_path / "work")
    intake = WebhookIntake(settings)
    new = {"event": "renamed", "path": f"{tmp_path}/films/a.mkv", "previous": "/etc/passwd"}
    intake.take("generic", json.dumps(new).encode())
    inbox = Inbox(settings.work_dir)
    assert [inbox.read(n).event for n in inbox.names()] == [
        FileEvent("renamed", f"{tmp_path}/films/a.mkv")
    ]


@pytest.mark.parametrize(
    "document",
    [
        {"library": "films", "received_s": 1, "event": {"kind": "arrived", "path": 3}},
        {"library": "films", "received_s": 1, "event": {"kind": "run", "path": "/x"}},
        {"library": "films", "received_s": [], "event": {"kind": "arrived", "path": "/x"}},
        {"library": "films", "event": {"kind": "arrived", "path": "/x"}},
        {"library": "films", "received_s": 1, "event": []},
    ],
)
def test_a_message_that_we_did_not_write_is_named_damaged(
    tmp_path: Path, document: dict[str, object]
):
    inbox = Inbox(tmp_path)
    write_json(inbox.folder / "1-a.json", document)
    with pytest.raises(ArtifactError, match="damaged"):
        inbox.read("1-a.json")


def test_nested_documents_are_named_damaged(tmp_path: Path):
    path = tmp_path / "deep.json"
    path.write_text('{"a":' * 100_000)
    with pytest.raises(ArtifactError, match="damaged"):
        read_json(path)


def test_a_library_is_no_more_than_its_folder(tmp_path: Path):
    root = tmp_path / "films"
    root.mkdir()
    (tmp_path / "films-private").mkdir()
    library = Library(root, ("es",))
    assert library.holds(root / "a" / ".." / "b.mkv")
    for path in ("../films-private/a.mkv", "../films/../a.mkv", "a/../../films-private/x.mkv"):
        assert not library.holds(root / path)
    with pytest.raises((ValueError, SettingsError)):
        Library(Path("films"), ("es",))
