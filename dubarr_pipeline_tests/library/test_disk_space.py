"""Work stops by name before the disk is full, and new videos wait."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.config.settings import Settings, parse_settings
from dubarr_pipeline.defs.library_names import PLAIN
from dubarr_pipeline.defs.resources import DubarrResource
from dubarr_pipeline.defs.sensors import media_folder_sensor
from dubarr_pipeline.errors import DiskFull
from dubarr_pipeline.library.disk_space import check_stage, check_video, stage_needs
from dubarr_pipeline.library.videos import make_video
from dubarr_pipeline.media.container.probe import probe_video
from dubarr_pipeline.media.container.streams import MediaInfo
from dubarr_pipeline_tests.fixtures.bench import Bench, write_config

media_folder = media_folder_sensor(PLAIN)

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch):
    """Say how many bytes are free on every disk."""

    def say(count: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**15, 0, count))

    return say


@pytest.fixture
def info(tiny_film: Path) -> MediaInfo:
    return probe_video(tiny_film)


def settings(work_dir: Path, **disk: float) -> Settings:
    return parse_settings({"disk": {"least_free_gb": 0, **disk}}, work_dir)


def test_no_stage_leaves_more_than_was_foretold(dubbed_once: Bench, tiny_film: Path, info):
    needs = stage_needs(info, tiny_film.stat().st_size, 2)
    root = dubbed_once.work.root
    left = {
        "vocals": [root / "vocals.wav", root / "accompaniment.wav"],
        "segments": list((root / "segments").rglob("*.wav")),
        "mix": list(root.glob("*.ac3")),
        "mux": [dubbed_once.work.muxed],
    }
    for stage, files in left.items():
        size = sum(path.stat().st_size for path in files)
        assert 0 < size <= needs[stage], stage
    stems = sum(path.stat().st_size for path in left["vocals"])
    assert needs["vocals"] < 1.3 * stems


def test_a_stage_starts_when_it_just_fits(tiny_film: Path, tmp_path: Path, info, free):
    video = make_video(tiny_film, tmp_path, target_langs=("es",), profile="lite")
    need = stage_needs(info, tiny_film.stat().st_size, 1)["vocals"]
    free(need)
    check_stage("vocals", video, settings(tmp_path))
    with pytest.raises(DiskFull, match=r"least_free_gb = 0\.001 must stay"):
        check_stage("vocals", video, settings(tmp_path, least_free_gb=0.001))
    free(need + 1_000_000)
    check_stage("vocals", video, settings(tmp_path, least_free_gb=0.001))
    free(need - 1)
    with pytest.raises(DiskFull) as told:
        check_stage("vocals", video, settings(tmp_path))
    for word in (video.key, str(tmp_path), f"{need / 1e9:.3f} GB", "dubarr prune", "run again"):
        assert word in str(told.value)
    check_stage("context", video, settings(tmp_path))


def test_a_whole_video_needs_less_when_much_is_there(tiny_film: Path, tmp_path: Path, info, free):
    need = sum(stage_needs(info, tiny_film.stat().st_size, 1).values())
    free(need)
    assert check_video(tiny_film, 1, settings(tmp_path)) == need
    with pytest.raises(DiskFull, match="for other videos"):
        check_video(tiny_film, 1, settings(tmp_path), promised=1)
    free(need - 1000)
    made = tmp_path / "key"
    made.mkdir()
    (made / "vocals.wav").write_bytes(bytes(1000))
    assert check_video(tiny_film, 1, settings(tmp_path), made) == need - 1000


def test_the_work_folder_can_be_bounded(tiny_film: Path, tmp_path: Path):
    (tmp_path / "made").write_bytes(bytes(2_000_000))
    check_video(tiny_film, 1, settings(tmp_path, most_gb=0.002))
    with pytest.raises(DiskFull, match=r"disk\.most_gb = 0\.001"):
        check_video(tiny_film, 1, settings(tmp_path, most_gb=0.001))


def test_a_run_stops_before_its_first_byte_and_goes_on_when_there_is_room(film: Path, bench, free):
    free(1_000_000)
    answer = bench.dub(film)
    assert answer.code == 5
    assert "no room left" in answer.err
    assert not bench.work.vocals.exists()
    assert [task["status"] for task in bench.status()] == ["QUEUED"]


def test_new_videos_wait_for_room(film: Path, tmp_path: Path, free, capfd):
    copy = film.with_name("second.mkv")
    copy.write_bytes(film.read_bytes() + b"another")
    shutil.copy(film.with_name("tiny.en.srt"), film.with_name("second.en.srt"))
    tables = {
        "libraries.films": {"path": str(film.parent), "target_langs": ["es"]},
        "disk": {"least_free_gb": 0},
    }
    config = write_config(tmp_path / "dubarr.toml", tables)
    dubarr = DubarrResource(config_file=str(config), work_dir=str(tmp_path / "work"))
    cursor: str | None = None
    asked: list[int] = []
    one = check_video(film, 1, settings(tmp_path))
    with dg.instance_for_test() as instance:
        for room in (one, one - 1, one + 1000, 3 * one):
            free(room)
            with dg.build_sensor_context(
                instance=instance, cursor=cursor, resources={"dubarr": dubarr}
            ) as context:
                found = media_folder(context)
            assert isinstance(found, dg.SensorResult)
            cursor = found.cursor
            asked.append(len(found.run_requests or []))
    assert asked == [0, 0, 1, 1]
    said = capfd.readouterr().err
    assert "2 left for the next tick" in said
    assert "1 left for the next tick" in said
    assert "dubarr prune" in said
