"""Options of the embedded separation."""

from dataclasses import dataclass
from typing import Literal

Method = Literal["auto", "centre", "wiener"]


@dataclass(frozen=True, slots=True)
class SeparationOptions:
    """Options of separation without a trained model.

    Attributes:
        method: ``auto`` measures each line; ``centre`` and ``wiener`` force one.
        most_spread_db: spread of a voice beside its own position in the stereo picture, in dB,
            above which it is not a point and the Wiener filter is taken (a point under equally loud
            music: -12 dB or less).
        least_side_db: level beside that position in the pauses, against that at it, in dB, below
            which left and right are one and the same sound.
        centre_caution: how many times (above 0) the expected background is kept out of the centre's
            voice.
        wiener_caution: how many times (above 0) the expected background is kept out by the Wiener
            filter; more leaves more of the voice in the accompaniment, less takes more music into
            the vocals.
        dialogue_rise_db: rise of a channel's voice band inside speech, in dB, from which it carries
            dialogue; for three channels and more.
        dialogue_reach_db: how far under the strongest channel another dialogue channel may lie, in
            dB (negative).
    """

    method: Method = "auto"
    most_spread_db: float = -10.0
    least_side_db: float = -30.0
    centre_caution: float = 1.0
    wiener_caution: float = 4.0
    dialogue_rise_db: float = 3.0
    dialogue_reach_db: float = -15.0
