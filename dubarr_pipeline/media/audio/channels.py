"""Places of the channels in a layout, for files, the loudness meter and the mixer."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.text.tables import read_table

_PLACES = (
    *"FL FR FC LFE BL BR FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR".split(),
    *("?",) * 11,
    *"DL DR WL WR SDL SDR LFE2 TSL TSR BFC BFL BFR".split(),
)
"""ffmpeg's names of places, by their bit in a mask; WAVEFORMATEXTENSIBLE has the first 18."""
LAYOUT_MASKS: dict[str, int] = read_table("dubarr_pipeline.media.audio", "layouts")
"""ffmpeg's names of channel layouts, and their masks."""
_USUAL = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")
_LISTED = re.compile(r"\b[A-Z]+2?(\+[A-Z]+2?)*(?=\)|$)")
_WAVE_PLACES = 18
_LOW = ("LFE", "LFE2")
_SURROUND, _SURROUNDING = 1.41, ("BL", "BR", "BC", "SL", "SR", "SDL", "SDR", "TBL", "TBR", "TBC")
"""BS.1770-4 table 4: channels beside and behind the listener count 1.5 dB more."""


def usual_layout(channels: int) -> str | None:
    """Return the layout that is meant where a file names only the number of channels."""
    return _USUAL[channels - 1] if 1 <= channels <= len(_USUAL) else None


def layout_of(channels: int, layout: str | None = None) -> str:
    """Return a name that ffmpeg takes; the usual one for the count where none is known."""
    if layout and len(places := _places(layout)) == channels:
        return layout if layout in LAYOUT_MASKS else "+".join(places)
    return usual_layout(channels) or f"{channels}c"


def positions(channels: int, layout: str | None = None) -> tuple[str, ...]:
    """Return where each channel stands, in ffmpeg's order and names; ``"?"`` where nobody knows."""
    for name in (layout, usual_layout(channels)):
        if name and len(places := _places(name)) == channels:
            return places
    return ("?",) * channels


def _places(layout: str) -> tuple[str, ...]:
    """Return the places in a layout: named, a mask, or listed as ``2 channels (FL+BR)``."""
    listed = None if layout in LAYOUT_MASKS else _LISTED.search(layout)
    mask = LAYOUT_MASKS.get(layout) or (int(layout, 16) if layout.startswith("0x") else 0)
    named = (place for bit, place in enumerate(_PLACES) if mask >> bit & 1)
    return tuple(listed[0].split("+") if listed else named)


def wave_mask(layout: str) -> int:
    """Return a layout's mask in WAVEFORMATEXTENSIBLE; 0 where that has no place for a channel."""
    places = _places(layout)
    known = all(place in _PLACES[:_WAVE_PLACES] for place in places)
    return sum(1 << _PLACES.index(place) for place in places) if known else 0


def loudness_weights(channels: int, layout: str | None = None) -> NDArray[np.float64]:
    """Return the weight of each channel in BS.1770's sum; the low-frequency one does not count."""
    return np.array(
        [
            0.0 if name in _LOW else _SURROUND if name in _SURROUNDING else 1.0
            for name in positions(channels, layout)
        ]
    )
