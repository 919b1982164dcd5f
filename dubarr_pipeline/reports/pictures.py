"""Pictures of stages with a time axis, for the UI: Markdown images that need no file."""

import base64
import colorsys
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.script.fit.fitting import clock_time
from dubarr_pipeline.script.model import Diarization
from dubarr_pipeline.segments.results import FAILED, KEPT_ORIGINAL, SegmentsResult
from dubarr_pipeline.spans import Span, total

WIDTH = 900
LEFT, RIGHT, AXIS = 92, 16, 22
BACKGROUND, INK, FAINT = "#fbfbfc", "#3b4048", "#dfe2e7"
_FONT_PX = 12
_COLOURS = 256
_TICK_EVERY_PX = 78
_HEIGHT = 200
_WAVE = 130
_ROW, _ROW_GAP = 15, 3
_MAX_SPEAKER_ROWS = 12
_LANE, _LANE_GAP = 15, 12
_OTHER = "#a9aeb6"
_VOICE = "#2f6fb2"


class Canvas:
    """Picture of a stretch of film: time from left to right, rows from top to bottom, an axis."""

    def __init__(self, height: int, samples: int, rate: int) -> None:
        self.height, self.samples, self.rate = height, max(1, samples), rate
        self.columns = WIDTH - LEFT - RIGHT
        self._image = Image.new("RGB", (WIDTH, height), BACKGROUND)
        self._draw = ImageDraw.Draw(self._image)
        bottom = self.height - AXIS
        duration_s = self.samples / self.rate
        for seconds, label in ticks(duration_s, self.columns // _TICK_EVERY_PX):
            x = LEFT + round(seconds / duration_s * (self.columns - 1))
            self._draw.line((x, 0, x, bottom + 3), fill=FAINT)
            anchor = "rt" if x > WIDTH - 40 else "mt"
            self._draw.text((x, bottom + 6), label, fill=INK, font=self._font, anchor=anchor)
        self._draw.line((LEFT, bottom, LEFT + self.columns, bottom), fill=INK)

    @cached_property
    def _font(self) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        return ImageFont.load_default(_FONT_PX)

    def x(self, sample: int) -> int:
        """Return the column of a sample."""
        return LEFT + round(min(max(sample, 0), self.samples) * self.columns / self.samples)

    def bar(self, start: int, end: int, rows: tuple[int, int], colour: str) -> None:
        """Fill a stretch between two heights, at least one column wide."""
        left = min(self.x(start), LEFT + self.columns - 1)
        right = max(left, self.x(end) - 1)
        self._draw.rectangle((left, rows[0], right, rows[1]), fill=colour)

    def mark(self, sample: int, rows: tuple[int, int], colour: str) -> None:
        """Point at a moment from above, with a mark three columns wide."""
        x = self.x(sample)
        self._draw.polygon([(x - 2, rows[0]), (x + 2, rows[0]), (x, rows[1])], fill=colour)

    def column(self, number: int, rows: tuple[float, float], colour: str) -> None:
        """Draw one upright line of a waveform."""
        x = LEFT + number
        self._draw.line((x, rows[0], x, rows[1]), fill=colour)

    def label(self, text: str, y: int, colour: str = INK) -> None:
        """Write a row's name at its left, cut if it is long."""
        while text and self._draw.textlength(text, font=self._font) > LEFT - 12:
            text = text[:-2].rstrip("…") + "…" if len(text) > 2 else ""
        self._draw.text((6, y), text, fill=colour, font=self._font)

    def note(self, text: str) -> None:
        """Write in the middle why the picture is empty."""
        middle = (LEFT + self.columns // 2, (self.height - AXIS) // 2)
        self._draw.text(middle, text, fill=INK, font=self._font, anchor="mm")

    def png(self) -> bytes:
        """Return the picture as PNG in few colours, some kilobytes."""
        stream = io.BytesIO()
        method, dither = Image.Quantize.FASTOCTREE, Image.Dither.NONE
        few = self._image.quantize(_COLOURS, method=method, dither=dither)
        few.save(stream, "PNG", optimize=True)
        return stream.getvalue()

    def markdown(self, alt: str) -> str:
        """Return the picture as a Markdown image that contains its data."""
        data = base64.b64encode(self.png()).decode()
        return f"![{alt}](data:image/png;base64,{data})"


_PIECES, _PIECE_SAMPLES = 8, 4096


def envelope(path: Path, columns: int) -> tuple[NDArray[np.float32], int, int]:
    """Return the peaks ``(columns,)`` of equal shares of a WAV, its samples, and its rate.

    Peaks are float32, 0 to 1 within full scale. Of a column longer than 32,768 samples, eight
    pieces spread over it are read: the picture of a 3-hour film then takes a twentieth of the file.
    Memory does not grow with the film.
    """

    def peak(sound: WaveFile, start: int, stop: int) -> float:
        pieces = [(start, stop)]
        if stop - start > _PIECES * _PIECE_SAMPLES:
            starts = np.linspace(start, stop - _PIECE_SAMPLES, _PIECES).astype(int).tolist()
            pieces = [(at, at + _PIECE_SAMPLES) for at in starts]
        return max(_highest(sound.read(*piece)) for piece in pieces)

    with WaveFile(path) as sound:
        edges = np.linspace(0, sound.samples, columns + 1).round().astype(int)
        peaks = np.array(
            [peak(sound, int(a), int(max(b, a + 1))) for a, b in pairwise(edges)], np.float32
        )
        return peaks, sound.samples, sound.rate


def _highest(block: Samples) -> float:
    highest = float(max(block.max(initial=0.0), -block.min(initial=0.0)))
    # Broken float tracks hold values that are not numbers.
    return highest if math.isfinite(highest) else float(np.nan_to_num(abs(block), posinf=1.0).max())


_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)


def step_s(duration_s: float, max_steps: int) -> float:
    """Return the smallest round step that gives at most `max_steps` intervals."""
    least = duration_s / max(1, max_steps)
    if least <= 1:
        unit = 10.0 ** math.floor(math.log10(max(least, 1e-4)))
        return next(n * unit for n in (1, 2, 5, 10) if n * unit >= least * (1 - 1e-9))
    if least > _STEPS_S[-1]:
        return math.ceil(least / _STEPS_S[-1]) * _STEPS_S[-1]
    return next(step for step in _STEPS_S if step >= least)


def ticks(duration_s: float, max_steps: int) -> list[tuple[float, str]]:
    """Return times in seconds and their labels, from 0 to at most `duration_s`."""
    step = step_s(duration_s, max_steps)
    return [(n * step, clock(n * step, step)) for n in range(int(duration_s / step + 1e-9) + 1)]


def clock(seconds: float, step: float = 1.0) -> str:
    """Return a time as people read it: ``0.25 s``, ``0:07``, ``1:02:03``."""
    if step < 1:
        return f"{seconds:.{max(1, math.ceil(-math.log10(step)))}f} s"
    return clock_time(round(seconds), 1)


FAILED_COLOUR = "#e5322d"
KEPT_COLOUR = "#8a8f98"
_GOLDEN_ANGLE = 0.381966
# Hues around red are left to failures.
_FIRST_HUE, _HUES = 0.09, 0.82
_LIGHTNESS = (0.46, 0.60, 0.36)


def speaker_colours(speakers: Iterable[str]) -> dict[str, str]:
    """Return a colour (``#rrggbb``) for each speaker, never red, the same in every picture.

    Neighbours in the order of ids are far apart in hue; from the 13th on, lightness varies too.
    """
    colours: dict[str, str] = {}
    for rank, name in enumerate(sorted(set(speakers))):
        turn = (0.62 + rank * _GOLDEN_ANGLE) % 1.0
        lightness = _LIGHTNESS[rank // 12 % len(_LIGHTNESS)]
        parts = colorsys.hls_to_rgb(_FIRST_HUE + _HUES * turn, lightness, 0.68)
        colours[name] = "#" + "".join(f"{round(255 * part):02x}" for part in parts)
    return colours


def waveform_picture(vocals: Path, speech: Sequence[Span]) -> str:
    """Return the separated voices as a Markdown image: coloured in speech, grey elsewhere."""
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
    """Return the voices coloured by speaker, above a row of turns for each, as a Markdown image.

    Beyond twelve speakers, those with the least speech share the last row.
    """
    peaks, samples, rate = envelope(vocals, WIDTH - LEFT - RIGHT)
    turns: dict[str, list[Span]] = {}
    for turn in diarization.turns:
        turns.setdefault(turn.speaker, []).append(turn.span)
    # The last row is shared where there are too many speakers.
    ranked = sorted(turns, key=lambda who: (-total(turns[who]), who))
    own = len(ranked) if len(ranked) <= _MAX_SPEAKER_ROWS else _MAX_SPEAKER_ROWS - 1
    rows, others = sorted(ranked[:own]), ranked[own:]
    bottom = _WAVE + (len(rows) + bool(others)) * (_ROW + _ROW_GAP) + 4
    canvas = Canvas(max(_HEIGHT, bottom + AXIS), samples, rate)
    colours = speaker_colours(turns)
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


def timeline_picture(production: SegmentsResult) -> str:
    """Return the original lines above each language's dubbed ones, by speaker, as Markdown image.

    Failed lines are red at their original place; kept originals are grey.
    """
    every = [line for lines in production.languages.values() for line in lines]
    ends = [max(line.source.end, line.start + line.length) for line in every]
    rows = len(production.languages) + 1
    height = max(_HEIGHT // 2, rows * (2 * _LANE + _LANE_GAP) + _LANE_GAP + AXIS)
    canvas = Canvas(height, max(ends, default=production.rate), production.rate)
    colours = speaker_colours(line.speaker for line in every)
    sources = {line.index: line for line in every}
    _draw_row(canvas, "original", 0, [(s.source, colours[s.speaker]) for s in sources.values()])
    for row, (language, lines) in enumerate(production.languages.items(), 1):
        bars: list[tuple[Span, str]] = []
        for line in lines:
            span = Span(line.start, line.start + line.length) if line.placed else line.source
            lost = KEPT_COLOUR if line.outcome == KEPT_ORIGINAL else FAILED_COLOUR
            bars.append((span, colours[line.speaker] if line.placed else lost))
        _draw_row(canvas, language, row, bars)
    if not every:
        canvas.note("no lines")
    failed = sum(line.outcome.startswith(FAILED) for line in every)
    return canvas.markdown(f"Original against dub, {len(every)} lines, {failed} failed")


def _draw_row(canvas: Canvas, label: str, row: int, bars: Sequence[tuple[Span, str]]) -> None:
    """Draw one row; speakers who overlap get half of its height each."""
    top = _LANE_GAP + row * (2 * _LANE + _LANE_GAP)
    canvas.label(label, top + _LANE - 7)
    canvas.bar(0, canvas.samples, (top + 2 * _LANE, top + 2 * _LANE), FAINT)
    # Red is drawn last, with a mark over it: among thousands of lines a failure is still seen.
    for span, colour, (upper, lower) in sorted(
        _laned(bars), key=lambda bar: bar[1] == FAILED_COLOUR
    ):
        rows = (top + _LANE * (not upper), top + _LANE * (1 + lower) - 1)
        canvas.bar(span.start, span.end, rows, colour)
        if colour == FAILED_COLOUR:
            canvas.mark(span.start, (top - 6, top - 2), colour)


_Laned = tuple[Span, str, tuple[bool, bool]]


def _laned(bars: Sequence[tuple[Span, str]]) -> list[_Laned]:
    """Return for each bar whether it takes the upper half, the lower half, or both."""
    laned: list[_Laned] = []
    end, last_upper = 0, False
    ordered = sorted(bars)
    for at, (span, colour) in enumerate(ordered):
        meets_next = at + 1 < len(ordered) and ordered[at + 1][0].start < span.end
        meets_last = span.start < end
        last_upper = not last_upper if meets_last else True
        alone = not meets_next and not meets_last
        laned.append((span, colour, (alone or last_upper, alone or not last_upper)))
        end = max(end, span.end)
    return laned


def _draw_wave(
    canvas: Canvas, peaks: NDArray[np.float32], coloured: Mapping[str, Sequence[Span]], height: int
) -> None:
    colours = [_OTHER] * canvas.columns
    for colour, spans in coloured.items():
        for span in spans:
            first = canvas.x(span.start) - LEFT
            for column in range(first, max(first + 1, canvas.x(span.end) - LEFT)):
                if column < len(colours):
                    colours[column] = colour
    scale = height / 2 / max(float(peaks.max(initial=0.0)), 1e-3)
    for number, (peak, colour) in enumerate(zip(peaks, colours, strict=True)):
        reach = min(height / 2, float(peak) * scale)
        canvas.column(number, (height / 2 - reach + 2, height / 2 + reach + 2), colour)
