"""The decoded tracks of films whose every spoken word is known; by benchmarks/heard.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "heard.py"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_what_is_heard_is_what_was_said_in_the_right_place_or_the_original():
    told = subprocess.run(
        [sys.executable, BENCHMARK, "--quick", "--json"], capture_output=True, text=True, check=True
    )
    rows = json.loads(told.stdout)["rows"]
    missed = [
        row
        for row in rows
        if (row["value"] < row["must"] if row["better"] == "higher" else row["value"] > row["must"])
    ]
    assert missed == []
    assert len(rows) == 21
