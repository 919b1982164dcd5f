"""A work folder that cannot be used: said by name and with the cure; what was there stays."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from dubarr_pipeline.errors import DiskFull
from dubarr_pipeline.workdir import layout
from dubarr_pipeline_tests.fixtures.bench import (
    Bench,
    contents,
    leftovers,
    ordinary_permissions,
    small_disk,
)


def _text(path: Path) -> Path:
    path.write_text("This is a letter, not a film.\n" * 500)
    return path


def test_work_folder_is_a_file(film, tmp_path):
    blocked = _text(tmp_path / "work")
    answer = Bench(blocked).dub(film)
    assert answer.code == 5
    assert str(blocked) in answer.err
    assert "--work-dir" in answer.err
    assert blocked.read_text().startswith("This is a letter")


def test_work_folder_below_proc(film):
    answer = Bench(Path("/proc/dubarr")).dub(film)
    assert answer.code == 5
    assert "/proc/dubarr" in answer.err
    assert "--work-dir" in answer.err


def test_work_folder_without_permission(film, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with ordinary_permissions():
        answer = Bench(locked / "work").dub(film)
        inside = Bench(locked).dub(film)
    assert (answer.code, inside.code) == (5, 5)
    assert "Permission denied" in answer.err
    assert "--work-dir" in inside.err
    assert list(locked.iterdir()) == []


def test_video_folder_turns_read_only(dubbed, tiny_film):
    before = contents(dubbed.work.root)
    dubbed.work.root.chmod(0o500)
    with ordinary_permissions():
        answer = dubbed.dub(tiny_film, "es")
    dubbed.work.root.chmod(0o700)
    assert answer.code == 5
    assert str(dubbed.work.root) in answer.err
    assert contents(dubbed.work.root) == before


@pytest.fixture
def little_room(tmp_path, monkeypatch):
    """A work folder on a disk of 1.5 MB: the film's stems alone take 3.8 MB."""
    store = tmp_path / "store"
    with small_disk(tmp_path / "disk", "1500k") as real:
        if not real:
            monkeypatch.setattr(layout, "flush_to_disk", _no_space)
        yield Bench(tmp_path / "disk" / "work"), store


def _no_space(path: Path) -> None:
    raise OSError(28, os.strerror(28), str(path))


def test_disk_full(film, little_room, monkeypatch):
    bench, store = little_room
    store.mkdir()
    before = film.read_bytes()
    monkeypatch.setattr(
        Bench, "environment", lambda self: {**_environment(self), "DAGSTER_HOME": str(store)}
    )
    answer = bench.dub(film)
    assert answer.code == 5
    assert "no room left" in answer.err
    assert str(bench.work_dir) in answer.err
    assert "run again" in answer.err
    assert film.read_bytes() == before
    assert leftovers(bench.work_dir) == []
    assert not (bench.work.root / "vocals.wav").exists()


_environment = Bench.environment


def test_store_on_a_full_disk(film, tmp_path):
    with small_disk(tmp_path / "disk", "200k") as real:
        if not real:
            pytest.fail("this system lets nobody mount: run the tests as root of a container")
        answer = Bench(tmp_path / "disk" / "work").dub(film)
    assert answer.code == 5
    assert "no room left" in answer.err
    assert str(tmp_path / "disk") in answer.err


def test_file_larger_than_the_system_allows(film, bench):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, limit[1]))
    try:
        answer = bench.dub(film)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert answer.code == 5
    assert "larger than" in answer.err
    assert leftovers(bench.work_dir) == []
    assert bench.dub(film).code == 0


def test_named_disk_errors_leave_others_alone(tmp_path):
    with pytest.raises(DiskFull), layout.named_disk_errors(tmp_path):
        raise OSError(122, "quota")
    with pytest.raises(ConnectionError), layout.named_disk_errors(tmp_path):
        raise ConnectionResetError(104, "reset")
