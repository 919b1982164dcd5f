"""Hears a finished track again: the file is decoded, and measured as a player would play it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.media.encoding import TrackFormat
from dubarr_pipeline.media.k_weighting import Powers
from dubarr_pipeline.media.loudness import Loudness, LoudnessMeter
from dubarr_pipeline.timeline.spans import Span

_BLOCK_SAMPLES = 1 << 16


@dataclass(frozen=True, slots=True)
class MeasuredTrack:
    """What a track measures.

    Attributes:
        loudness: of the whole.
        dialogue_lufs: while somebody speaks, gated within it; -70 where nobody does.
        frames: power of every tenth of a second.
        decoded_samples: length of the file; None where it is the mix that was measured.
    """

    loudness: Loudness
    dialogue_lufs: float
    frames: Powers
    decoded_samples: int | None


def measure_track(
    path: Path, track: TrackFormat, voiced: Sequence[Span], rate: int
) -> MeasuredTrack:
    """Decode a track in one pass and measure it.

    Args:
        path: the encoded file.
        track: its format.
        voiced: where somebody speaks, in samples at `rate` Hz.
        rate: of the film, Hz.

    Raises:
        MediaToolError: if it cannot be decoded.
    """
    meter = LoudnessMeter(track.rate, track.channels, track.layout)
    samples, size = 0, 4 * track.channels
    arguments = ["-i", ffmpeg.file_url(path), "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "f32le"]
    with ffmpeg.reader([*arguments, "pipe:1"]) as pipe:
        while data := pipe.read(_BLOCK_SAMPLES * size):
            block = np.frombuffer(data, "<f4").reshape(-1, track.channels)
            meter.add(np.ascontiguousarray(block.T, np.float32))
            samples += len(block)
    spoken = [_at_rate(span, rate, track.rate) for span in voiced]
    return measured(meter, spoken, samples)


def measured(
    meter: LoudnessMeter, voiced: Sequence[Span], decoded_samples: int | None
) -> MeasuredTrack:
    """Return what a meter has heard, once all of it was played; `voiced` is at the meter's rate."""
    meter.finish()
    return MeasuredTrack(meter.result(), meter.dialogue_lufs(voiced), meter.frames, decoded_samples)


def _at_rate(span: Span, rate: int, wanted: int) -> Span:
    return Span(span.start * wanted // rate, span.end * wanted // rate)
