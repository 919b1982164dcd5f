"""A speech server that has no credit left in the middle, and is well for the next run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dubarr_pipeline_tests.fakes.simulated_services import SimulatedOptions, SimulatedServer
from dubarr_pipeline_tests.fixtures.bench import Bench, stats, write_config

pytestmark = pytest.mark.slow


def test_lines_that_failed_for_want_of_a_service_are_asked_for_again(film: Path, tmp_path: Path):
    with SimulatedServer(SimulatedOptions()) as server:
        voice = {"engine": "openai", "url": server.url, "attempts": 1, "concurrency": 1}
        settings = {"synthesis": voice, "segments": {"least_placed": 0.1}}
        bench = Bench(tmp_path / "work", write_config(tmp_path / "dubarr.toml", settings))
        spoken: list[int] = []
        answer_of = server._speak

        def without_credit(*asked):
            spoken.append(1)
            # Its trial and the first line are paid.
            return answer_of(*asked) if len(spoken) < 3 else (402, "text/plain", b"no credit left")

        server._speak = without_credit
        assert bench.dub(film).code == 0
        assert stats(bench.work)["failures"] == {"tts_unavailable": 1}
        lines = json.loads(bench.work.segments_report.read_text())["languages"]["es"]
        assert ["no credit left" in str(line) for line in lines].count(True) == 1
        server._speak = answer_of
        planned = bench.run("plan", film, "--to", "es")
        assert "a service was away for 1 lines" in planned.out
        assert bench.dub(film).code == 0
        assert stats(bench.work)["failures"] == {}
        assert bench.dub(film).code == 0
        assert bench.made() == ()
