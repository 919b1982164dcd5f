"""Each tiny model is built once for all the processes of a test session."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest


def built(module: str, factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that a module of this package builds when it is run as a script."""
    root = factory.getbasetemp()
    if root.name.startswith("popen-"):
        root = root.parent  # shared by the workers of pytest-xdist
    folder = root / f"tiny-{module}"
    with (root / f"tiny-{module}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            part = folder.with_name(f"{folder.name}.part")
            name = f"dubarr_pipeline_tests.fakes.tiny.{module}"
            done = subprocess.run(
                [sys.executable, "-m", name, part], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            part.rename(folder)
    return folder
