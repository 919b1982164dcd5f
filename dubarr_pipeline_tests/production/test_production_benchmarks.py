"""The short forms of the benchmarks of the pool and of the whole episode keep every "must"."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize(("name", "bounds"), [("pool", 3), ("episode", 11)])
def test_the_quick_benchmark_meets_every_must(name: str, bounds: int) -> None:
    told = subprocess.run(
        [sys.executable, BENCHMARKS / f"{name}.py", "--quick", "--json"],
        check=True,
        capture_output=True,
        text=True,
        cwd=BENCHMARKS.parent,
    )
    bound = [row for row in json.loads(told.stdout)["rows"] if row["must"] is not None]
    assert len(bound) == bounds
    for row in bound:
        if row["better"] == "lower":
            assert row["value"] <= row["must"], row["name"]
        else:
            assert row["value"] >= row["must"], row["name"]
