"""What the tests of the separators share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_demucs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Demucs of a few weights, built in a process of its own; never to be changed."""
    folder = tmp_path_factory.mktemp("models") / "tiny-demucs"
    command = [sys.executable, "-m", "dubarr_pipeline_tests.fakes.tiny.demucs", folder]
    subprocess.run(command, check=True, capture_output=True)
    return folder
