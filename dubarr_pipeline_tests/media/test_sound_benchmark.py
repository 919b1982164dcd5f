"""The benchmark of the mix runs, and its film does not grow our memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "sound.py"


def test_the_mix_costs_little_memory_and_keeps_the_loudness():
    film = ["--minutes", "1", "--lines", "16", "--presets", "film", "--json"]
    found = subprocess.run(
        [sys.executable, BENCHMARK, *film], capture_output=True, text=True, check=True
    )
    rows = {row["name"].rsplit(": ")[-1]: row for row in json.loads(found.stdout)["rows"]}
    assert set(rows) == {"CPU", "wall", "peak memory", "loudness, off the source by"}
    assert rows["peak memory"]["value"] < 150
    assert rows["loudness, off the source by"]["value"] <= 0.2
    # A minute of film is mostly start-up: far from the ratio of a feature film.
    assert rows["CPU"]["value"] < 6
