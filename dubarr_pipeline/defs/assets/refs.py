"""Stage 5: the cleanest few seconds of every speaker."""

import shutil
from collections.abc import Mapping
from typing import Any

from dubarr_pipeline.defs.assets.checks import table
from dubarr_pipeline.defs.runtime.stage_run import Outcome, StageContext
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.script.speakers.references import choose_refs, write_ref, write_refs_report
from dubarr_pipeline.workdir.artifacts import read_diarization, read_transcript


def facts(context: StageContext) -> Mapping[str, Any]:
    """Return the facts on which the result depends, beside its inputs."""
    return {"options": context.settings.refs}


def make(context: StageContext) -> Outcome:
    """Choose the cleanest 3-5 s of every speaker: `refs/{speaker}.wav`, with all reasons."""
    work = context.work
    script, who = read_transcript(work.transcription), read_diarization(work.diarization)
    shutil.rmtree(work.refs, ignore_errors=True)
    files = [work.refs_report]
    with WaveFile(work.vocals) as voices, WaveFile(work.accompaniment) as bed:
        chosen = choose_refs(voices, bed, who, script, context.settings.refs)
        for ref in chosen:
            if ref.chosen:
                write_ref(voices, ref.chosen, work.ref(ref.speaker))
                files.append(work.ref(ref.speaker))
    write_refs_report(work.refs_report, chosen, who.rate)
    rows: list[tuple[object, ...]] = []
    for ref in chosen:
        found, note = ref.chosen, ref.failure or ref.fallback or "clean"
        figures = (f"{found.length_s:.2f} s", found.snr_db, found.zcr) if found else ("-",) * 3
        rows.append((ref.speaker, *figures, note))
    return Outcome(
        files=files,
        metadata={
            "speakers": len(chosen),
            "with_ref": sum(ref.chosen is not None for ref in chosen),
            "candidates": sum(len(ref.candidates) for ref in chosen),
            "refs": table(("speaker", "length", "SNR dB", "ZCR", ""), rows),
        },
    )
