"""status, retry, purge, and what a terminal shows, on a finished tiny film."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline_tests.fixtures.bench import (
    DUBARR,
    Bench,
    Film,
    Said,
    artifacts,
    contents,
    make_film,
    stats,
)


@pytest.fixture(scope="module")
def other_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = (Said(0.2, "Good night, Tom.", 1.4),)
    return make_film(tmp_path_factory.mktemp("other") / "other.mkv", Film(lines, length_s=2))


def test_status_in_words_and_as_json(dubbed, tiny_film):
    words = dubbed.run("status").out
    key = dubbed.work.root.name
    assert f"DONE        {key}  → es, ca" in words
    (task,) = dubbed.status()
    assert (task["video"], task["status"], task["cause"]) == (key, "DONE", None)
    assert task["source"] == str(tiny_film)
    assert [step["stage"] for step in task["steps"]] == list(STAGE_NAMES)
    for step in task["steps"]:
        assert step["status"] == "DONE"
        assert step["seconds"] > 0
        assert step["stage"] in words
    results = {step["stage"]: step["results"] for step in task["steps"]}
    assert results["segments"]["lines"] == 4
    assert results["segments"]["placed"] == 4


@pytest.mark.parametrize("stage", ["vocals", "segments", "mux", "report"])
def test_purge_from_a_stage(dubbed, tiny_film, stage):
    before, files = contents(tiny_film.parent), artifacts(dubbed.work)
    going = STAGE_NAMES[STAGE_NAMES.index(stage) :]
    answer = dubbed.run("purge", dubbed.work.root.name, "--from", stage)
    assert answer.code == 0
    assert "the source is untouched" in answer.out
    assert {path.exists() for name in going for path in files[name]} == {False}
    staying = [path for name in STAGE_NAMES if name not in going for path in files[name]]
    assert all(path.exists() for path in staying)
    assert contents(tiny_film.parent) == before
    assert dubbed.status()[0]["status"] == "QUEUED"
    retried = dubbed.run("retry")
    assert retried.code == 0, retried.both
    assert dubbed.made() == going
    assert stats(dubbed.work)["spoken"] == 4


def test_purge_of_a_whole_video(dubbed, tiny_film, other_film):
    assert dubbed.dub(other_film).code == 0
    first, other = sorted(dubbed.works(), key=lambda work: "other" in work.root.name)
    before, neighbour = contents(tiny_film.parent), contents(other.root)
    answer = dubbed.run("purge", tiny_film)
    assert answer.code == 0
    assert not first.root.exists()
    assert contents(tiny_film.parent) == before
    assert contents(other.root) == neighbour
    assert [task["video"] for task in dubbed.status()] == [other.root.name]
    again = dubbed.run("purge", first.root.name)
    assert again.code == 2
    assert other.root.name in again.err


def test_purge_is_refused_for_what_it_does_not_know(dubbed):
    answer = dubbed.run("purge", "tiny", "--from", "mixx")
    assert answer.code == 2
    assert "vocals, diarization" in answer.err
    assert dubbed.status()[0]["status"] == "DONE"


def test_purge_keeps_a_persons_corrections(dubbed, tiny_film):
    edits = dubbed.work.edits / "es.json"
    edits.parent.mkdir()
    edits.write_text('{"lines": {"0": {"text": "Buenos días. Falta un bote."}}}')
    answer = dubbed.run("purge", "tiny")
    assert str(edits.parent) in answer.out
    assert edits.is_file()
    assert dubbed.status() == []
    assert dubbed.dub(tiny_film, "es").code == 0
    assert "Falta un bote" in next(dubbed.work.root.glob("*.es.srt")).read_text()


def test_retry_of_finished_and_unknown_videos(dubbed):
    done = dubbed.run("retry")
    assert (done.code, done.out) == (0, "nothing to retry: every video is done\n")
    unknown = dubbed.run("retry", "nobody")
    assert unknown.code == 2
    assert dubbed.work.root.name in unknown.err


def test_retry_of_a_video_whose_source_is_gone(film, bench):
    assert bench.dub(film).code == 0
    before = contents(bench.work.root)
    film.unlink()
    answer = bench.run("retry", bench.work.root.name)
    assert answer.code == 4
    assert str(film) in answer.err
    now = contents(bench.work.root)
    assert {**now, "video.json": b""} == {**before, "video.json": b""}
    assert bench.status()[0]["status"] == "ERROR"


def test_settings_are_read_by_every_stage(film, bench, tmp_path):
    config = tmp_path / "dubarr.toml"
    config.write_text("[mix]\ncodec = 'flac'\n")
    answer = bench.run("dub", film, "--to", "es", "--config", config)
    assert answer.code == 0, answer.both
    assert (bench.work.root / "final_es.flac").is_file()
    config.write_text("[mix]\ncodek = 'flac'\n")
    refused = bench.run("dub", film, "--to", "es", "--config", config)
    assert refused.code == 2
    assert "codec" in refused.err


def test_the_store_must_be_a_folder(dubbed, tmp_path, monkeypatch):
    for home in (str(tmp_path / "absent"), "relative"):
        monkeypatch.setattr(Bench, "environment", lambda _, home=home: {"DAGSTER_HOME": home})
        answer = dubbed.run("status", "--work-dir", dubbed.work_dir)
        assert answer.code == 2
        assert "DAGSTER_HOME" in answer.err


def test_quiet_where_nobody_looks(dubbed, tiny_film):
    answer = dubbed.finish(dubbed.start("dub", "--to", "es,ca", tiny_film))
    assert answer.code == 0
    assert answer.err == ""
    assert "nothing to do: 9 of 9 stages reused" in answer.out


def test_a_bar_for_every_stage_on_a_terminal(film, bench):
    shown, terminal = pty.openpty()
    environment = {k: v for k, v in {**os.environ, **bench.environment()}.items() if v is not None}
    with subprocess.Popen(
        [DUBARR, "dub", "--to", "es", film],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        text = _all_of(shown)
    assert process.returncode == 0
    for stage in STAGE_NAMES:
        assert f"{stage:12} 100%" in text, stage
    assert text.index("vocals ") < text.index("segments ") < text.index("report ")
    assert "Traceback" not in text


def _all_of(descriptor: int) -> str:
    parts: list[bytes] = []
    try:
        while data := os.read(descriptor, 65536):
            parts.append(data)
    except OSError:
        pass  # The other end of a terminal is closed: Linux says so by an error.
    finally:
        os.close(descriptor)
    return b"".join(parts).decode(errors="replace")


def test_without_ffmpeg_nothing_begins(film, bench, tmp_path, monkeypatch):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("mkvmerge", "mkvpropedit"):
        (tools / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(tools))
    answer = bench.dub(film)
    assert answer.code == 3
    assert "apt-get install ffmpeg" in answer.err
    assert not bench.work_dir.exists()


def test_a_picture_that_cannot_be_carried_refuses_the_film_before_any_work(film, bench, tmp_path):
    path, content = shutil.copytree(film.parent, tmp_path / "copy") / film.name, film.read_bytes()
    (name,) = set(re.findall(rb"V_[A-Z0-9/]{3,}", content))
    path.write_bytes(content.replace(name, b"V_NEW".ljust(len(name), b"\0")))
    answer = bench.dub(path)
    assert answer.code == 4
    assert "stream 0 (video, V_NEW) cannot be copied" in answer.err
    assert not bench.work_dir.exists() or not any(bench.work_dir.glob("*/video.json"))
