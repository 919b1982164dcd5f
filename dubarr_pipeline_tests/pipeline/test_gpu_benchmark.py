"""The benchmark of the GPU: its code runs on tiny networks, and says where it cannot measure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"
NETWORKS = ("htdemucs", "whisper-large-v3", "8B language model", "xtts")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    without_gpu = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [sys.executable, BENCHMARK, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=without_gpu,
    )


def test_without_a_gpu_it_says_so():
    found = _run("--quick")
    assert found.returncode == 3
    assert "needs a GPU" in found.stderr
    assert "--tiny" in found.stderr
    assert found.stdout == ""


def test_every_network_is_measured_alone_and_the_pool_side_by_side():
    found = _run("--tiny", "--json")
    assert found.returncode == 0, found.stderr
    document = json.loads(found.stdout)
    assert document["machine"].startswith("no GPU")
    rows = {row["name"]: row for row in document["rows"]}
    assert len(rows) == len(document["rows"])
    for network in NETWORKS:
        assert rows[f"{network}: speed"]["value"] > 0
        assert rows[f"{network}: load"]["value"] > 0
        for memory in ("at work", "unloaded", "left behind"):
            row = rows[f"{network}: VRAM {memory}"]
            assert (row["value"], row["unit"]) == (0, "GB")
    beside = [row for name, row in rows.items() if name.endswith("side by side")]
    assert len(beside) == 2
    assert all(row["value"] > 0 for row in beside)
    assert all(row["floor"] and row["better"] in ("lower", "higher") for row in rows.values())
