"""Colours that tell speakers apart, and the one that means a line has failed."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable

FAILED = "#e5322d"
KEPT = "#8a8f98"
_GOLDEN_ANGLE = 0.381966
# Hues around red are left to failures.
_FIRST_HUE, _HUES = 0.09, 0.82
_LIGHTNESS = (0.46, 0.60, 0.36)


def speaker_colours(speakers: Iterable[str]) -> dict[str, str]:
    """Return a colour (``#rrggbb``) for each speaker, never red, the same in every picture.

    Neighbours in the order of ids lie far apart; from the 13th on, lightness varies too.
    """
    return {name: _colour(rank) for rank, name in enumerate(sorted(set(speakers)))}


def _colour(rank: int) -> str:
    turn = (0.62 + rank * _GOLDEN_ANGLE) % 1.0
    lightness = _LIGHTNESS[rank // 12 % len(_LIGHTNESS)]
    parts = colorsys.hls_to_rgb(_FIRST_HUE + _HUES * turn, lightness, 0.68)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)
