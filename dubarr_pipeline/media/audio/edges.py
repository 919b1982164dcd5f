"""Silence at the edges of a sound."""

import numpy as np

from dubarr_pipeline.media.audio.reader import Samples

EDGE_THRESHOLD = 10 ** (-50 / 20)
"""Below -50 dB of its own peak, the edge of a sound is silence."""
EDGE_S = 0.01
"""Silence that a take keeps at each edge, so that soft consonants keep their onset."""


def trim_edges(samples: Samples, kept: int = 0) -> Samples:
    """Return a mono sound ``(samples,)`` without the silence at both ends.

    `kept` samples of it stay at each end. All silence gives an empty array.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    loud = np.flatnonzero(np.abs(samples) > peak * EDGE_THRESHOLD)
    if not loud.size:
        return samples[:0]
    return samples[max(0, int(loud[0]) - kept) : int(loud[-1]) + 1 + kept].copy()
