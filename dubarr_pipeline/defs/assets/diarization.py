"""Stage 2: diarization, the turns of every speaker."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dubarr_pipeline.config.profile_engines import engine
from dubarr_pipeline.defs.runtime.stage_run import Outcome, StageContext
from dubarr_pipeline.engines.interfaces import Diarizer
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.spans import to_seconds, total
from dubarr_pipeline.workdir.artifacts import read_cues_document, read_sound, write_diarization


def facts(context: StageContext) -> Mapping[str, Any]:
    """Return the facts on which the result depends, beside its inputs."""
    found, unscripted = context.ask("diarization")
    if not unscripted:
        return found
    source = context.source()
    return found if source.script else {**found, "unscripted": unscripted}


def make(context: StageContext) -> Outcome:
    """Find out who speaks when: `diarization.json`."""
    from dubarr_pipeline.reports.pictures import turns_picture

    work, sound = context.work, read_sound(context.work.speech)
    rate, cues = sound.audio.rate, read_cues_document(work.cues).cues
    diarizer = engine(context.settings, Diarizer)
    with diarizer, WaveFile(work.vocals) as voices:
        found = diarizer.diarize(voices, sound.speech, cues, context.on_progress)
    write_diarization(work.diarization, found, engine=diarizer.identity())
    seconds = {
        found.names.get(speaker, speaker): to_seconds(total(spans), rate)
        for speaker, spans in sorted(found.spans().items())
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
