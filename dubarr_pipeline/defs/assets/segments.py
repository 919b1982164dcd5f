"""Stage 6: every line of every language, spoken so that it fits."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg

from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.defs.runtime.stage_run import Outcome, StageContext
from dubarr_pipeline.files import read_json, whole_file, write_json
from dubarr_pipeline.library.source import inspect_source
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.media.subtitles.read import write_srt
from dubarr_pipeline.reports.pictures import timeline_picture
from dubarr_pipeline.script.edits import edited
from dubarr_pipeline.script.model import Diarization, Transcript
from dubarr_pipeline.script.speakers.references import clean_lines, write_ref
from dubarr_pipeline.segments.gpu_services import service_hosts
from dubarr_pipeline.segments.inputs import (
    briefed_context,
    edits_digest,
    existing_digests,
    existing_translations,
    read_edits,
)
from dubarr_pipeline.segments.lengths import VoiceLengthStore, stock_voices
from dubarr_pipeline.segments.results import UNSERVED, SegmentsResult, no_dub
from dubarr_pipeline.segments.run import run
from dubarr_pipeline.segments.tasks import SegmentsRequest
from dubarr_pipeline.spans import Span, to_samples
from dubarr_pipeline.workdir.artifacts import (
    read_diarization,
    read_sound,
    read_speakers,
    read_transcript,
)


def facts(context: StageContext) -> Mapping[str, Any]:
    """Return the facts on which the result depends, beside its inputs."""
    targets = context.video.target_langs
    source = inspect_source(context.video.source, context.settings, targets)
    listener = profile_engines.take_verifier(context.settings)
    script, spoken = context.work.transcription, source.language
    # A person may have edited the script itself, in the spoken language.
    edited_languages = targets
    if script.is_file():
        spoken = str(read_json(script).get("language"))
        edited_languages = (*targets, spoken)
    known = tuple(source.translations(targets))
    return {
        "targets": targets,
        # The subtitles are named after the video.
        "stem": context.video.source.stem,
        "translator": profile_engines.translator(
            context.settings, known, pairs=_pairs(spoken, targets)
        ).identity(),
        "synthesizer": profile_engines.synthesizer(context.settings).identity(),
        "listener": listener.identity() if listener else None,
        "options": context.settings.segments,
        "existing": existing_digests(source, targets),
        "edits": edits_digest(context.work, edited_languages),
    }


def make(context: StageContext) -> Outcome:
    """Draft, speak, judge and refine all lines of all languages: `final_{lang}_{index}.wav`."""
    work, targets = context.work, context.video.target_langs
    source = inspect_source(context.video.source, context.settings, targets)
    sound = read_sound(work.speech)
    offset_s = sound.audio.offset_s
    heard, who = read_transcript(work.transcription), read_diarization(work.diarization)
    speakers, edits = read_speakers(work.speakers), read_edits(work, source, heard, offset_s)
    briefed = briefed_context(context.settings, work, heard.language, targets)
    script = edited(heard, briefed.edits, edits.get(heard.language))
    translations = existing_translations(source, targets, script, work)
    with ExitStack() as at_work:
        hosts = at_work.enter_context(service_hosts(context.settings, work.logs))
        known = tuple(source.translations(targets))
        speaker = profile_engines.synthesizer(context.settings, work.logs, hosts)
        pairs = _pairs(heard.language, targets)
        reader = profile_engines.translator(context.settings, known, work.logs, hosts, pairs)
        profile_engines.fetch_models(context.settings, reader)
        translator, synthesizer = at_work.enter_context(reader), at_work.enter_context(speaker)
        listener = profile_engines.take_verifier(context.settings)
        store = VoiceLengthStore(context.settings.work_dir / ".voices", synthesizer.identity())
        voices = stock_voices(speakers.values(), targets)
        learned = read_json(work.lengths)["model"] if work.lengths.is_file() else None
        made = run(
            SegmentsRequest(
                transcript=script,
                speakers=speakers,
                context=briefed,
                refs={s: work.ref(s) for s in who.speakers if work.ref(s).is_file()},
                targets=targets,
                work=work,
                translator=translator,
                synthesizer=synthesizer,
                options=context.settings.segments,
                existing=translations.lines,
                edits=edits,
                line_refs=_line_refs(context, script, who) if synthesizer.clones else {},
                lengths=learned or store.read(voices),
                phonemes=profile_engines.phoneme_counter(),
                listener=at_work.enter_context(listener) if listener else None,
                force=context.force,
            ),
            context.on_progress,
        )
    floor = context.settings.segments.least_placed
    failed = made.failed_languages(floor)
    if targets and failed.keys() >= set(targets):
        raise no_dub(failed, floor)
    write_json(work.lengths, {"model": made.lengths})
    store.keep(made.lengths, voices)
    dubbed = [language for language in targets if language not in failed]
    subtitles = [_write_subtitles(context, made, each, offset_s, dubbed) for each in targets]
    takes = [line.path for lines in made.languages.values() for line in lines if line.path]
    metadata = _metadata(made, targets)
    for language, placement in translations.placements.items():
        metadata[f"subtitles_{language}"] = f"{placement.verdict}: {placement.words}"
    return Outcome([*takes, *filter(None, subtitles), work.segments_report], metadata)


def _pairs(spoken: str | None, targets: Sequence[str]) -> profile_engines.Pairs:
    return tuple((spoken, target) for target in targets) if spoken else ()


def _line_refs(context: StageContext, script: Transcript, who: Diarization) -> dict[int, Path]:
    """Write clean samples of the lines themselves, for engines that follow a sample's mood."""
    work, found = context.work, dict[int, Path]()
    with WaveFile(work.vocals) as voices, WaveFile(work.accompaniment) as bed:
        chosen = clean_lines(voices, bed, who, script, context.settings.refs)
        for index, sample in chosen.items():
            found[index] = work.line_ref(index)
            write_ref(voices, sample, found[index])
    return found


def _write_subtitles(
    context: StageContext,
    made: SegmentsResult,
    language: str,
    offset_s: float,
    dubbed: Sequence[str],
) -> Path | None:
    """Write the dubbed text as subtitles, on the player's clock; none where no line is dubbed."""
    path = context.work.subtitles(context.video.source.stem, language)
    shift = to_samples(offset_s, made.rate)
    cues = [
        Cue(Span(max(0, line.start + shift), max(1, line.start + line.length + shift)), line.text)
        for line in made.languages[language]
        if line.placed and language in dubbed
    ]
    if not cues:
        path.unlink(missing_ok=True)
        return None
    with whole_file(path) as temporary:
        write_srt(temporary, cues, made.rate)
    return path


def _metadata(made: SegmentsResult, targets: tuple[str, ...]) -> dict[str, Any]:
    stats = made.stats
    return {
        "languages": ",".join(targets),
        "lines": stats.lines,
        "placed": stats.placed,
        "kept_original": stats.kept_original,
        "failed": sum(stats.failures.values()),
        "unserved": sum(stats.failures.get(name, 0) for name in UNSERVED),
        "failures": dg.MetadataValue.json(dict(stats.failures)),
        "spoken": stats.spoken,
        "from_journal": stats.reused,
        "takes_per_line": round(stats.takes_per_line, 3),
        "picture": dg.MetadataValue.md(timeline_picture(made)),
    }
