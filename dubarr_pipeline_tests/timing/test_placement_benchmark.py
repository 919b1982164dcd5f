from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize("name", ["placement", "length"])
def test_the_quick_benchmark_meets_every_must(name: str) -> None:
    told = subprocess.run(
        [sys.executable, BENCHMARKS / f"{name}.py", "--quick", "--json"],
        check=True,
        capture_output=True,
        text=True,
        cwd=BENCHMARKS.parent,
    )
    rows = json.loads(told.stdout)["rows"]
    bound = [row for row in rows if row["must"] is not None and "CPU" not in row["unit"]]
    assert len(bound) >= 5
    for row in bound:
        if row["better"] == "lower":
            assert row["value"] <= row["must"], row["name"]
        else:
            assert row["value"] >= row["must"], row["name"]
