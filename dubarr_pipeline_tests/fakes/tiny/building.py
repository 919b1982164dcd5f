"""Tiny models, each built in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dubarr_pipeline_tests.fixtures.made_once import made_once


def built(module: str, factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that a module of this package builds when it is run as a script."""

    def build(folder: Path) -> None:
        name = f"dubarr_pipeline_tests.fakes.tiny.{module}"
        command = [sys.executable, "-m", name, folder / f"tiny-{module}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return made_once(f"model-{module}", factory, build) / f"tiny-{module}"
