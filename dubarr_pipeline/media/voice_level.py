"""How loud a speaker is: the gated loudness of what they say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media.pitch import spread
from dubarr_pipeline.media.sound_reader import SoundReader
from dubarr_pipeline.timeline.spans import Span, to_samples

_BLOCK_S = 0.4
_HOP_S = 0.1
_ABSOLUTE_LUFS = -70.0
_RELATIVE_LU = -10.0


def voice_level_lufs(
    vocals: SoundReader, spans: Sequence[Span], longest_s: float = 120.0
) -> float | None:
    """Return a speaker's level in LUFS, without the K-weighting filter; None if they are silent.

    Blocks of 400 ms with the absolute and the relative gate of ITU-R BS.1770-4. The level is that
    of all channels together. For speech the missing filter makes a difference of about 1 dB.
    """
    chosen = spread(list(spans), to_samples(longest_s, vocals.rate))
    powers = [power for span in chosen for power in _block_powers(vocals, span)]
    loudness = -0.691 + 10 * np.log10(np.maximum(np.array(powers, np.float64), 1e-12))
    heard = loudness > _ABSOLUTE_LUFS
    if not heard.any():
        return None
    gate = _mean(loudness[heard]) + _RELATIVE_LU
    return round(_mean(loudness[heard & (loudness > gate)]), 2)


def _mean(loudness: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(10 ** (loudness / 10))))


def _block_powers(vocals: SoundReader, span: Span) -> list[float]:
    block, hop = (to_samples(s, vocals.rate) for s in (_BLOCK_S, _HOP_S))
    size = min(block, span.length)
    if not size:
        return []
    starts = range(span.start, span.end - size + 1, hop)
    sounds = (vocals.read(start, start + size) for start in starts)
    return [float(np.square(s, dtype=np.float64).mean(axis=1).sum()) for s in sounds]
