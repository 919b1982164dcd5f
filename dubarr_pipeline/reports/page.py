"""The report as one self-contained page: no server, no network, no script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import zip_longest
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from dubarr_pipeline.reports import pictures
from dubarr_pipeline.reports.quality import failure_name, figure
from dubarr_pipeline.reports.summary import Report
from dubarr_pipeline.script.fit.fitting import times
from dubarr_pipeline.segments.results import KEPT_ORIGINAL, LineResult
from dubarr_pipeline.spans import Span, to_seconds
from dubarr_pipeline.text.languages import display_name

LINES_PER_PART = 250
_OPEN_STRIPS = 12
STRIP_WIDTH = 1000
_STRIP_S = (10, 20, 30, 60, 120, 180)
_MAX_STRIPS = 40
_TITLE_CHARACTERS = 90
_TICKS = 12


def page(report: Report, review: str = "") -> str:
    """Return ``report.html``, with a link to the review page; every text in it is escaped."""
    speakers = [found.profile.speaker for found in report.speakers]
    colours = pictures.speaker_colours(speakers)
    styles = {who: f"s{rank}" for rank, who in enumerate(sorted(colours))}
    evidence = report.evidence
    sound, mux, rate = evidence.sound.audio, evidence.mux, evidence.script.rate
    names = TimelineText(styles, {i: segment.text for i, segment in report.segments.items()})
    parts: list[dict[str, Any]] = []
    for found in report.languages:
        lines, named = evidence.lines(found.language), display_name(found.language)
        shown = strips(lines, evidence.script.samples, evidence.production.rate, names)
        rows = [_row(line, report, names) for line in lines]
        mix = evidence.mixes.get(found.language)
        parts.append({"name": named, "quality": found, "mix": mix, "strips": shown, "rows": rows})
    return _template().render(
        report=report,
        review=review,
        mux=mux,
        sound=sound,
        duration=pictures.clock(sound.samples / sound.rate),
        colours={styles[who]: colour for who, colour in colours.items()},
        styles=styles,
        failed_colour=pictures.FAILED_COLOUR,
        kept_colour=pictures.KEPT_COLOUR,
        parts=parts,
        # Covers are attachments, which have no flags.
        streams=zip_longest(mux.streams, mux.flags[: len(mux.streams)]),
        uncovered=times(evidence.coverage.uncovered, rate),
        unspoken=times(evidence.coverage.unspoken, rate),
        strip_width=STRIP_WIDTH,
        open_strips=_OPEN_STRIPS,
        lines_per_part=LINES_PER_PART,
    )


@cache
def _template() -> Template:
    # Subtitles are untrusted text: everything is escaped, and nothing is marked as safe.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"figure": figure, "clock": pictures.clock}
    source = files("dubarr_pipeline.reports").joinpath("report.html").read_text("utf-8")
    return environment.from_string(source)


def _row(line: LineResult, report: Report, names: TimelineText) -> dict[str, Any]:
    """Return a row of the table of lines; tempo and delay only where it is placed."""
    rate = report.evidence.production.rate
    samples = report.evidence.sound_samples.get((line.language, line.index))
    late_ms = 1000 * to_seconds(line.start - line.source.start, rate)
    return {
        "line": line,
        "time": pictures.clock(line.source.start / rate),
        "style": names.styles.get(line.speaker, "k"),
        "source": names.texts.get(line.index, ""),
        "window_s": line.window.seconds(rate),
        "measured_s": None if samples is None else to_seconds(samples, rate),
        "tempo_percent": round(100 * float(line.tempo), 1) if line.placed else None,
        "late_ms": late_ms if line.placed else None,
        "failed": bool(failure_name(line)),
    }


@dataclass(frozen=True, slots=True)
class Bar:
    """Line in a strip: its place in units of the strip's width, and its tooltip."""

    x: float
    width: float
    row: int
    style: str
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """Stretch of film. `ticks`: place and label of the axis marks."""

    label: str
    ticks: tuple[tuple[float, str], ...]
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class TimelineText:
    """Names of bars: speaker -> CSS class, and index -> the original's text."""

    styles: Mapping[str, str]
    texts: Mapping[int, str]


def strips(
    lines: Sequence[LineResult], samples: int, rate: int, names: TimelineText
) -> tuple[Strip, ...]:
    """Lay lines out in strips of equal length over a film of so many samples; no silent strips."""
    duration_s = max(samples / rate, 0.1)
    length_s = next((s for s in _STRIP_S if duration_s / s <= _MAX_STRIPS), _STRIP_S[-1])
    length_s = min(float(length_s), duration_s) if duration_s < _STRIP_S[0] else float(length_s)
    bars: dict[int, list[Bar]] = {}
    for line in lines:
        for number, bar in _bars(line, length_s, rate, names):
            bars.setdefault(number, []).append(bar)
    step = pictures.step_s(length_s, _TICKS)
    marks = [n * step for n in range(int(length_s / step + 1e-9) + 1)]

    def strip(start: float, bars: list[Bar]) -> Strip:
        ticks = ((STRIP_WIDTH * at / length_s, pictures.clock(start + at, step)) for at in marks)
        return Strip(pictures.clock(start), tuple(ticks), tuple(bars))

    return tuple(strip(number * length_s, bars[number]) for number in sorted(bars))


def _bars(
    line: LineResult, length_s: float, rate: int, names: TimelineText
) -> Iterator[tuple[int, Bar]]:
    """Yield a line's place in the original, and in the dub, each cut where strips end."""
    own = names.styles.get(line.speaker, "k")
    heard, style, text = Span(line.start, line.start + line.length), own, line.text
    if not line.placed:
        heard, style = line.source, "k" if line.outcome == KEPT_ORIGINAL else "f"
        text = line.outcome
    rows = ((line.source, own, names.texts.get(line.index, "")), (heard, style, text))
    scale = STRIP_WIDTH / length_s
    for row, (span, style, text) in enumerate(rows):
        short = text if len(text) <= _TITLE_CHARACTERS else text[: _TITLE_CHARACTERS - 1] + "…"
        start, end = span.start / rate, span.end / rate
        for number in range(int(start // length_s), int(end // length_s) + 1):
            left = max(start, number * length_s) - number * length_s
            right = min(end, (number + 1) * length_s) - number * length_s
            if right > left:
                x, width = round(left * scale, 1), max(0.8, round((right - left) * scale, 1))
                yield number, Bar(x, width, row, style, f"{line.index} {line.speaker}: {short}")
