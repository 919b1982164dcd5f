"""The benchmark of large libraries runs; what it counts holds on a loaded machine too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "library.py"


@pytest.mark.slow
def test_nothing_is_made_again_and_costs_are_linear() -> None:
    asked = [sys.executable, BENCHMARK, "--quick", "--json"]
    found = subprocess.run(
        asked, capture_output=True, text=True, check=False, cwd=BENCHMARK.parents[1]
    )
    assert found.returncode == 0, found.stderr
    rows = {row["name"]: row for row in json.loads(found.stdout)["rows"]}
    (again,) = (row for name, row in rows.items() if name.startswith("stages made again"))
    assert again["value"] == 0
    for name in ("the last tenth of them against the first", "the last runs against the first"):
        assert rows[name]["value"] <= rows[name]["must"], rows[name]
    assert rows["PostgreSQL: checkpoints read"]["value"] > 0
    assert any("200 partitions" in name for name in rows)
