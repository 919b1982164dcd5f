"""The tiny film through a real `transformers serve` and our speech server, on tiny models."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dubarr_pipeline.compute.memory import descendants
from dubarr_pipeline_tests.fixtures.bench import Bench, stats, write_config

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tiny_llm: Path, tiny_xtts: Path, tmp_path: Path) -> Path:
    return write_config(
        tmp_path / "dubarr.toml",
        {
            "models": {"accept_licences": ["CPML"]},
            "llm": {"serve": "transformers", "model": str(tiny_llm), "device": "cpu"},
            "translation": {"engine": "openai"},
            "synthesis": {"engine": "xtts", "model": str(tiny_xtts), "device": "cpu"},
        },
    )


def test_a_film_is_dubbed_through_services_that_are_gone_afterwards(
    film: Path, config: Path, tmp_path: Path
):
    bench = Bench(tmp_path / "work", config)
    before = set(descendants(os.getpid()))
    answer = bench.dub(film)
    assert answer.code == 0, answer.both
    assert set(descendants(os.getpid())) <= before
    assert stats(bench.work)["lines"] == 2
    assert stats(bench.work)["placed"] == 2
    assert stats(bench.work)["tokens"] > 0
    report = json.loads(bench.work.segments_report.read_text())
    texts = [line["text"] for line in report["languages"]["es"]]
    assert any("bote" in text for text in texts)
    assert "transformers" in bench.work.logs.joinpath("llm.log").read_text()
    assert "/v1/audio/speech" in bench.work.logs.joinpath("tts.log").read_text()

    again = bench.dub(film)
    assert again.code == 0, again.both
    assert bench.made() == ()


def test_a_licence_that_was_not_accepted_ends_the_run_before_it_begins(
    film: Path, config: Path, tmp_path: Path
):
    config.write_text(config.read_text().replace('"CPML"', '"other"'))
    answer = Bench(tmp_path / "work", config).dub(film)
    assert answer.code != 0
    assert 'accept_licences = ["CPML"]' in answer.err
