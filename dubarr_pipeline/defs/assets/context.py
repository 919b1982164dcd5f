"""Stage 4: the context of the whole script, and the profiles of its speakers."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg

from dubarr_pipeline.config.profile_engines import engine
from dubarr_pipeline.defs.assets.checks import table
from dubarr_pipeline.defs.runtime.stage_run import Outcome, StageContext
from dubarr_pipeline.engines.interfaces import ScriptAnalyzer
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.workdir.artifacts import (
    read_diarization,
    read_transcript,
    write_context,
    write_speakers,
)
from dubarr_pipeline.workdir.corrections import with_context_edits, with_speaker_edits


def facts(context: StageContext) -> Mapping[str, Any]:
    """Return the facts on which the result depends, beside its inputs."""
    return context.ask("context")


def make(context: StageContext) -> Outcome:
    """Read the whole script: `context.json` (tone, glossary, style), `speakers.json`."""
    work = context.work
    script, who = read_transcript(work.transcription), read_diarization(work.diarization)
    analyzer = engine(context.settings, ScriptAnalyzer, work.logs)
    with analyzer, WaveFile(work.vocals) as voices:
        memory = work.answers("context")
        reading = analyzer.read(script, who, voices, context.on_progress, memory)
    usage = asdict(reading.usage)
    # With a person's corrections, so that they are seen where they were made.
    found = with_context_edits(work, reading.context)
    people = with_speaker_edits(work, {each.speaker: each for each in reading.speakers})
    write_context(work.context, found, engine=analyzer.identity(), usage=usage)
    write_speakers(work.speakers, tuple(people.values()))
    rows: list[tuple[str, ...]] = []
    for s in people.values():
        pitch = f"{s.pitch_hz:.0f} Hz" if s.pitch_hz else "-"
        rows.append((s.speaker, s.name or "-", pitch, s.gender or "-", s.style or "-"))
    # What only a language model leaves: gaps, corrections, its speed.
    speed, notes = reading.usage, dict[str, Any]()
    if found.gaps:
        notes["gaps"] = dg.MetadataValue.md("\n".join(f"- {gap}" for gap in found.gaps))
    if found.edits:
        notes["corrections"] = len(found.edits)
        notes["corrections_applied"] = sum(edit.applied for edit in found.edits)
    if speed.tokens:
        notes["llm_tokens"] = speed.tokens
        notes["llm_tokens_per_s"] = round(speed.tokens / max(speed.busy_s, 1e-6), 1)
    return Outcome(
        files=[work.context, work.speakers],
        metadata={
            "tone": found.tone,
            "synopsis": dg.MetadataValue.md(found.synopsis),
            "glossary": ", ".join(t.source for t in found.glossary) or "none",
            "speakers": table(("speaker", "name", "pitch", "gender", "style"), rows),
            **notes,
        },
    )
