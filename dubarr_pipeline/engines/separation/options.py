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
        centred_coherence: from this coherence of left and right on (0-1), measured where the voice
            drowns the background, the voice counts as lying in the centre.
        least_side_db: level of the side against the centre in the pauses, below which left and right
            are one and the same sound, and the side tells nothing.
        centre_caution: how many times the expected background is kept out of the centre's voice.
        wiener_caution: the same for the Wiener filter. More leaves more of the voice in the
            accompaniment; less takes more of the music into the vocals.
        dialogue_rise_db: with three channels and more, a channel carries dialogue if its voice band
            is this much louder inside speech than in the pauses...
        dialogue_reach_db: ...and what was added is no more than this below the channel with most.
    """

    method: Method = "auto"
    centred_coherence: float = 0.9
    least_side_db: float = -30.0
    centre_caution: float = 1.5
    wiener_caution: float = 4.0
    dialogue_rise_db: float = 3.0
    dialogue_reach_db: float = -15.0

    def __post_init__(self) -> None:
        if self.method not in ("auto", "centre", "wiener"):
            raise ValueError(f"separation.method is {self.method!r}: choose auto, centre or wiener")
        if not 0 <= self.centred_coherence <= 1:
            raise ValueError(f"centred_coherence is {self.centred_coherence}: choose 0 to 1")
        if min(self.centre_caution, self.wiener_caution) <= 0:
            raise ValueError("the cautions of the separation must be above 0")
