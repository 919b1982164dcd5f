"""Films are dropped into a folder, everything around them is killed, and nobody looks on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "faults.py"
FILMS = 8

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2700)]


def test_a_folder_of_films_is_dubbed_unattended_with_faults_injected():
    """Eight films; `benchmarks/faults.py` does the same with 30, a full disk and PostgreSQL."""
    told = subprocess.run(
        [sys.executable, BENCHMARK, "--quick", "--json", "--films", str(FILMS)],
        capture_output=True,
        text=True,
        check=False,
        cwd=BENCHMARK.parents[1],
    )
    assert told.returncode == 0, told.stderr + told.stdout
    rows = {row["name"]: row for row in json.loads(told.stdout)["rows"]}
    assert rows["videos DONE"]["value"] == FILMS
    for what in ("run workers", "services", "code servers", "daemons"):
        assert f" {what} killed" in rows["videos DONE"]["floor"]
    for row in rows.values():
        if row["must"] == 0:
            assert row["value"] == 0, row
