"""Report of a finished video: durations, quality, and every failure by name; ``report.json``."""

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from dubarr_pipeline.compute.memory import note_as_json
from dubarr_pipeline.config.options import GateOptions
from dubarr_pipeline.files import write_json, write_text
from dubarr_pipeline.library.gate import gate_document, judge, last_decision, write_figures
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.reports.evidence import Evidence, RefNote, gather
from dubarr_pipeline.reports.gate_figures import gate_figures
from dubarr_pipeline.reports.page import page
from dubarr_pipeline.reports.quality import (
    LanguageQuality,
    failure_name,
    film_measures,
    language_quality,
)
from dubarr_pipeline.reports.summary import Failure, Report, SpeakerSummary, StageTime, summary
from dubarr_pipeline.script.model import Segment, SpeakerProfile
from dubarr_pipeline.script.speakers.casting import NARRATOR
from dubarr_pipeline.spans import to_seconds, total
from dubarr_pipeline.workdir.artifacts import span_seconds, timed_document
from dubarr_pipeline.workdir.layout import WorkDir

__all__ = ["Report", "StageTime", "make_report", "write_report"]

_log = logging.getLogger(__name__)
_LOUDNESS = (
    "loudness_lufs source_lufs target_lufs miss_lu true_peak_dbtp lra_lu dialogue_lufs measured_on "
    "codec"
)
_HEARD = "speech_s dubbed_s muted_s original_left_db doubled_s"


def make_report(
    video: Video, work: WorkDir, stages: Sequence[StageTime], bounds: GateOptions | None = None
) -> Report:
    """Gather a video's report from its artifacts, and judge it by the bounds of its gate.

    Raises:
        ArtifactError: if one is unreadable.
    """
    found = gather(work)
    languages = tuple(language_quality(found, language) for language in video.target_langs)
    figures = {each.language: gate_figures(found, each) for each in languages}
    gate = judge(figures, last_decision(work), bounds or GateOptions())
    film, failures = film_measures(found), _failures(found, video.target_langs)
    lines: defaultdict[str, list[Segment]] = defaultdict(list)
    for segment in found.script.segments:
        lines[segment.speaker].append(segment)
    speakers = tuple(
        SpeakerSummary(
            found.speakers.get(who, SpeakerProfile(who)),
            len(lines[who]),
            to_seconds(total(s.span for s in lines[who]), found.script.rate),
            found.refs.get(who, RefNote(note="not searched for")),
            {
                language: each
                for language, cast in found.cast.items()
                if language in video.target_langs and (each := cast.get(who, cast.get(NARRATOR)))
            },
        )
        for who in sorted({*found.speakers, *lines})
    )
    kinds = dict(Counter(segment.kind for segment in found.script.segments))
    parts = (found, languages, film, failures, speakers, kinds)
    report = Report(video, tuple(stages), *parts, gate, figures, summary=())
    missed = sum(row.met == "missed" for row in report.measures)
    _log.info("report: %d lines failed, %d figures missed", len(failures), missed)
    return replace(report, summary=summary(report))


def write_report(report: Report, work: WorkDir, review: str = "") -> None:
    """Write ``report.json``, ``report.html`` and ``gate.json``, each whole.

    `review` is the address of the film's review page, where one is known.

    Raises:
        DiskFull, NotWritable: if they cannot be written.
    """
    write_figures(work, report.figures)
    write_json(work.report, document(report))
    write_text(work.report_page, page(report, review))


def _failures(found: Evidence, languages: Sequence[str]) -> tuple[Failure, ...]:
    texts, rate = {s.index: s.text for s in found.script.segments}, found.production.rate
    return tuple(
        Failure(
            language=line.language,
            index=line.index,
            speaker=line.speaker,
            start_s=to_seconds(line.source.start, rate),
            end_s=to_seconds(line.source.end, rate),
            name=failure_name(line),
            source_text=texts.get(line.index, ""),
            text=line.text,
            message=line.message,
        )
        for language in languages
        for line in found.lines(language)
        if failure_name(line)
    )


def document(report: Report) -> dict[str, Any]:
    """Return the content of ``report.json``."""
    video, mux, sound = report.video, report.evidence.mux, report.evidence.sound.audio
    stats, script = report.evidence.production.stats, report.evidence.script
    return {
        "key": video.key,
        "source": str(video.source),
        "profile": video.profile,
        "languages": list(video.target_langs),
        "summary": list(report.summary),
        "gate": gate_document(report.gate, report.figures),
        "durations": {
            "total_s": report.total_s,
            "stages": [_figures(stage, "stage seconds reused") for stage in report.stages],
        },
        "memory": {s.stage: note_as_json(s.memory) for s in report.stages if s.memory},
        "llm": {"tokens": stats.tokens, "tokens_per_s": round(stats.tokens_per_s, 3)}
        if stats.tokens
        else None,
        "script": _script(report),
        "script_reading": asdict(report.evidence.reading),
        "film": {
            "duration_s": round(sound.samples / sound.rate, 3),
            **_figures(sound, "rate channels layout"),
            "language_per_channel": report.evidence.sound.language_per_channel,
            "channel_languages": list(script.channel_languages),
            **_figures(sound, "loudness_lufs true_peak_dbtp notes"),
        },
        "kinds": dict(report.kinds),
        "left_out": [
            {**span_seconds(cue.span, script.rate), **_figures(cue, "text reason")}
            for cue in script.left_out
        ],
        "lines": {found.language: _counts(report, found) for found in report.languages},
        "quality": [
            _figures(row, "language name value unit must target better met basis")
            for row in report.measures
        ],
        "loudness": {
            language: {**_figures(mix, _LOUDNESS), "notes": list(mix.notes)}
            for language, mix in report.evidence.mixes.items()
        },
        "heard": {name: _figures(each, _HEARD) for name, each in report.evidence.heard.items()},
        "failures": [{**asdict(f), "outcome": f"failed:{f.name}"} for f in report.failures],
        "speakers": [_speaker(found) for found in report.speakers],
        "corrected": list(report.evidence.corrected),
        "streams": [asdict(row) for row in mux.streams],
        "converted": [asdict(row) for row in mux.converted],
        "flags": [{**asdict(row), "flags": sorted(row.flags)} for row in mux.flags],
        "checks": asdict(mux.checks),
        "tools": list(mux.tools),
    }


def _speaker(found: SpeakerSummary) -> dict[str, Any]:
    return {
        **_figures(found.profile, "speaker name gender age_group pitch_hz"),
        "voices": {language: asdict(each) for language, each in found.voices.items()},
        "lines": found.lines,
        "speech_s": found.speech_s,
        "ref": asdict(found.ref),
    }


def _script(report: Report) -> dict[str, Any]:
    """Return how the script was put on the film, and what it and the speech lack of each other."""
    covered, rate = report.evidence.coverage, report.evidence.script.rate
    placement = timed_document(report.evidence.placement, rate)
    return {
        **{k: v for k, v in placement.items() if k != "left_out"},
        "language_doubt": report.evidence.script.language_doubt,
        "speech_nobody_wrote_down": [span_seconds(span, rate) for span in covered.uncovered],
        "speech_nobody_wrote_down_share": round(covered.uncovered_share, 4),
        "lines_nobody_speaks": [span_seconds(span, rate) for span in covered.unspoken],
    }


def _counts(report: Report, found: LanguageQuality) -> dict[str, Any]:
    names = Counter(f.name for f in report.failures if f.language == found.language)
    lines = report.evidence.lines(found.language)
    voices = {str(line.index): line.voice for line in lines if line.voice}
    return {
        **_figures(found, "lines placed"),
        "kept_original": found.kept,
        **_figures(found, "failed nameless"),
        "failures": dict(sorted(names.items())),
        "flagged": {str(line.index): list(line.flags) for line in lines if line.flags},
        **({"voices": voices} if voices else {}),
    }


def _figures(found: object, names: str) -> dict[str, Any]:
    """Return attributes by name, without infinity, which JSON lacks: silence has no true peak."""
    values = {name: getattr(found, name) for name in names.split()}
    is_infinite = {n for n, v in values.items() if isinstance(v, float) and not math.isfinite(v)}
    return {**values, **dict.fromkeys(is_infinite)}
