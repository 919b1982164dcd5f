from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


def test_the_quick_benchmark_meets_every_must() -> None:
    run = subprocess.run(
        [sys.executable, BENCHMARKS / "script_fit.py", "--quick", "--json"],
        check=True,
        capture_output=True,
        text=True,
        cwd=BENCHMARKS.parent,
    )
    rows = json.loads(run.stdout)["rows"]
    bound = [row for row in rows if row["must"] is not None and "CPU" not in row["unit"]]
    assert len(bound) >= 50
    for row in bound:
        if row["better"] == "lower":
            assert row["value"] <= row["must"], row["name"]
        else:
            assert row["value"] >= row["must"], row["name"]
