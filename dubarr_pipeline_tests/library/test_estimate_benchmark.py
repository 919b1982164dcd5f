"""A film tells what the next one needs, and a sample costs a share of its film."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "estimate.py"


def test_one_film_foretells_another_of_other_length_and_density():
    told = subprocess.run(
        [sys.executable, BENCHMARK, "--quick", "--json"], capture_output=True, text=True, check=True
    )
    rows = {row["name"]: row["value"] for row in json.loads(told.stdout)["rows"]}
    assert sum(name.startswith("time of") and "foretold" in name for name in rows) == 2
    # Of films of a minute most is what does not grow.
    assert rows["time, worst pair: error"] < 60
    assert rows["room, worst pair: error"] < 25
