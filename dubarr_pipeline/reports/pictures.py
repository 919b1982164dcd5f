"""Small pictures for the UI, where a picture says more than a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.production.results import FAILED, KEPT_ORIGINAL, ProducedLine, Production
from dubarr_pipeline.reports import palette
from dubarr_pipeline.reports.canvas import AXIS, FAINT, INK, LEFT, RIGHT, WIDTH, Canvas
from dubarr_pipeline.reports.envelope import envelope
from dubarr_pipeline.timeline.script import Diarization
from dubarr_pipeline.timeline.spans import Span, total

_HEIGHT = 200
_WAVE = 130
_ROW, _ROW_GAP = 15, 3
_MOST_SPEAKERS = 12
_LANE, _LANE_GAP = 15, 12
_OTHER = "#a9aeb6"
_VOICE = "#2f6fb2"


def waveform_picture(vocals: Path, speech: Sequence[Span]) -> str:
    """Draw the separated voices: coloured where speech was found, grey elsewhere.

    Returns:
        A Markdown image.
    """
    peaks, samples, rate = envelope(vocals, WIDTH - LEFT - RIGHT)
    canvas = Canvas(_HEIGHT, samples, rate)
    for span in speech:
        canvas.bar(span.start, span.end, (_HEIGHT - AXIS - 6, _HEIGHT - AXIS - 2), _VOICE)
    _draw_wave(canvas, peaks, {_VOICE: speech}, _HEIGHT - AXIS - 10)
    canvas.label("voices", (_HEIGHT - AXIS) // 2 - 12)
    if not speech:
        canvas.note("no speech found")
    share = 100 * total(speech) / samples if samples else 0
    return canvas.markdown(f"Voices, speech in {share:.0f} % of the time")


def turns_picture(vocals: Path, diarization: Diarization) -> str:
    """Draw the separated voices coloured by who speaks, and a row of turns for each speaker.

    Beyond twelve speakers, those who speak least share the last row.

    Returns:
        A Markdown image.
    """
    peaks, samples, rate = envelope(vocals, WIDTH - LEFT - RIGHT)
    turns: dict[str, list[Span]] = {}
    for turn in diarization.turns:
        turns.setdefault(turn.speaker, []).append(turn.span)
    rows, others = _rows(turns)
    bottom = _WAVE + (len(rows) + bool(others)) * (_ROW + _ROW_GAP) + 4
    canvas = Canvas(max(_HEIGHT, bottom + AXIS), samples, rate)
    colours = palette.speaker_colours(turns)
    _draw_wave(canvas, peaks, {colours[who]: spans for who, spans in turns.items()}, _WAVE - 6)
    labels = [(diarization.names.get(who, who), colours[who], turns[who]) for who in rows]
    if others:
        spans = [span for who in others for span in turns[who]]
        labels.append((f"{len(others)} others", _OTHER, spans))
    for rank, (label, colour, spans) in enumerate(labels):
        top = _WAVE + rank * (_ROW + _ROW_GAP)
        canvas.label(label, top, INK if colour == _OTHER else colour)
        for span in spans:
            canvas.bar(span.start, span.end, (top, top + _ROW - 1), colour)
    if not turns:
        canvas.note("no turns found")
    return canvas.markdown(f"Turns of {len(turns)} speakers")


def timeline_picture(production: Production) -> str:
    """Draw the original lines above the dubbed ones of each language, coloured by speaker.

    Failed lines are red at their original place; kept originals are grey.

    Returns:
        A Markdown image.
    """
    every = [line for lines in production.languages.values() for line in lines]
    ends = [max(line.source.end, line.start + line.length) for line in every]
    rows = len(production.languages) + 1
    height = max(_HEIGHT // 2, rows * (2 * _LANE + _LANE_GAP) + _LANE_GAP + AXIS)
    canvas = Canvas(height, max(ends, default=production.rate), production.rate)
    colours = palette.speaker_colours(line.speaker for line in every)
    sources = {line.index: line for line in every}
    _draw_row(canvas, "original", 0, [(s.source, colours[s.speaker]) for s in sources.values()])
    for row, (language, lines) in enumerate(production.languages.items(), 1):
        _draw_row(canvas, language, row, [_dubbed(line, colours) for line in lines])
    if not every:
        canvas.note("no lines")
    failed = sum(line.outcome.startswith(FAILED) for line in every)
    return canvas.markdown(f"Original against dub, {len(every)} lines, {failed} failed")


def _dubbed(line: ProducedLine, colours: Mapping[str, str]) -> tuple[Span, str]:
    if line.placed:
        return Span(line.start, line.start + line.length), colours[line.speaker]
    return line.source, palette.KEPT if line.outcome == KEPT_ORIGINAL else palette.FAILED


def _draw_row(canvas: Canvas, label: str, row: int, bars: Sequence[tuple[Span, str]]) -> None:
    """Draw one row; people who talk over each other get half of its height each."""
    top = _LANE_GAP + row * (2 * _LANE + _LANE_GAP)
    canvas.label(label, top + _LANE - 7)
    canvas.bar(0, canvas.samples, (top + 2 * _LANE, top + 2 * _LANE), FAINT)
    # Red is drawn last, with a mark over it: among thousands of lines a failure is still seen.
    for span, colour, (upper, lower) in sorted(_laned(bars), key=_is_failure):
        rows = (top + _LANE * (not upper), top + _LANE * (1 + lower) - 1)
        canvas.bar(span.start, span.end, rows, colour)
        if colour == palette.FAILED:
            canvas.mark(span.start, (top - 6, top - 2), colour)


_Laned = tuple[Span, str, tuple[bool, bool]]


def _is_failure(bar: _Laned) -> bool:
    return bar[1] == palette.FAILED


def _laned(bars: Sequence[tuple[Span, str]]) -> list[_Laned]:
    """Say of each bar whether it takes the upper half, the lower half, or both."""
    found: list[_Laned] = []
    end, last_upper = 0, False
    ordered = sorted(bars)
    for at, (span, colour) in enumerate(ordered):
        meets_next = at + 1 < len(ordered) and ordered[at + 1][0].start < span.end
        meets_last = span.start < end
        last_upper = not last_upper if meets_last else True
        alone = not meets_next and not meets_last
        found.append((span, colour, (alone or last_upper, alone or not last_upper)))
        end = max(end, span.end)
    return found


def _rows(turns: Mapping[str, Sequence[Span]]) -> tuple[list[str], list[str]]:
    """The speakers with a row of their own, in order of ids, and those who share one."""
    if len(turns) <= _MOST_SPEAKERS:
        return sorted(turns), []
    ranked = sorted(turns, key=lambda who: (-total(turns[who]), who))
    return sorted(ranked[: _MOST_SPEAKERS - 1]), ranked[_MOST_SPEAKERS - 1 :]


def _draw_wave(
    canvas: Canvas,
    peaks: NDArray[np.float32],
    coloured: Mapping[str, Sequence[Span]],
    height: int,
) -> None:
    colours = _column_colours(canvas, coloured)
    scale = height / 2 / max(float(peaks.max(initial=0.0)), 1e-3)
    for number, (peak, colour) in enumerate(zip(peaks, colours, strict=True)):
        reach = min(height / 2, float(peak) * scale)
        canvas.column(number, (height / 2 - reach + 2, height / 2 + reach + 2), colour)


def _column_colours(canvas: Canvas, coloured: Mapping[str, Sequence[Span]]) -> list[str]:
    colours = [_OTHER] * canvas.columns
    for colour, spans in coloured.items():
        for span in spans:
            first = canvas.x(span.start) - LEFT
            for column in range(first, max(first + 1, canvas.x(span.end) - LEFT)):
                if column < len(colours):
                    colours[column] = colour
    return colours
