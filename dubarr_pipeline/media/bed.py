"""The film without its dialogue: the accompaniment, with the original voices where they stay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dubarr_pipeline.media.ducking import Ducker
from dubarr_pipeline.media.fades import Envelope
from dubarr_pipeline.media.sound_reader import Samples, is_silent
from dubarr_pipeline.media.waveform import WaveFile


@dataclass(frozen=True, slots=True)
class Bed:
    """Reads the bed block by block.

    Attributes:
        removed: where vocals were taken out at all; elsewhere there are none to add.
        kept: weight of the original voice, or None where it stays throughout (voice-over).
        dialogue: the channels that carry dialogue; the others are the original's.
        ducker: the gain under the dub, or None.
    """

    accompaniment: WaveFile
    vocals: WaveFile
    removed: Envelope
    kept: Envelope | None
    dialogue: tuple[int, ...]
    ducker: Ducker | None

    def read(self, start: int, stop: int) -> Samples:
        """Return ``(channels, stop - start)`` float32, free to be written to; all inside the film.

        It lies in memory as in the file, interleaved, which is how the encoder wants it: for its
        sake every step works channel by channel.
        """
        block = self.accompaniment.read_frames(start, stop).T
        if self.removed.touches(start, stop):
            self._give_back_voices(block, start, stop)
        gain = self.ducker.gain(start, stop) if self.ducker else None
        if gain is not None:
            for channel in block:
                channel *= gain
        return block

    def _give_back_voices(self, block: Samples, start: int, stop: int) -> None:
        weight = self.kept.weight(start, stop) if self.kept else None
        everywhere = self.kept is None
        others = [c for c in range(len(block)) if everywhere or c not in self.dialogue]
        if weight is None and not others:
            return
        voices = self.vocals.read(start, stop)
        for channel in others:
            _add(block[channel], voices[channel])
        if weight is not None:
            for channel in self.dialogue:
                _add(block[channel], voices[channel] * weight)


def _add(channel: Samples, voice: Samples) -> None:
    # Only where there is a voice: adding zeros would turn -0.0 into 0.0, and cost a pass.
    if not is_silent(voice):
        np.add(channel, voice, out=channel, where=voice != 0)
