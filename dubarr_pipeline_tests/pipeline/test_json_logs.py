"""The logs of a film dubbed from the command line, for programs that collect them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline_tests.fixtures.bench import write_config
from dubarr_pipeline_tests.fixtures.film_shelf import make_shelf

SECRET = "S3CRETT0KEN-of-some-length"


def test_a_dubbed_film_and_a_refused_one_leave_json_alone(tmp_path: Path):
    (film,) = make_shelf(tmp_path, ["one"])
    config = write_config(tmp_path / "dubarr.toml", {"logging": {"format": "json"}})
    dubarr = str(Path(sys.executable).with_name("dubarr"))
    where = ["--work-dir", str(tmp_path / "work"), "--config", str(config)]
    ran = subprocess.run(
        [dubarr, "dub", "--to", "es", str(film), str(tmp_path / "gone.mkv"), *where],
        env={**os.environ, "DUBARR_WEBHOOK_TOKEN": SECRET, "DUBARR_NOTIFY": f"json://:{SECRET}@x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 4
    assert SECRET not in ran.stdout + ran.stderr
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert {each.get("stage") for each in lines} >= set(STAGE_NAMES)
    assert len({each["run"] for each in lines if "run" in each}) == 1
    (refused,) = (each for each in lines if each["level"] == "ERROR")
    assert refused["message"].endswith("gone.mkv is not there: check the path")
    assert "final_muxed.mkv" in ran.stdout, "results stay results"
