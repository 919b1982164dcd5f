"""Stage 2: who speaks when."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dubarr_pipeline.artifacts import read_cues_document, read_sound, write_diarization
from dubarr_pipeline.assets.stage import (
    Bench,
    Outcome,
    Stage,
    StageConfig,
    as_facts,
    run_stage,
    stage_asset,
)
from dubarr_pipeline.library import crew
from dubarr_pipeline.media.waveform import WaveFile
from dubarr_pipeline.reports.pictures import turns_picture
from dubarr_pipeline.resources import Workshop
from dubarr_pipeline.timeline.spans import to_seconds, total


def _facts(bench: Bench) -> Mapping[str, Any]:
    return {
        "engine": crew.diarizer(bench.settings).identity(),
        "options": as_facts(bench.options("diarization")),
    }


def _produce(bench: Bench) -> Outcome:
    work, sound = bench.work, read_sound(bench.work.speech)
    rate, cues = sound.audio.rate, read_cues_document(work.cues).cues
    engine = crew.diarizer(bench.settings)
    with engine, WaveFile(work.vocals) as voices:
        found = engine.diarize(voices, sound.speech, cues, bench.on_progress)
    write_diarization(work.diarization, found, engine=engine.identity())
    seconds = {
        found.names.get(speaker, speaker): to_seconds(
            total(t.span for t in found.turns if t.speaker == speaker), rate
        )
        for speaker in found.speakers
    }
    return Outcome(
        files=[work.diarization],
        metadata={
            "speakers": len(found.speakers),
            "turns": len(found.turns),
            "seconds_by_speaker": dg.MetadataValue.json(seconds),
            "picture": dg.MetadataValue.md(turns_picture(work.vocals, found)),
        },
    )


STAGE = Stage("diarization", ("vocals",), "1", _facts, _produce)


@stage_asset(STAGE, kinds={"numpy"}, pool="gpu")
def diarization(
    context: dg.AssetExecutionContext, config: StageConfig, workshop: Workshop
) -> dg.MaterializeResult:
    """Tell who speaks when: `diarization.json`."""
    return run_stage(STAGE, context, config, workshop)
