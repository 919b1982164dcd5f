"""The benchmark of the mux runs: cost of the proof, memory, and the offset of a dub."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "container.py"


def test_the_proof_is_cheap_and_the_dub_in_place() -> None:
    asked = [sys.executable, BENCHMARK, "--quick", "--json"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True)
    rows = json.loads(found.stdout)["rows"]
    assert [row["unit"] for row in rows] == ["x", "MB", "ms", "ms", "ms", "ms"]
    # A short film is mostly the start-up of a dozen tools: far from the ratio of a feature film.
    assert rows[0]["value"] < 12
    assert all(row["value"] <= row["target"] for row in rows[1:])
