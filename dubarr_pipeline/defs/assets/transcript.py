"""Stage 3: the transcript, word by word."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import dagster as dg

from dubarr_pipeline.config.profile_engines import engine
from dubarr_pipeline.defs.runtime.stage_run import Outcome, StageContext
from dubarr_pipeline.edits.people import settle_people
from dubarr_pipeline.engines.interfaces import Hearing, Transcriber, VoiceActivityDetector
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.script.fit.fitting import times
from dubarr_pipeline.script.fit.values import coverage
from dubarr_pipeline.workdir.artifacts import (
    read_cues_document,
    read_diarization,
    read_sound,
    write_transcript,
)


def facts(context: StageContext) -> Mapping[str, Any]:
    """Return the facts on which the result depends, beside its inputs."""
    return context.ask("transcription")


def make(context: StageContext) -> Outcome:
    """Transcribe every line, word by word: `transcription.json`."""
    work, sound = context.work, read_sound(context.work.speech)
    script, who = read_cues_document(work.cues), read_diarization(work.diarization)
    transcriber = engine(context.settings, Transcriber)
    with transcriber, WaveFile(work.vocals) as voices, WaveFile(work.accompaniment) as bed:
        hearing = Hearing(
            voices,
            sound.speech,
            who,
            script.cues,
            script.language,
            sound.language_per_channel,
            accompaniment=bed,
            padding_s=engine(context.settings, VoiceActivityDetector).padding_s,
        )
        found = transcriber.transcribe(hearing, context.on_progress)
    # Cues that have no place in the film never came to the engine.
    found = replace(found, left_out=(*script.placement.left_out, *found.left_out))
    write_transcript(work.transcription, found, engine=transcriber.identity())
    lost = settle_people(work, found)
    covered = coverage(found.segments, sound.speech, found.rate)
    return Outcome(
        files=[work.transcription],
        metadata={
            "language": found.language,
            "language_doubt": found.language_doubt or "none",
            "channel_languages": ", ".join(found.channel_languages) or "one for all",
            "lines": len(found.lines),
            "words": sum(len(s.words) for s in found.lines),
            "speech_nobody_wrote_down": times(covered.uncovered, found.rate) or "none",
            "lines_nobody_speaks": times(covered.unspoken, found.rate) or "none",
            **({"corrected_speakers_gone": ", ".join(lost)} if lost else {}),
            "kinds": dg.MetadataValue.json(dict(Counter(s.kind for s in found.segments))),
            "script": dg.MetadataValue.md(
                "\n".join(f"- **{s.speaker}** {s.text}" for s in found.lines[:40])
            ),
        },
    )
