"""The short form of the benchmark of the cast memory keeps every "must"; it names what it lacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "cast_memory.py"


def test_the_quick_benchmark_meets_every_must():
    told = subprocess.run(
        [sys.executable, BENCHMARK, "--quick", "--json"],
        check=True,
        capture_output=True,
        text=True,
        cwd=BENCHMARK.parents[1],
    )
    rows = {row["name"].partition(": ")[2]: row for row in json.loads(told.stdout)["rows"]}
    assert rows["right"]["value"] >= rows["right"]["must"] == 95
    assert rows["swapped without a word"]["value"] == 0


def test_without_weights_it_says_so(tmp_path: Path):
    told = subprocess.run(
        [sys.executable, BENCHMARK, tmp_path], check=False, capture_output=True, text=True
    )
    assert told.returncode == 3
    assert "kokoro is missing" in told.stderr
