"""Reads a film's voices as recognisers want them: one channel, a low rate, a piece at a time."""

from __future__ import annotations

import numpy as np

from dubarr_pipeline.media.sound_reader import Samples, SoundReader, at_rate, read_mono
from dubarr_pipeline.timeline.spans import Span

SPEECH_RATE = 16_000
"""Hz; what every recogniser of speech and of voices was trained with."""
_BLOCK_S = 30
_MARGIN_S = 1
"""Heard before and after each block and cut off again: the filter's edges are never kept."""


def read_speech(reader: SoundReader, span: Span, rate: int = SPEECH_RATE) -> Samples:
    """Return the mean of all channels over a span at `rate` Hz, ``(samples,)`` float32.

    Reads half a minute at a time, so that many channels at a high rate never lie in memory at once.
    What is no number (broken float tracks) becomes silence.
    """
    wanted = -(-span.length * rate // reader.rate)
    heard = np.zeros(wanted, np.float32)
    for second in range(0, -(-wanted // rate), _BLOCK_S):
        start = span.start + second * reader.rate
        stop = min(span.end, start + _BLOCK_S * reader.rate)
        # Whole seconds are whole samples at any two rates.
        before = _MARGIN_S * reader.rate
        around = read_mono(reader, Span(max(0, start - before), stop + before))
        if start < before:
            around = np.concatenate([np.zeros(before - start, np.float32), around])
        np.nan_to_num(around, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        block = at_rate(around, reader.rate, rate)[_MARGIN_S * rate :]
        part = heard[second * rate : (second + _BLOCK_S) * rate]
        part[:] = block[: part.size]
    return heard
