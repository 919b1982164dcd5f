"""What the tests of the separators share."""

from __future__ import annotations

from pathlib import Path

import pytest

from dubarr_pipeline_tests.fakes.tiny.building import built


@pytest.fixture(scope="session")
def tiny_demucs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Demucs of a few weights; never to be changed."""
    return built("demucs", tmp_path_factory)
