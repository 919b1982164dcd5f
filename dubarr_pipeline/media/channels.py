"""Which channel of a layout stands where, as the loudness meter and the mixer must know it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BY_COUNT = {
    1: ("FC",),
    2: ("FL", "FR"),
    3: ("FL", "FR", "LFE"),
    4: ("FL", "FR", "BL", "BR"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    7: ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}
_BY_NAME = {
    "3.0": ("FL", "FR", "FC"),
    "3.0(back)": ("FL", "FR", "BC"),
    "4.0": ("FL", "FR", "FC", "BC"),
    "3.1": ("FL", "FR", "FC", "LFE"),
    "quad": ("FL", "FR", "BL", "BR"),
    "quad(side)": ("FL", "FR", "SL", "SR"),
    "5.0(side)": ("FL", "FR", "FC", "SL", "SR"),
    "5.1(side)": ("FL", "FR", "FC", "LFE", "SL", "SR"),
    "6.0": ("FL", "FR", "FC", "BC", "SL", "SR"),
    "hexagonal": ("FL", "FR", "FC", "BL", "BR", "BC"),
    "7.1(wide)": ("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC"),
    "7.1(wide-side)": ("FL", "FR", "FC", "LFE", "FLC", "FRC", "SL", "SR"),
}
_LAYOUTS = {
    1: "mono",
    2: "stereo",
    3: "2.1",
    4: "quad",
    5: "5.0",
    6: "5.1",
    7: "6.1",
    8: "7.1",
}
_SURROUND = 1.41
"""BS.1770-4 table 4: channels beside and behind the listener count 1.5 dB more."""


def layout_of(channels: int, layout: str | None = None) -> str:
    """Return ffmpeg's name of the layout; the usual one for the count where none is known."""
    if layout and layout != "unknown" and len(positions(channels, layout)) == channels:
        return layout
    return _LAYOUTS.get(channels, f"{channels}c")


def positions(channels: int, layout: str | None = None) -> tuple[str, ...]:
    """Return where each channel stands, in ffmpeg's order and names; ``"?"`` where nobody knows."""
    named = _BY_NAME.get(layout or "", ())
    if len(named) == channels:
        return named
    return _BY_COUNT.get(channels, ("?",) * channels)


def loudness_weights(channels: int, layout: str | None = None) -> NDArray[np.float64]:
    """Return the weight of each channel in BS.1770's sum; the low-frequency one does not count."""
    return np.array([_weight(name) for name in positions(channels, layout)])


def _weight(position: str) -> float:
    if position == "LFE":
        return 0.0
    return _SURROUND if position[0] in "BS" else 1.0
