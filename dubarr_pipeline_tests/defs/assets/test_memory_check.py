"""The check `memory_returned`: green where a stage gives all back, red where an engine leaks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from dubarr_pipeline.compute.memory import (
    RSS_TOLERANCE_BYTES,
    MemoryKept,
    MemoryNote,
    measured,
    note_from_json,
)
from dubarr_pipeline.compute.oom_fallback import (
    EngineConfiguration,
    OomFallback,
    StepDown,
    fallback_steps,
)
from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.assets import vocals
from dubarr_pipeline.defs.assets.checks import MEMORY, of_memory
from dubarr_pipeline.defs.runtime.records import memory_metadata, memory_of, stage_key
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.runtime.stage_run import stage_asset
from dubarr_pipeline.defs.stages import STAGES
from dubarr_pipeline.engines.interfaces import AudioReader, Engine, Samples, Separator
from dubarr_pipeline.engines.separation.lite import LiteSeparator
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.bench import Bench

STEP = StepDown("leaking", "cpu, batch 2, float32", "cpu, batch 1, float32", "out of memory")
NOTE = MemoryNote(
    250.0, 9000.0, {"GPU-a": 1.5}, MemoryKept(1, 2, 300 << 20), ("GPU memory ...",), (STEP,)
)
LEAKED: list[np.ndarray] = []


def test_only_stages_that_load_models_are_checked():
    checked = [
        stage.name
        for stage in STAGES
        if any(spec.name == MEMORY for spec in stage_asset(stage).check_specs)
    ]
    assert checked == ["vocals", "diarization", "transcript", "context", "segments"]


def test_a_note_comes_back_from_the_store_as_it_was():
    assert memory_of(memory_metadata(NOTE)) == NOTE
    assert memory_of({}) is None
    assert note_from_json({"rss_mb": "much"}) is None


def test_a_kept_result_keeps_its_red_check():
    found = of_memory(memory_of(memory_metadata(NOTE)))
    assert not found.passed
    assert found.metadata["faults"].value == "GPU memory ..."


def test_a_result_from_before_the_check_is_not_held_against():
    found = of_memory(memory_of({}))
    assert found.passed


def test_work_is_measured_with_its_steps_down():
    def work() -> str:
        LEAKED.append(np.ones(RSS_TOLERANCE_BYTES // 8 + (8 << 20)))
        return OomFallback("leaking", fallback_steps(EngineConfiguration("cpu", 2))).run(
            _needs_batch_one
        )

    try:
        result, note = measured(work)
    finally:
        LEAKED.clear()
    assert result == "done"
    assert note.kept.rss_bytes > RSS_TOLERANCE_BYTES
    assert "this process has grown by" in note.faults[0]
    assert note.steps_down == (STEP,)
    assert measured(lambda: None)[1].faults == ()


def _needs_batch_one(configuration: EngineConfiguration) -> str:
    if configuration.batch > 1:
        raise MemoryError("out of memory")
    return "done"


class Leaking(LiteSeparator):
    """Keeps a model's worth of memory after `unload`, and runs out of it once."""

    def separate(
        self, source: AudioReader, speech: Sequence[Span]
    ) -> Iterator[tuple[int, Samples]]:
        LEAKED.append(np.ones(RSS_TOLERANCE_BYTES // 8 + (8 << 20)))
        OomFallback("leaking", fallback_steps(EngineConfiguration("cpu", 2))).run(_needs_batch_one)
        yield from super().separate(source, speech)


def checks_of(bench: Bench, stage: str) -> bool:
    """Whether the last `memory_returned` of a stage is green."""
    with open_instance(bench.work_dir) as instance:
        key = dg.AssetCheckKey(stage_key(stage), "memory_returned")
        (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
        event = record.event
        assert event
        assert event.dagster_event
        return event.dagster_event.asset_check_evaluation_data.passed


def test_a_separator_that_leaks_is_red_and_the_report_tells(
    film: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    def leaking(settings: Settings, interface: type[Engine]) -> Engine:
        return Leaking() if interface is Separator else profile_engines.engine(settings, interface)

    monkeypatch.setattr(vocals, "engine", leaking)
    monkeypatch.setenv("DAGSTER_HOME", str(bench.work_dir / ".dagster"))
    try:
        answer = bench.dub(film)
    finally:
        LEAKED.clear()
    assert answer.code == 0, answer.both
    assert not checks_of(bench, "vocals")
    assert checks_of(bench, "segments")
    report = json.loads(bench.work.report.read_text())
    assert report["memory"]["vocals"]["steps_down"] == [
        {
            "engine": "leaking",
            "left": STEP.left,
            "taken": STEP.taken,
            "reason": STEP.reason,
        }
    ]
    told = "\n".join(report["summary"])
    assert "vocals: leaking ran out of memory with cpu, batch 2, float32; went on with" in told
    assert "vocals: this process has grown by" in told
