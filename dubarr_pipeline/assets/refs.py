"""Stage 5: the cleanest few seconds of every speaker."""

import shutil
from collections.abc import Mapping
from typing import Any

import dagster as dg

from dubarr_pipeline.artifacts import read_diarization, read_transcript
from dubarr_pipeline.assets.stage import (
    Bench,
    Outcome,
    Stage,
    StageConfig,
    as_facts,
    run_stage,
    stage_asset,
)
from dubarr_pipeline.media.voice_samples import choose_refs, write_ref, write_refs_report
from dubarr_pipeline.media.waveform import WaveFile
from dubarr_pipeline.resources import Workshop


def _facts(bench: Bench) -> Mapping[str, Any]:
    return {"options": as_facts(bench.options("refs"))}


def _produce(bench: Bench) -> Outcome:
    work = bench.work
    script, who = read_transcript(work.transcription), read_diarization(work.diarization)
    shutil.rmtree(work.refs, ignore_errors=True)
    files = [work.refs_report]
    with WaveFile(work.vocals) as voices, WaveFile(work.accompaniment) as bed:
        chosen = choose_refs(voices, bed, who, script, bench.options("refs"))
        for ref in chosen:
            if ref.chosen:
                write_ref(voices, ref.chosen, work.ref(ref.speaker))
                files.append(work.ref(ref.speaker))
    write_refs_report(work.refs_report, chosen, who.rate)
    rows = [
        f"| {ref.speaker} | {f'{ref.chosen.length_s:.2f} s' if ref.chosen else '-'} |"
        f" {ref.chosen.snr_db if ref.chosen else '-'} | {ref.chosen.zcr if ref.chosen else '-'} |"
        f" {ref.failure or ref.fallback or 'clean'} |"
        for ref in chosen
    ]
    head = "| speaker | length | SNR dB | ZCR | |\n| --- | --- | --- | --- | --- |\n"
    return Outcome(
        files=files,
        metadata={
            "speakers": len(chosen),
            "with_ref": sum(ref.chosen is not None for ref in chosen),
            "candidates": sum(len(ref.candidates) for ref in chosen),
            "refs": dg.MetadataValue.md(head + "\n".join(rows)),
        },
    )


STAGE = Stage("refs", ("vocals", "diarization", "transcript"), "1", _facts, _produce)


@stage_asset(STAGE, kinds={"numpy"})
def refs(
    context: dg.AssetExecutionContext, config: StageConfig, workshop: Workshop
) -> dg.MaterializeResult:
    """Choose the cleanest 3-5 s of every speaker: `refs/{speaker}.wav`, with all reasons."""
    return run_stage(STAGE, context, config, workshop)
