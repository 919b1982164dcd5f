"""What a finished video's report says: durations, quality, and every failure by name."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.production.results import ProducedLine
from dubarr_pipeline.reports.contents import Failure, Report, SpeakerSummary, StageTime
from dubarr_pipeline.reports.document import document
from dubarr_pipeline.reports.evidence import Evidence, RefNote, gather
from dubarr_pipeline.reports.page import page
from dubarr_pipeline.reports.quality import failure_name, film_measures, language_quality
from dubarr_pipeline.reports.summary import summary
from dubarr_pipeline.timeline.script import Segment, SpeakerProfile
from dubarr_pipeline.timeline.spans import to_seconds, total
from dubarr_pipeline.workdir import WorkDir, write_json, write_text

__all__ = ["Report", "StageTime", "make_report", "write_report"]

_log = logging.getLogger(__name__)


def make_report(video: Video, work: WorkDir, stages: Sequence[StageTime]) -> Report:
    """Gather the report of a video from its artifacts.

    Args:
        video: with its target languages, in order.
        work: its folder, with everything up to the finished file.
        stages: how long each of them took.

    Raises:
        ArtifactError: if an artifact is missing or damaged.
    """
    found = gather(work)
    languages = tuple(language_quality(found, language) for language in video.target_langs)
    film, failures = film_measures(found), _failures(found, video.target_langs)
    report = Report(
        video=video,
        stages=tuple(stages),
        evidence=found,
        languages=languages,
        film=film,
        failures=failures,
        speakers=_speakers(found),
        kinds=dict(Counter(segment.kind for segment in found.script.segments)),
        summary=(),
    )
    missed = sum(row.met == "missed" for row in report.measures)
    _log.info("report: %d lines failed, %d figures missed", len(failures), missed)
    return replace(report, summary=summary(report))


def write_report(report: Report, work: WorkDir) -> None:
    """Write ``report.json`` and ``report.html``, each whole.

    Raises:
        DiskFull, NotWritable: if the work folder refuses.
    """
    write_json(work.report, document(report))
    write_text(work.report_page, page(report))


def _failures(found: Evidence, languages: Sequence[str]) -> tuple[Failure, ...]:
    texts = {segment.index: segment.text for segment in found.script.segments}
    return tuple(
        _failure(line, texts.get(line.index, ""), found.production.rate)
        for language in languages
        for line in found.lines(language)
        if failure_name(line)
    )


def _failure(line: ProducedLine, source_text: str, rate: int) -> Failure:
    return Failure(
        language=line.language,
        index=line.index,
        speaker=line.speaker,
        start_s=to_seconds(line.source.start, rate),
        end_s=to_seconds(line.source.end, rate),
        name=failure_name(line),
        source_text=source_text,
        text=line.text,
        message=line.message,
    )


def _speakers(found: Evidence) -> tuple[SpeakerSummary, ...]:
    lines: dict[str, list[Segment]] = {}
    for segment in found.script.segments:
        lines.setdefault(segment.speaker, []).append(segment)
    return tuple(
        SpeakerSummary(
            found.speakers.get(who, SpeakerProfile(who)),
            len(lines.get(who, ())),
            to_seconds(total(s.span for s in lines.get(who, ())), found.script.rate),
            found.refs.get(who, RefNote(note="not looked for")),
        )
        for who in sorted({*found.speakers, *lines})
    )
