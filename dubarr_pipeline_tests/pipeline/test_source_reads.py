"""A film is inspected once: counted by an ffprobe that notes its calls, through the real CLI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dubarr_pipeline.demo.video import demo_video
from dubarr_pipeline_tests.fixtures.bench import Film, Said, make_film

SHORT = Film(lines=(Said(0.3, "Good morning. We need a boat.", 2.2),), length_s=2.6)


class CountingFfprobe:
    """The command line in processes of its own, with an ffprobe in PATH that notes its calls."""

    def __init__(self, folder: Path) -> None:
        self.work_dir = folder / "work"
        self.log = folder / "calls"
        tools = folder / "tools"
        tools.mkdir()
        wrapper = tools / "ffprobe"
        wrapper.write_text(
            f'#!/bin/sh\nfor last; do :; done\nprintf "%s\\n" "$last" >> {str(self.log)!r}\n'
            f'exec {shutil.which("ffprobe")} "$@"\n'
        )
        wrapper.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "DUBARR_WORK_DIR": str(self.work_dir),
        }

    def run(self, source: Path, *arguments: str | Path) -> int:
        """Run a command, and return how many ffprobes read the source."""
        self.log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "dubarr_pipeline.cli.main", *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        calls = self.log.read_text().splitlines() if self.log.is_file() else []
        return calls.count(f"file:{source}")


@pytest.fixture
def counting(tmp_path: Path) -> CountingFfprobe:
    return CountingFfprobe(tmp_path)


def test_a_dub_inspects_its_source_twice_and_a_no_op_never(
    counting: CountingFfprobe, tmp_path: Path
):
    film = make_film(tmp_path / "films" / "film.mkv", SHORT)
    dub = ("dub", film, "--to", "es")
    assert counting.run(film, *dub) == 2
    assert counting.run(film, *dub) == 0
    assert counting.run(film, "plan", film) == 0


@pytest.mark.slow
def test_so_does_the_demo(counting: CountingFfprobe):
    film = demo_video(counting.work_dir / "demo")
    assert 1 <= counting.run(film, "demo", "--to", "es,ca") <= 2
    assert counting.run(film, "demo", "--to", "es,ca") == 0
