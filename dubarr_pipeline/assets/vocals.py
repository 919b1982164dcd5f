"""Stage 1: the soundtrack, taken apart into voices and everything else."""

import shutil
from collections.abc import Mapping
from typing import Any

import dagster as dg

from dubarr_pipeline.artifacts import SourceCues, SourceSound, write_cues, write_sound
from dubarr_pipeline.assets.stage import (
    Bench,
    Outcome,
    Stage,
    StageConfig,
    as_facts,
    run_stage,
    stage_asset,
)
from dubarr_pipeline.engines.interfaces import Progress
from dubarr_pipeline.engines.separation.stems import write_stems
from dubarr_pipeline.engines.voice_activity.listening import extract_and_listen
from dubarr_pipeline.library import crew
from dubarr_pipeline.library.intake import Plan, look_at, script_digest
from dubarr_pipeline.media.extract import ExtractedAudio
from dubarr_pipeline.media.subtitles import read_cues
from dubarr_pipeline.reports.pictures import waveform_picture
from dubarr_pipeline.resources import Workshop
from dubarr_pipeline.timeline.cue_layout import SoundClock, missed_lines
from dubarr_pipeline.timeline.spans import merge, total
from dubarr_pipeline.workdir import whole_file


def _facts(bench: Bench) -> Mapping[str, Any]:
    return {
        "source": bench.video.identity.digest,
        "script": script_digest(look_at(bench.video.source, bench.settings)),
        "audio": as_facts(bench.options("audio")),
        "voice_activity": crew.voice_activity_detector(bench.settings).identity(),
        "separation": crew.separator(bench.settings).identity(),
        "options": as_facts(bench.options("voice_activity")),
    }


def _produce(bench: Bench) -> Outcome:
    work, plan = bench.work, look_at(bench.video.source, bench.settings)
    with whole_file(work.accompaniment) as bed, whole_file(work.vocals) as voices:
        with crew.voice_activity_detector(bench.settings) as detector:
            heard = extract_and_listen(
                plan.info, plan.stream, bed, detector, _share(bench, 0.0, 0.4, "listening")
            )
        cues = _cues(plan, heard.audio)
        clock = SoundClock(heard.audio.rate, heard.audio.samples)
        missed = missed_lines(cues.cues, heard.speech, clock)
        separated = tuple(merge([*heard.speech, *missed]))
        with crew.separator(bench.settings) as separator:
            separator.keep_in(work.temporary / "separation")
            stems = write_stems(
                bed, voices, separator, separated, _share(bench, 0.4, 1.0, "separating")
            )
    shutil.rmtree(work.temporary / "separation", ignore_errors=True)
    write_cues(work.cues, cues)
    write_sound(work.speech, SourceSound(plan.stream.index, heard.audio, heard.speech, separated))
    rate = heard.audio.rate
    return Outcome(
        files=[work.vocals, work.accompaniment, work.speech, work.cues],
        metadata={
            "stream": plan.stream.describe(),
            "duration_s": round(heard.audio.samples / rate, 3),
            "speech_s": round(total(heard.speech) / rate, 3),
            "lines_not_detected": len(missed),
            "script": cues.origin or "none",
            "layout": heard.audio.layout or f"{heard.audio.channels} channels",
            "loudness_lufs": heard.audio.loudness_lufs,
            "method": stems.method,
            "picture": dg.MetadataValue.md(waveform_picture(work.vocals, heard.speech)),
            "folder": dg.MetadataValue.path(work.root),
        },
    )


def _cues(plan: Plan, audio: ExtractedAudio) -> SourceCues:
    """The subtitles that hold the words, on the sound's clock; read once, for all later stages."""
    script = plan.script
    cues = read_cues(script, plan.info, audio.rate, audio.offset_s) if script else ()
    origin = script.describe() if script else None
    return SourceCues(audio.rate, origin, plan.language, cues)


def _share(bench: Bench, start: float, end: float, note: str):
    """Progress of a part of the stage, as a share of the whole."""

    def tell(progress: Progress) -> None:
        done = progress.done / progress.total if progress.total else 1.0
        bench.on_progress(Progress(start + (end - start) * done, 1.0, note))

    return tell


STAGE = Stage("vocals", (), "1", _facts, _produce)


@stage_asset(STAGE, kinds={"ffmpeg", "onnx"}, pool="gpu")
def vocals(
    context: dg.AssetExecutionContext, config: StageConfig, workshop: Workshop
) -> dg.MaterializeResult:
    """Take the soundtrack apart: `vocals.wav`, `accompaniment.wav`, and where somebody speaks.

    Outside speech the accompaniment is the original sound, bit for bit.
    """
    return run_stage(STAGE, context, config, workshop)
