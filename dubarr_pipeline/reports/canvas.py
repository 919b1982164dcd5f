"""A small picture with a time axis, as a Markdown image that needs no file."""

from __future__ import annotations

import base64
import io
from functools import cached_property

from PIL import Image, ImageDraw, ImageFont

from dubarr_pipeline.reports.axis import ticks

WIDTH = 900
LEFT, RIGHT, AXIS = 92, 16, 22
BACKGROUND, INK, FAINT = "#fbfbfc", "#3b4048", "#dfe2e7"
_FONT_PX = 12
_COLOURS = 256
_TICK_EVERY_PX = 78


class Canvas:
    """A picture of a stretch of film: time from left to right, rows from top to bottom.

    Args:
        height: pixels, the axis included.
        samples: how much of the clock is shown.
        rate: samples per second.
    """

    def __init__(self, height: int, samples: int, rate: int) -> None:
        self.height, self.samples, self.rate = height, max(1, samples), rate
        self.columns = WIDTH - LEFT - RIGHT
        self._image = Image.new("RGB", (WIDTH, height), BACKGROUND)
        self._draw = ImageDraw.Draw(self._image)
        self._axis()

    @cached_property
    def _font(self) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        return ImageFont.load_default(_FONT_PX)

    def x(self, sample: int) -> int:
        """The column of a sample."""
        return LEFT + round(min(max(sample, 0), self.samples) * self.columns / self.samples)

    def bar(self, start: int, end: int, rows: tuple[int, int], colour: str) -> None:
        """Fill a stretch between two heights; it is seen however short it is."""
        left = min(self.x(start), LEFT + self.columns - 1)
        right = max(left, self.x(end) - 1)
        self._draw.rectangle((left, rows[0], right, rows[1]), fill=colour)

    def mark(self, sample: int, rows: tuple[int, int], colour: str) -> None:
        """Point at a moment from above, three columns wide."""
        x = self.x(sample)
        self._draw.polygon([(x - 2, rows[0]), (x + 2, rows[0]), (x, rows[1])], fill=colour)

    def column(self, number: int, rows: tuple[float, float], colour: str) -> None:
        """Draw one upright line of a waveform."""
        x = LEFT + number
        self._draw.line((x, rows[0], x, rows[1]), fill=colour)

    def label(self, text: str, y: int, colour: str = INK) -> None:
        """Write what a row is, at its left; long names are cut."""
        while text and self._draw.textlength(text, font=self._font) > LEFT - 12:
            text = text[:-2].rstrip("…") + "…" if len(text) > 2 else ""
        self._draw.text((6, y), text, fill=colour, font=self._font)

    def note(self, text: str) -> None:
        """Write in the middle why there is nothing to see."""
        middle = (LEFT + self.columns // 2, (self.height - AXIS) // 2)
        self._draw.text(middle, text, fill=INK, font=self._font, anchor="mm")

    def _axis(self) -> None:
        bottom = self.height - AXIS
        duration_s = self.samples / self.rate
        for seconds, label in ticks(duration_s, self.columns // _TICK_EVERY_PX):
            x = LEFT + round(seconds / duration_s * (self.columns - 1))
            self._draw.line((x, 0, x, bottom + 3), fill=FAINT)
            anchor = "rt" if x > WIDTH - 40 else "mt"
            self._draw.text((x, bottom + 6), label, fill=INK, font=self._font, anchor=anchor)
        self._draw.line((LEFT, bottom, LEFT + self.columns, bottom), fill=INK)

    def png(self) -> bytes:
        """The picture as PNG, in few colours: some kilobytes."""
        stream = io.BytesIO()
        few = self._image.quantize(
            _COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        )
        few.save(stream, "PNG", optimize=True)
        return stream.getvalue()

    def markdown(self, alt: str) -> str:
        """The picture as a Markdown image with its data within."""
        data = base64.b64encode(self.png()).decode()
        return f"![{alt}](data:image/png;base64,{data})"
