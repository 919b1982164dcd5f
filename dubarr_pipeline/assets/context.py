"""Stage 4: what the whole script is about, and who its people are."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg

from dubarr_pipeline.artifacts import (
    read_diarization,
    read_transcript,
    write_context,
    write_speakers,
)
from dubarr_pipeline.assets.stage import (
    Bench,
    Outcome,
    Stage,
    StageConfig,
    as_facts,
    run_stage,
    stage_asset,
)
from dubarr_pipeline.engines.interfaces import Reading
from dubarr_pipeline.library import crew
from dubarr_pipeline.media.waveform import WaveFile
from dubarr_pipeline.resources import Workshop


def _facts(bench: Bench) -> Mapping[str, Any]:
    return {
        "engine": crew.script_reader(bench.settings).identity(),
        "options": as_facts(bench.options("context")),
    }


def _produce(bench: Bench) -> Outcome:
    work = bench.work
    script, who = read_transcript(work.transcription), read_diarization(work.diarization)
    engine = crew.script_reader(bench.settings, bench.work.logs)
    with engine, WaveFile(work.vocals) as voices:
        memory = work.answers("context")
        reading = engine.read(script, who, voices, bench.on_progress, memory)
    write_context(
        work.context,
        reading.context,
        engine=engine.identity(),
        usage=asdict(reading.usage),
    )
    write_speakers(work.speakers, reading.speakers)
    rows = [
        f"| {s.speaker} | {s.name or '-'} | {f'{s.pitch_hz:.0f} Hz' if s.pitch_hz else '-'} |"
        f" {s.gender or '-'} | {s.style or '-'} |"
        for s in reading.speakers
    ]
    head = "| speaker | name | pitch | gender | style |\n| --- | --- | --- | --- | --- |\n"
    return Outcome(
        files=[work.context, work.speakers],
        metadata={
            "tone": reading.context.tone,
            "synopsis": dg.MetadataValue.md(reading.context.synopsis),
            "glossary": ", ".join(t.source for t in reading.context.glossary) or "none",
            "speakers": dg.MetadataValue.md(head + "\n".join(rows)),
            **_reading_notes(reading),
        },
    )


def _reading_notes(reading: Reading) -> dict[str, Any]:
    """What a language model's reading shows beyond plain's: gaps, corrections, its pace."""
    context, usage = reading.context, reading.usage
    notes: dict[str, Any] = {}
    if context.gaps:
        notes["gaps"] = dg.MetadataValue.md("\n".join(f"- {gap}" for gap in context.gaps))
    if context.edits:
        notes["corrections"] = len(context.edits)
        notes["corrections_applied"] = sum(edit.applied for edit in context.edits)
    if usage.tokens:
        notes["llm_tokens"] = usage.tokens
        notes["llm_tokens_per_s"] = round(usage.tokens / max(usage.busy_s, 1e-6), 1)
    return notes


STAGE = Stage("context", ("vocals", "diarization", "transcript"), "1", _facts, _produce)


@stage_asset(STAGE, kinds={"text"}, pool="gpu")
def context(
    context: dg.AssetExecutionContext, config: StageConfig, workshop: Workshop
) -> dg.MaterializeResult:
    """Read the whole script: `context.json` (tone, glossary, style), `speakers.json`."""
    return run_stage(STAGE, context, config, workshop)
