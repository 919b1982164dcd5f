"""Stage 6: every line of every language, spoken so that it fits."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg

from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.defs.assets.checks import table
from dubarr_pipeline.defs.runtime.stage_run import Outcome, StageContext
from dubarr_pipeline.edits.film import edits_digest, write_output_revisions
from dubarr_pipeline.engines.interfaces import Synthesizer
from dubarr_pipeline.files import read_json, whole_file
from dubarr_pipeline.library.source import inspect_source
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.media.subtitles.read import write_srt
from dubarr_pipeline.script.model import Diarization, SpeakerProfile, Transcript
from dubarr_pipeline.script.speakers.references import clean_lines, write_ref
from dubarr_pipeline.segments.cast import Cast
from dubarr_pipeline.segments.gpu_services import service_hosts
from dubarr_pipeline.segments.inputs import (
    FilmEngines,
    Translations,
    briefed_context,
    existing_digests,
    existing_translations,
    film_request,
    film_script,
    keep_lengths,
)
from dubarr_pipeline.segments.results import UNSERVED, SegmentsResult, no_dub
from dubarr_pipeline.segments.series_cast import asked_corrections, series_matches
from dubarr_pipeline.spans import Span, to_samples
from dubarr_pipeline.workdir.artifacts import (
    read_diarization,
    read_sound,
    read_transcript,
)
from dubarr_pipeline.workdir.layout import WorkDir


def facts(context: StageContext) -> Mapping[str, Any]:
    """Return the facts on which the result depends, beside its inputs."""
    targets, settings, video = context.video.target_langs, context.settings, context.video
    source = context.source()
    listener, synthesizer = context.ask("voices")
    script, spoken = context.work.transcription, source.language
    # A person may have edited the script itself, in the spoken language.
    edited_languages = targets
    if script.is_file():
        spoken = str(read_json(script).get("language"))
        edited_languages = (*targets, spoken)
    existing = existing_digests(source, targets)
    known, pairs = tuple(existing), _pairs(spoken, targets)
    asked = asked_corrections(context.work)
    return {
        **({"cast": asked} if asked else {}),
        "targets": targets,
        # The subtitles are named after the video.
        "stem": video.source.stem,
        "translator": context.ask(("translation", known, pairs)),
        "synthesizer": synthesizer,
        "listener": listener,
        "options": settings.segments,
        "existing": existing,
        "edits": edits_digest(context.work, edited_languages),
    }


def make(context: StageContext) -> Outcome:
    """Draft, speak, judge and refine all lines of all languages: `final_{lang}_{index}.wav`."""
    from dubarr_pipeline.segments.run import run

    work, targets, options = context.work, context.video.target_langs, context.settings.segments
    source = inspect_source(context.video.source, context.settings, targets, work.probed)
    offset_s = read_sound(work.speech).audio.offset_s
    heard, who = read_transcript(work.transcription), read_diarization(work.diarization)
    briefed = briefed_context(context.settings, work, heard.language, targets)
    said = film_script(work, heard, briefed, targets)
    translations = existing_translations(source, targets, said, work)
    with ExitStack() as at_work:
        hosts = at_work.enter_context(service_hosts(context.settings, work.logs))
        known = tuple(source.translations(targets))
        speaker = profile_engines.synthesizer(context.settings, work.logs, hosts)
        pairs = _pairs(heard.language, targets)
        reader = profile_engines.translator(context.settings, known, work.logs, hosts, pairs)
        profile_engines.fetch_models(context.settings, reader)
        translator, synthesizer = at_work.enter_context(reader), at_work.enter_context(speaker)
        listener = profile_engines.take_verifier(context.settings)
        # A voice that repeats itself is not listened to (`segments.line.verified`).
        if listener and not synthesizer.deterministic:
            at_work.enter_context(listener)
        request = film_request(
            context.settings,
            work,
            said,
            FilmEngines(translator, synthesizer, listener),
            targets=targets,
            context=briefed,
            existing=translations.lines,
            line_refs=_line_refs(context, said.machine, who) if synthesizer.clones else {},
            force=context.force,
        )
        made = run(request, context.on_progress)
    failed = made.failed_languages(options.least_placed)
    if targets and failed.keys() >= set(targets):
        raise no_dub(failed, options.least_placed)
    keep_lengths(context.settings, request, made.lengths)
    if said.revisions:
        write_output_revisions(work, said.revisions)
    dubbed = [language for language in targets if language not in failed]
    subtitles = [_write_subtitles(context, made, each, offset_s, dubbed) for each in targets]
    takes = [line.path for lines in made.languages.values() for line in lines if line.path]
    metadata = {
        **_metadata(made, targets, translations),
        **_cast_metadata(request.cast, request.speakers),
        **_series_metadata(work, synthesizer),
    }
    reports = [work.segments_report, *([work.cast] if request.cast else [])]
    return Outcome([*takes, *filter(None, subtitles), *reports], metadata)


def _pairs(spoken: str | None, targets: Sequence[str]) -> profile_engines.Pairs:
    return tuple((spoken, target) for target in targets) if spoken else ()


def _line_refs(context: StageContext, script: Transcript, who: Diarization) -> dict[int, Path]:
    """Write clean samples of the lines themselves, for engines that follow a sample's mood."""
    work, found = context.work, dict[int, Path]()
    if not context.settings.segments.reference_per_line:
        return found
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


def _cast_metadata(cast: Cast, speakers: Mapping[str, SpeakerProfile]) -> dict[str, Any]:
    """Return who speaks for whom: for each language a table, and a line for ``dubarr status``."""
    found: dict[str, Any] = {}
    for language, voices in cast.items():
        rows: list[tuple[object, ...]] = []
        for who, each in voices.items():
            name = speakers[who].name if who in speakers else None
            rows.append((who, name or "-", each.voice, each.why, "; ".join(each.warnings) or "-"))
        found[f"voices_{language}"] = ", ".join(f"{row[0]} {row[2]}" for row in rows[:20])
        found[f"cast_{language}"] = table(("speaker", "name", "voice", "why", ""), rows)
    return found


def _series_metadata(work: WorkDir, synthesizer: Synthesizer) -> dict[str, Any]:
    """Return who the speakers are in the film's series; empty for a film of none."""
    found = series_matches(work, synthesizer)
    if found is None:
        return {}
    series, matches, proposed = found
    rows: list[tuple[object, ...]] = list(matches.items())
    figures = {"series": series, "proposed_characters": len(proposed)}
    return {**figures, "characters": table(("speaker", "in the series"), rows)}


def _metadata(
    made: SegmentsResult, targets: tuple[str, ...], translations: Translations
) -> dict[str, Any]:
    from dubarr_pipeline.reports.pictures import timeline_picture

    stats = made.stats
    return {
        "languages": ",".join(targets),
        "lines": stats.lines,
        "placed": stats.placed,
        "kept_original": stats.kept_original,
        "failed": sum(stats.failures.values()),
        "unserved": sum(stats.failures.get(name, 0) for name in UNSERVED),
        "failures": dg.MetadataValue.json(dict(stats.failures)),
        **({"edited": stats.edited, "edits_refused": stats.refused} if made.revisions else {}),
        "spoken": stats.spoken,
        "from_journal": stats.reused,
        "takes_per_line": round(stats.takes_per_line, 3),
        "picture": dg.MetadataValue.md(timeline_picture(made)),
        **{
            f"subtitles_{language}": f"{placement.verdict}: {placement.words}"
            for language, placement in translations.placements.items()
        },
    }
