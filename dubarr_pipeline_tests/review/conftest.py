"""A finished film, and the review server on a copy of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dubarr_pipeline.config.settings import parse_settings
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline_tests.fixtures.made_once import made_once
from dubarr_pipeline_tests.fixtures.review_film import backstage, client_of, make_finished


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of all films, with a finished one in it; not to be changed."""
    made = made_once("review", tmp_path_factory, lambda folder: make_finished(folder / "work"))
    return made / "work"


@pytest.fixture
def room(finished: Path, tmp_path: Path) -> ReviewRoom:
    """The server's room over a copy of the finished film."""
    folder = tmp_path / "work"
    shutil.copytree(finished, folder)
    # An engine with voices of its own to choose from.
    settings = parse_settings({"synthesis": {"engine": "kokoro"}}, folder)
    return ReviewRoom(settings, backstage())


@pytest.fixture
def client(room: ReviewRoom) -> TestClient:
    return client_of(room)
