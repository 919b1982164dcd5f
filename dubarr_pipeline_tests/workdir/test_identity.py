"""A file is its content: touched is the same, one other byte is not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dubarr_pipeline.errors import NotAVideo, SourceChanged, SourceMissing
from dubarr_pipeline.workdir import identity as identity_module
from dubarr_pipeline.workdir.identity import identify, is_same


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mkv"
    path.write_bytes(os.urandom(5 << 20))
    return path


def test_an_untouched_file_is_not_read_again(film: Path, monkeypatch: pytest.MonkeyPatch):
    known = identify(film)
    assert known.size == 5 << 20
    monkeypatch.setattr(identity_module, "_digest", None)
    assert is_same(film, known)


def test_touched_moved_and_copied_files_are_the_same(film: Path, tmp_path: Path):
    known = identify(film)
    os.utime(film, ns=(1, 1))
    assert is_same(film, known)
    copy = tmp_path / "copy.mkv"
    shutil.copy(film, copy)
    assert is_same(copy, known)
    copy.replace(film)
    assert is_same(film, known)


@pytest.mark.parametrize("position", [0, 4 << 20, -1])
def test_one_other_byte_is_another_file_even_with_the_old_dates(film: Path, position: int):
    known = identify(film)
    data = bytearray(film.read_bytes())
    data[position] ^= 1
    film.write_bytes(data)
    os.utime(film, ns=(known.mtime_ns, known.mtime_ns))
    assert not is_same(film, known)


def test_a_longer_or_shorter_file_is_another_one_at_once(film: Path, monkeypatch):
    known = identify(film)
    monkeypatch.setattr(identity_module, "_digest", None)
    for size in (known.size - 1, known.size + 1):
        os.truncate(film, size)
        assert not is_same(film, known)


def test_a_file_that_grows_while_it_is_read_is_refused(film: Path):
    def grow(done: int, total: int) -> None:
        with film.open("ab") as stream:
            stream.write(b"x")

    with pytest.raises(SourceChanged, match="wait until it is copied"):
        identify(film, grow)


def test_progress_reaches_the_end(film: Path):
    steps: list[tuple[int, int]] = []
    identify(film, lambda done, total: steps.append((done, total)))
    assert steps == [(4 << 20, 5 << 20), (5 << 20, 5 << 20)]


def test_what_cannot_be_read_is_named(tmp_path: Path, film: Path):
    known = identify(film)
    film.unlink()
    with pytest.raises(SourceMissing, match="not there"):
        is_same(film, known)
    with pytest.raises(SourceMissing, match="is a folder"):
        identify(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(NotAVideo, match="empty"):
        identify(tmp_path / "empty")
