"""The pool against pretended servers over real HTTP: the order of work, and all that goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.config.options import SegmentsOptions
from dubarr_pipeline.engines.synthesis.openai import OpenAISpeechOptions, OpenAISynthesizer
from dubarr_pipeline.engines.translation.openai import OpenAIOptions, OpenAITranslator
from dubarr_pipeline.segments.results import SegmentsResult
from dubarr_pipeline.segments.run import run
from dubarr_pipeline_tests.fakes.simulated_services import SimulatedOptions, SimulatedServer
from dubarr_pipeline_tests.fixtures.small_scripts import order, transcript

LANGUAGES = ("es", "ca", "fr")


@pytest.fixture
def server() -> Iterator[SimulatedServer]:
    options = SimulatedOptions(
        llm_slots=1,
        tts_slots=2,
        draft_line_s=0.004,
        rewrite_s=0.004,
        take_s=0.004,
        noise=0.08,
        misfit=0.4,
    )
    with SimulatedServer(options) as running:
        yield running


def made(server: SimulatedServer, folder: Path, lines: int, **changes: Any) -> SegmentsResult:
    patient = {"url": server.url, "timeout_s": 0.5, "attempts": 3, "backoff_s": 0.001}
    translator = OpenAITranslator(OpenAIOptions(concurrency=1, **patient))
    synthesizer = OpenAISynthesizer(OpenAISpeechOptions(concurrency=2, **patient))
    with translator, synthesizer:
        script = transcript(lines, 3)
        return run(order(folder, script, translator, synthesizer, targets=LANGUAGES, **changes))


def test_refinement_goes_before_drafting_and_nobody_starves(
    server: SimulatedServer, tmp_path: Path
) -> None:
    production = made(server, tmp_path, 30)
    assert production.stats.placed == 29 * 3
    calls = [call for call in server.record.order if not call.startswith("speak")]
    rewrites = [at for at, call in enumerate(calls) if call.startswith("rewrite")]
    drafts = [at for at, call in enumerate(calls) if call.startswith("draft")]
    assert len(rewrites) > 15
    before_last_draft = sum(1 for at in rewrites if at < drafts[-1])
    assert before_last_draft > 0.5 * len(rewrites)
    assert server.record.most_at_once["llm"] == 1
    assert server.record.most_at_once["tts"] == 2


def test_languages_advance_side_by_side(server: SimulatedServer, tmp_path: Path) -> None:
    made(server, tmp_path, 30)
    drafts = [call.split() for call in server.record.order if call.startswith("draft")]
    furthest = dict.fromkeys(LANGUAGES, 0)
    apart = 0
    for _, language, index in drafts:
        furthest[language] = int(index)
        apart = max(apart, max(furthest.values()) - min(furthest.values()))
    assert apart <= 30


def test_drafting_waits_for_voices_that_are_far_behind(
    server: SimulatedServer, tmp_path: Path
) -> None:
    options = SegmentsOptions(ready_lines=4, batch_lines=4, threads=2)
    made(server, tmp_path, 24, options=options)
    drafted = spoken = most = 0
    for call in server.record.order:
        drafted += 4 * call.startswith("draft es")
        spoken += call == "speak es"
        most = max(most, drafted - spoken)
    assert most <= 4 + 2 * 4 + 2


def test_servers_that_lie_at_times_still_make_a_film(
    server: SimulatedServer, tmp_path: Path
) -> None:
    server.misbehave("llm", "wrong_language", share=0.15)
    server.misbehave("tts", "error", share=0.15)
    production = made(server, tmp_path, 20)
    assert production.stats.placed + sum(production.stats.failures.values()) == 19 * 3
    assert production.stats.placed >= 0.9 * 19 * 3
    assert production.stats.tokens > 0
    assert production.stats.tokens_per_s > 0


@pytest.mark.parametrize(
    ("service", "fault", "name"),
    [
        ("tts", "error", "tts_unavailable"),
        ("tts", "hang", "tts_timeout"),
        ("tts", "garbage", "tts_bad_reply"),
        ("tts", "silence", "silent_take"),
        ("llm", "error", "llm_unavailable"),
        ("llm", "garbage", "bad_reply"),
        ("llm", "echo", "echo"),
    ],
)
def test_lines_fail_by_name_and_the_next_run_makes_them(
    server: SimulatedServer, tmp_path: Path, service: Any, fault: Any, name: str
) -> None:
    server.misbehave(service, fault)
    options = SegmentsOptions(dead_after=2)
    broken = made(server, tmp_path, 4, options=options)
    assert broken.stats.placed == 0
    assert name in broken.stats.failures
    server.misbehave(service, "ok")
    if fault != "silence":
        assert made(server, tmp_path, 4).stats.placed == 9


def test_a_server_that_dies_in_the_middle_costs_only_the_lines_it_had_not_made(
    server: SimulatedServer, tmp_path: Path
) -> None:
    def die() -> None:
        while len(server.record.spoken) < 20:
            threading.Event().wait(0.002)
        server.die()

    killer = threading.Thread(target=die)
    killer.start()
    broken = made(server, tmp_path, 40, options=SegmentsOptions(dead_after=3))
    killer.join()
    assert broken.stats.placed >= 10
    assert broken.stats.placed + sum(broken.stats.failures.values()) == 39 * 3
    with SimulatedServer(server.options) as second:
        whole = made(second, tmp_path, 40)
        assert whole.stats.placed == 39 * 3
        assert sum(second.record.spoken.values()) <= 39 * 3 * 3 - broken.stats.placed
