"""The benchmark of the sound runs, and its film does not grow our memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "sound.py"


def test_the_sound_costs_little_memory_and_keeps_the_loudness():
    film = ["--minutes", "1", "--lines", "16", "--presets", "film", "--json"]
    found = subprocess.run(
        [sys.executable, BENCHMARK, *film], capture_output=True, text=True, check=True
    )
    rows = {row["name"]: row for row in json.loads(found.stdout)["rows"]}
    named = {tuple(name.replace(",", ":").split(": ")) for name in rows}
    figures = {(parts[0].split()[0], parts[-1].split()[-1]) for parts in named}
    for work in ("mix", "mux", "extraction"):
        assert {(work, "CPU"), (work, "wall"), (work, "memory")} <= figures
    memory = [row["value"] for name, row in rows.items() if name.endswith("peak memory")]
    assert len(memory) == 3
    assert max(memory) < 150
    assert all(row["value"] > 0 and row["floor"] for n, row in rows.items() if n.endswith("CPU"))
    loudness = next(row["value"] for name, row in rows.items() if "loudness" in name)
    assert loudness <= 0.2
    # A minute of film is mostly start-up: far from the ratio of a feature film.
    assert next(row["value"] for n, row in rows.items() if n.startswith("mix") and "CPU" in n) < 6
