"""`dubarr review FILM`: its page alone, at an address that has the token in its fragment."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from dubarr_pipeline.cli.main import main
from dubarr_pipeline_tests.fixtures.review_film import KEY, make_finished


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_one_film_until_it_is_stopped(tmp_path: Path, number: signal.Signals):
    folder = tmp_path / "work"
    make_finished(folder)
    command = [sys.executable, "-m", main.__module__, "review", KEY, "--work-dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            link = urlsplit(process.stdout.readline().strip())
            assert link.path == f"/review/{KEY}"
            token = link.fragment.removeprefix("token=")
            here = f"http://{link.netloc}"
            assert link.hostname == "127.0.0.1"
            assert httpx.get(f"{here}/api/v1/films").status_code == 401
            bearer = {"Authorization": f"Bearer {token}"}
            (film,) = httpx.get(f"{here}/api/v1/films", headers=bearer).json()["films"]
            assert film["key"] == KEY
        finally:
            process.send_signal(number)
        assert process.wait(30) == 0
