"""Which numbers steer the embedded separation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["auto", "centre", "wiener"]


@dataclass(frozen=True, slots=True)
class SeparationOptions:
    """How the voices are taken out where no trained model is at hand.

    Attributes:
        method: "auto" measures each line; "centre" and "wiener" force one.
        most_spread_db: a voice that reaches further than this beside its own position in the stereo
            picture is no point, and the Wiener filter is taken. Measured under music as loud as the
            voice: -12 dB or less where it is a point.
        least_side_db: level beside that position in the pauses, against that at it, below which
            left and right are one and the same sound, and their difference tells nothing.
        centre_caution: how many times the expected background is kept out of the centre's voice.
        wiener_caution: the same for the Wiener filter. More leaves more of the voice in the
            accompaniment; less takes more of the music into the vocals.
        dialogue_rise_db: with three channels and more, a channel carries dialogue if its voice band
            is this much louder inside speech than in the pauses...
        dialogue_reach_db: ...and what was added is no more than this below the channel with most.
    """

    method: Method = "auto"
    most_spread_db: float = -10.0
    least_side_db: float = -30.0
    centre_caution: float = 1.0
    wiener_caution: float = 4.0
    dialogue_rise_db: float = 3.0
    dialogue_reach_db: float = -15.0

    def __post_init__(self) -> None:
        if self.method not in ("auto", "centre", "wiener"):
            raise ValueError(f"separation.method is {self.method!r}: choose auto, centre or wiener")
        if min(self.centre_caution, self.wiener_caution) <= 0:
            raise ValueError("the cautions of the separation must be above 0")
