"""Twice as much of what somebody else may write never costs four times as much."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "growth.py"


def test_no_cost_grows_with_the_square():
    told = subprocess.run(
        [sys.executable, BENCHMARK, "--quick", "--json"], capture_output=True, text=True, check=True
    )
    rows = {row["name"]: row["value"] for row in json.loads(told.stdout)["rows"]}
    growth = {name: value for name, value in rows.items() if name.startswith("twice")}
    assert len(growth) == 6
    assert all(value < 3.8 for value in growth.values()), growth
    assert rows["peak memory"] < 1024
