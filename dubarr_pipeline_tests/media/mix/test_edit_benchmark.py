"""The benchmark of an edit runs: a changed line costs a small share, and undo gives the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "edit.py"


def test_a_changed_line_costs_a_share_of_the_mix():
    film = ["--minutes", "4", "--lines", "60", "--json"]
    found = subprocess.run(
        [sys.executable, BENCHMARK, *film], capture_output=True, text=True, check=True
    )
    rows = {row["name"].rpartition(": ")[2]: row for row in json.loads(found.stdout)["rows"]}
    # What does not grow with the film weighs most in so short a one.
    assert 0 < rows["mix"]["value"] < 0.25
    assert rows["mix and mux"]["value"] < 0.6
    assert rows["loudness, off the source by"]["value"] <= 0.2
    assert rows["undone, other bytes than at first"]["value"] == 0
