"""The report as one page that needs nothing else: no server, no network, no script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from dubarr_pipeline.library.languages import display_name
from dubarr_pipeline.media.mux import StreamProof, TrackFlags
from dubarr_pipeline.production.results import ProducedLine
from dubarr_pipeline.reports import palette
from dubarr_pipeline.reports.axis import clock
from dubarr_pipeline.reports.contents import Failure, Report
from dubarr_pipeline.reports.evidence import TrackNote
from dubarr_pipeline.reports.measure import figure
from dubarr_pipeline.reports.page_timeline import STRIP_WIDTH, Strip, TimelineText, strips
from dubarr_pipeline.reports.quality import LanguageQuality, failure_name
from dubarr_pipeline.timeline.spans import to_seconds

LINES_PER_PART = 250
_OPEN_STRIPS = 12


@dataclass(frozen=True, slots=True)
class LineRow:
    """One row of the table of lines.

    Attributes:
        style: the CSS class of the speaker's colour.
        window_s: the longest it may be; `predicted_s` and `measured_s` are of its takes.
        tempo_percent: None unless placed.
        late_ms: how far it starts after the original; None unless placed.
    """

    index: int
    time: str
    speaker: str
    style: str
    source: str
    text: str
    window_s: float
    predicted_s: float
    measured_s: float | None
    tempo_percent: float | None
    late_ms: float | None
    takes: int
    outcome: str
    message: str
    failed: bool


@dataclass(frozen=True, slots=True)
class LanguagePart:
    """What the page shows of one track."""

    name: str
    quality: LanguageQuality
    mix: TrackNote | None
    strips: tuple[Strip, ...]
    rows: tuple[LineRow, ...]
    failures: tuple[Failure, ...]

    @property
    def parts(self) -> tuple[tuple[LineRow, ...], ...]:
        """The rows in pieces that can be folded."""
        steps = range(0, len(self.rows), LINES_PER_PART)
        return tuple(self.rows[at : at + LINES_PER_PART] for at in steps)


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream of the finished file: how it was proven, and how players shall see it."""

    proof: StreamProof
    flags: TrackFlags | None


def page(report: Report) -> str:
    """Return ``report.html``; every text in it is escaped."""
    speakers = [found.profile.speaker for found in report.speakers]
    colours = palette.speaker_colours(speakers)
    styles = {who: f"s{rank}" for rank, who in enumerate(sorted(colours))}
    sound = report.evidence.sound.audio
    return _template().render(
        report=report,
        mux=report.evidence.mux,
        sound=sound,
        duration=clock(sound.samples / sound.rate),
        colours={styles[who]: colour for who, colour in colours.items()},
        styles=styles,
        failed_colour=palette.FAILED,
        kept_colour=palette.KEPT,
        parts=[_part(report, found, styles) for found in report.languages],
        streams=_streams(report),
        strip_width=STRIP_WIDTH,
        open_strips=_OPEN_STRIPS,
    )


@cache
def _template() -> Template:
    # Subtitles are strangers' texts: everything is escaped, and nothing is marked as safe.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["figure"] = figure
    environment.filters["clock"] = clock
    source = files("dubarr_pipeline.reports").joinpath("report.html").read_text("utf-8")
    return environment.from_string(source)


def _part(report: Report, found: LanguageQuality, styles: Mapping[str, str]) -> LanguagePart:
    lines = report.evidence.lines(found.language)
    texts = {index: segment.text for index, segment in report.segments.items()}
    names = TimelineText(styles, texts)
    script = report.evidence.script
    return LanguagePart(
        name=display_name(found.language),
        quality=found,
        mix=report.evidence.mixes.get(found.language),
        strips=strips(lines, script.samples, report.evidence.production.rate, names),
        rows=tuple(_row(line, report, names) for line in lines),
        failures=tuple(f for f in report.failures if f.language == found.language),
    )


def _row(line: ProducedLine, report: Report, names: TimelineText) -> LineRow:
    rate = report.evidence.production.rate
    samples = report.evidence.sound_samples.get((line.language, line.index))
    late = 1000 * to_seconds(line.start - line.source.start, rate)
    return LineRow(
        index=line.index,
        time=clock(line.source.start / rate),
        speaker=line.speaker,
        style=names.styles.get(line.speaker, "k"),
        source=names.texts.get(line.index, ""),
        text=line.text,
        window_s=line.window.seconds(rate),
        predicted_s=line.predicted_s,
        measured_s=None if samples is None else to_seconds(samples, rate),
        tempo_percent=round(100 * float(line.tempo), 1) if line.placed else None,
        late_ms=late if line.placed else None,
        takes=len(line.takes),
        outcome=line.outcome,
        message=line.message,
        failed=bool(failure_name(line)),
    )


def _streams(report: Report) -> tuple[StreamRow, ...]:
    """The streams of the finished file; covers are attachments, which have no flags."""
    flags = report.evidence.mux.flags
    return tuple(
        StreamRow(proof, flags[at] if at < len(flags) else None)
        for at, proof in enumerate(report.evidence.mux.streams)
    )
