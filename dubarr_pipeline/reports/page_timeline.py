"""The page's timeline: strips of film in which the original's lines lie above the dub's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dubarr_pipeline.production.results import KEPT_ORIGINAL, ProducedLine
from dubarr_pipeline.reports.axis import clock, step_s
from dubarr_pipeline.timeline.spans import Span

STRIP_WIDTH = 1000
_STRIP_S = (10, 20, 30, 60, 120, 180)
_FEW_STRIPS = 40
_TITLE_CHARACTERS = 90
_TICKS = 12


@dataclass(frozen=True, slots=True)
class Bar:
    """A line in a strip: its place in units of the strip's width, and what the mouse is told."""

    x: float
    width: float
    row: int
    style: str
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """A stretch of film.

    Attributes:
        ticks: place and label of the marks of its axis.
    """

    label: str
    ticks: tuple[tuple[float, str], ...]
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class TimelineText:
    """What bars are named by: speaker -> CSS class, and index -> the original's text."""

    styles: Mapping[str, str]
    texts: Mapping[int, str]


def strips(
    lines: Sequence[ProducedLine], samples: int, rate: int, names: TimelineText
) -> tuple[Strip, ...]:
    """Lay all lines of a language out in strips of equal length; silent strips are left out.

    Args:
        lines: of one language.
        samples: length of the film.
        rate: samples per second.
        names: see `TimelineText`.
    """
    duration_s = max(samples / rate, 0.1)
    length_s = next((s for s in _STRIP_S if duration_s / s <= _FEW_STRIPS), _STRIP_S[-1])
    length_s = min(float(length_s), duration_s) if duration_s < _STRIP_S[0] else float(length_s)
    bars: dict[int, list[Bar]] = {}
    for line in lines:
        for number, bar in _bars(line, length_s, rate, names):
            bars.setdefault(number, []).append(bar)
    return tuple(_strip(number, length_s, tuple(bars[number])) for number in sorted(bars))


def _strip(number: int, length_s: float, bars: tuple[Bar, ...]) -> Strip:
    start, step = number * length_s, step_s(length_s, _TICKS)
    count = int(length_s / step + 1e-9) + 1
    marks = tuple(
        (STRIP_WIDTH * n * step / length_s, clock(start + n * step, step)) for n in range(count)
    )
    return Strip(clock(start), marks, bars)


def _bars(
    line: ProducedLine, length_s: float, rate: int, names: TimelineText
) -> Iterator[tuple[int, Bar]]:
    style = names.styles.get(line.speaker, "k")
    source = names.texts.get(line.index, "")
    yield from _pieces(line.source, length_s, rate, (0, style, _title(line, source)))
    if line.placed:
        heard = Span(line.start, line.start + line.length)
        yield from _pieces(heard, length_s, rate, (1, style, _title(line, line.text)))
    else:
        style = "k" if line.outcome == KEPT_ORIGINAL else "f"
        yield from _pieces(line.source, length_s, rate, (1, style, _title(line, line.outcome)))


def _pieces(
    span: Span, length_s: float, rate: int, look: tuple[int, str, str]
) -> Iterator[tuple[int, Bar]]:
    """Cut a stretch where strips end."""
    row, style, title = look
    start, end = span.start / rate, span.end / rate
    for number in range(int(start // length_s), int(end // length_s) + 1):
        left = max(start, number * length_s) - number * length_s
        right = min(end, (number + 1) * length_s) - number * length_s
        if right > left:
            scale = STRIP_WIDTH / length_s
            width = max(0.8, round((right - left) * scale, 1))
            yield number, Bar(round(left * scale, 1), width, row, style, title)


def _title(line: ProducedLine, text: str) -> str:
    short = text if len(text) <= _TITLE_CHARACTERS else text[: _TITLE_CHARACTERS - 1] + "…"
    return f"{line.index} {line.speaker}: {short}"
