"""Stage 6: every line of every language, spoken so that it fits."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg

from dubarr_pipeline.artifacts import (
    read_diarization,
    read_sound,
    read_speakers,
    read_transcript,
)
from dubarr_pipeline.assets import checks
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
from dubarr_pipeline.library.briefing import briefed_context
from dubarr_pipeline.library.intake import look_at, subtitled
from dubarr_pipeline.library.service_hosts import service_hosts
from dubarr_pipeline.library.voice_lengths import VoiceShelf, stock_voices
from dubarr_pipeline.library.wordings import (
    edits_digest,
    existing_digests,
    existing_lines,
    read_edits,
)
from dubarr_pipeline.media.subtitles import write_srt
from dubarr_pipeline.media.voice_samples import clean_lines, write_ref
from dubarr_pipeline.media.waveform import WaveFile
from dubarr_pipeline.production.produce import produce
from dubarr_pipeline.production.results import Production
from dubarr_pipeline.production.tasks import ProductionOrder
from dubarr_pipeline.reports.pictures import timeline_picture
from dubarr_pipeline.resources import Workshop
from dubarr_pipeline.timeline.script import Cue, Diarization, Transcript
from dubarr_pipeline.timeline.script_edits import edited
from dubarr_pipeline.timeline.spans import Span, to_samples
from dubarr_pipeline.workdir import WorkDir, read_json, whole_file, write_json


def _facts(bench: Bench) -> Mapping[str, Any]:
    plan, targets = look_at(bench.video.source, bench.settings), bench.video.target_langs
    listener = crew.take_listener(bench.settings)
    return {
        "targets": targets,
        # The subtitles are named after the video.
        "stem": bench.video.source.stem,
        "translator": crew.translator(bench.settings, subtitled(plan, targets)).identity(),
        "synthesizer": crew.synthesizer(bench.settings).identity(),
        "listener": listener.identity() if listener else None,
        "options": as_facts(bench.options("production")),
        "existing": existing_digests(plan, targets),
        "edits": edits_digest(bench.work, (*targets, *_source_language(bench.work))),
    }


def _source_language(work: WorkDir) -> tuple[str, ...]:
    """What is spoken, once that is known: a person may have corrected the script itself."""
    made = work.transcription.is_file()
    return (str(read_json(work.transcription).get("language")),) if made else ()


def _produce(bench: Bench) -> Outcome:
    work, targets = bench.work, bench.video.target_langs
    plan = look_at(bench.video.source, bench.settings)
    offset_s = read_sound(work.speech).audio.offset_s
    heard, who = read_transcript(work.transcription), read_diarization(work.diarization)
    speakers, edits = read_speakers(work.speakers), read_edits(work, plan, heard, offset_s)
    context = briefed_context(bench.settings, work, heard.language, targets)
    script = edited(heard, context.edits, edits.get(heard.language))
    with ExitStack() as at_work:
        hosts = at_work.enter_context(service_hosts(bench.settings, work.logs))
        translator = at_work.enter_context(
            crew.translator(bench.settings, subtitled(plan, targets), work.logs, hosts)
        )
        synthesizer = at_work.enter_context(crew.synthesizer(bench.settings, work.logs, hosts))
        listener = crew.take_listener(bench.settings)
        shelf = VoiceShelf(bench.settings.work_dir / ".voices", synthesizer.identity())
        voices = stock_voices(speakers.values(), targets)
        made = produce(
            ProductionOrder(
                transcript=script,
                speakers=speakers,
                context=context,
                refs={s: work.ref(s) for s in who.speakers if work.ref(s).is_file()},
                targets=targets,
                work=work,
                translator=translator,
                synthesizer=synthesizer,
                options=bench.options("production"),
                existing=existing_lines(plan, targets, script, offset_s),
                edits=edits,
                line_refs=_line_refs(bench, script, who) if synthesizer.clones else {},
                lengths=_learned(work) or shelf.read(voices),
                phonemes=crew.phoneme_counter(),
                listener=at_work.enter_context(listener) if listener else None,
                force=bench.force,
            ),
            bench.on_progress,
        )
    write_json(work.lengths, {"model": made.lengths})
    shelf.keep(made.lengths, voices)
    written = [_write_subtitles(bench, made, language, offset_s) for language in targets]
    takes = [line.path for lines in made.languages.values() for line in lines if line.path]
    subtitles = [path for path in written if path]
    return Outcome([*takes, *subtitles, work.segments_report], _metadata(made, targets))


def _line_refs(bench: Bench, script: Transcript, who: Diarization) -> dict[int, Path]:
    """Clean samples of the lines themselves, for engines that follow a sample's mood."""
    work, found = bench.work, dict[int, Path]()
    with WaveFile(work.vocals) as voices, WaveFile(work.accompaniment) as bed:
        chosen = clean_lines(voices, bed, who, script, bench.options("refs"))
        for index, sample in chosen.items():
            found[index] = work.line_ref(index)
            write_ref(voices, sample, found[index])
    return found


def _learned(work: WorkDir) -> Mapping[str, Any] | None:
    """What earlier runs learned of how long these voices speak."""
    return read_json(work.lengths)["model"] if work.lengths.is_file() else None


def _write_subtitles(bench: Bench, made: Production, language: str, offset_s: float) -> Path | None:
    """The dubbed text as subtitles, on the player's clock; none where no line is dubbed."""
    path = bench.work.subtitles(bench.video.source.stem, language)
    shift = to_samples(offset_s, made.rate)
    cues = [
        Cue(Span(max(0, line.start + shift), max(1, line.start + line.length + shift)), line.text)
        for line in made.languages[language]
        if line.placed
    ]
    if not cues:
        path.unlink(missing_ok=True)
        return None
    with whole_file(path) as temporary:
        write_srt(temporary, cues, made.rate)
    return path


def _metadata(made: Production, targets: tuple[str, ...]) -> dict[str, Any]:
    stats = made.stats
    return {
        "languages": ",".join(targets),
        "lines": stats.lines,
        "placed": stats.placed,
        "kept_original": stats.kept_original,
        "failed": sum(stats.failures.values()),
        "failures": dg.MetadataValue.json(dict(stats.failures)),
        "spoken": stats.spoken,
        "from_journal": stats.reused,
        "takes_per_line": round(stats.takes_per_line, 3),
        "picture": dg.MetadataValue.md(timeline_picture(made)),
    }


STAGE = Stage(
    "segments",
    ("vocals", "diarization", "transcript", "context", "refs"),
    "1",
    _facts,
    _produce,
    checks.of_segments,
)


@stage_asset(STAGE, kinds={"apertium", "espeak"}, pool="gpu", check_specs=checks.SEGMENT_SPECS)
def segments(
    context: dg.AssetExecutionContext, config: StageConfig, workshop: Workshop
) -> dg.MaterializeResult:
    """Draft, speak, judge and refine all lines of all languages: `final_{lang}_{index}.wav`."""
    return run_stage(STAGE, context, config, workshop)
