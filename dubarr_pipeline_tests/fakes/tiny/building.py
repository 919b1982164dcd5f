"""Tiny models, built in a process of their own: the tests' processes import no PyTorch for them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from dubarr_pipeline_tests.fixtures.made_once import made_once

_ON_TORCH = ("demucs", "llm", "whisper", "demo_film", "m2m100", "xtts", "pyannote")


def built(module: str, factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that a module of this package builds.

    Many workers will want all of those that stand on PyTorch, whose import takes several times as
    long as building them: one process builds them all.
    """
    together = module in _ON_TORCH and "PYTEST_XDIST_WORKER" in os.environ
    modules = _ON_TORCH if together else (module,)

    def build(folder: Path) -> None:
        command = [sys.executable, "-W", "ignore", "-m", __name__, folder, *modules]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    made = made_once("models" if together else f"model-{module}", factory, build)
    return made / f"tiny-{module}"


if __name__ == "__main__":
    for name in sys.argv[2:]:
        import_module(f"{__package__}.{name}").build(Path(sys.argv[1]) / f"tiny-{name}")
