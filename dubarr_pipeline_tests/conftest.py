"""What all tests share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dubarr_pipeline_tests.dubbing import Bench, make_film

SHARED_MEDIA = Path(__file__).resolve().parents[2] / "shared" / "media"


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """The real speech, music and video beside the checkout; its absence is told."""
    if not SHARED_MEDIA.is_dir():
        pytest.skip(f"no shared media: {SHARED_MEDIA} is not there")
    return SHARED_MEDIA


@pytest.fixture(scope="session")
def tiny_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds with two spoken lines and their subtitles beside; never to be changed."""
    return make_film(tmp_path_factory.mktemp("library") / "tiny.mkv")


@pytest.fixture
def film(tiny_film: Path, tmp_path: Path) -> Path:
    """A copy of the tiny film that a test may do with as it likes."""
    folder = tmp_path / "library"
    shutil.copytree(tiny_film.parent, folder)
    return folder / tiny_film.name


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty work folder, and the commands on it."""
    return Bench(tmp_path / "work")


@pytest.fixture(scope="session")
def dubbed_once(tiny_film: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The tiny film in Spanish and Catalan; never to be changed."""
    done = Bench(tmp_path_factory.mktemp("dubbed") / "work")
    answer = done.dub(tiny_film, "es,ca")
    assert answer.code == 0, answer.both
    return done


@pytest.fixture
def dubbed(dubbed_once: Bench, tmp_path: Path) -> Bench:
    """A copy of a finished work folder, on which a test may go on."""
    folder = tmp_path / "work"
    shutil.copytree(dubbed_once.work_dir, folder)
    return Bench(folder)
