"""Stage 3: what is said, word by word."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import dagster as dg

from dubarr_pipeline.artifacts import (
    read_cues_document,
    read_diarization,
    read_sound,
    write_transcript,
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
from dubarr_pipeline.engines.interfaces import Hearing
from dubarr_pipeline.library import crew
from dubarr_pipeline.media.waveform import WaveFile
from dubarr_pipeline.resources import Workshop


def _facts(bench: Bench) -> Mapping[str, Any]:
    return {
        "engine": crew.transcriber(bench.settings).identity(),
        "options": as_facts(bench.options("transcript")),
    }


def _produce(bench: Bench) -> Outcome:
    work, sound = bench.work, read_sound(bench.work.speech)
    cues, who = read_cues_document(work.cues), read_diarization(work.diarization)
    engine = crew.transcriber(bench.settings)
    with engine, WaveFile(work.vocals) as voices:
        hearing = Hearing(voices, sound.speech, who, cues.cues, cues.language)
        found = engine.transcribe(hearing, bench.on_progress)
    write_transcript(work.transcription, found, engine=engine.identity())
    return Outcome(
        files=[work.transcription],
        metadata={
            "language": found.language,
            "lines": len(found.lines),
            "words": sum(len(s.words) for s in found.lines),
            "kinds": dg.MetadataValue.json(dict(Counter(s.kind for s in found.segments))),
            "script": dg.MetadataValue.md(
                "\n".join(f"- **{s.speaker}** {s.text}" for s in found.lines[:40])
            ),
        },
    )


STAGE = Stage("transcript", ("vocals", "diarization"), "1", _facts, _produce)


@stage_asset(STAGE, kinds={"text"}, pool="gpu")
def transcript(
    context: dg.AssetExecutionContext, config: StageConfig, workshop: Workshop
) -> dg.MaterializeResult:
    """Write down what is said, line by line and word by word: `transcription.json`."""
    return run_stage(STAGE, context, config, workshop)
