"""What is seen: a harbour at dusk, waves, a boat, and a lighthouse whose beam goes round."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from dubarr_pipeline.demo.scene import DURATION_S, LINES

WIDTH, HEIGHT, FRAMES_PER_S = 640, 360, 24
_HORIZON = 210
_LAMP = (520, 96)


def frames() -> Iterator[bytes]:
    """Yield every frame as packed RGB, ``HEIGHT x WIDTH x 3`` bytes."""
    sky = _sky()
    for number in range(round(DURATION_S * FRAMES_PER_S)):
        yield _frame(sky, number / FRAMES_PER_S).tobytes()


def _sky() -> Image.Image:
    rows = np.linspace(0, 1, HEIGHT)[:, None, None]
    colours = np.array([24, 34, 72]) * (1 - rows) + np.array([214, 122, 84]) * rows
    return Image.fromarray(np.broadcast_to(colours, (HEIGHT, WIDTH, 3)).astype(np.uint8))


def _frame(sky: Image.Image, time_s: float) -> Image.Image:
    image = sky.copy()
    draw = ImageDraw.Draw(image, "RGBA")
    _beam(draw, time_s)
    draw.polygon([(440, _HORIZON), (500, 176), (560, 170), (640, _HORIZON)], fill=(28, 32, 40))
    draw.polygon([(508, 180), (514, 104), (526, 104), (532, 180)], fill=(226, 222, 210))
    draw.rectangle((512, 90, 528, 104), fill=(255, 226, 140))
    _sea(draw, time_s)
    _boat(draw, time_s)
    _people(draw, time_s)
    return image


def _beam(draw: ImageDraw.ImageDraw, time_s: float) -> None:
    angle = 2 * np.pi * time_s / 6
    for width in (0.10, 0.05):
        ends = [
            (_LAMP[0] + 700 * np.cos(angle + side), _LAMP[1] + 260 * np.sin(angle + side))
            for side in (-width, width)
        ]
        draw.polygon([_LAMP, *ends], fill=(255, 236, 170, 46))


def _sea(draw: ImageDraw.ImageDraw, time_s: float) -> None:
    x = np.arange(0, WIDTH + 8, 8)
    for depth in range(5):
        top = _HORIZON + 18 * depth
        y = top + (2 + depth) * np.sin(x / (38 + 9 * depth) + time_s * (1.1 + 0.3 * depth) + depth)
        colour = (18 + 6 * depth, 58 - 4 * depth, 92 - 9 * depth)
        draw.polygon(
            [(0, HEIGHT), *zip(x.tolist(), y.tolist(), strict=True), (WIDTH, HEIGHT)], fill=colour
        )


def _boat(draw: ImageDraw.ImageDraw, time_s: float) -> None:
    left = 250 + 5 * max(0.0, time_s - 29)
    top = 262 + 4 * np.sin(time_s * 1.7)
    draw.polygon(
        [(left, top), (left + 130, top), (left + 110, top + 26), (left + 18, top + 26)],
        fill=(112, 54, 44),
    )
    draw.rectangle((left + 58, top - 30, left + 96, top), fill=(232, 226, 214))


def _people(draw: ImageDraw.ImageDraw, time_s: float) -> None:
    """Three figures on the quay; whoever speaks lifts a little and is lit."""
    draw.rectangle((0, 318, WIDTH, HEIGHT), fill=(58, 48, 44))
    for name, x, height in (("Anna", 120, 62), ("Martin", 190, 70), ("Tom", 60, 44)):
        speaks = any(line.actor == name and 0 <= time_s - line.start_s < 2.4 for line in LINES)
        lift = 3 * abs(np.sin(time_s * 9)) if speaks else 0
        colour = (240, 206, 150) if speaks else (34, 30, 34)
        top = 322 - height - lift
        draw.ellipse((x - 9, top, x + 9, top + 18), fill=colour)
        draw.polygon(
            [(x - 13, 324), (x - 7, top + 18), (x + 7, top + 18), (x + 13, 324)], fill=colour
        )
