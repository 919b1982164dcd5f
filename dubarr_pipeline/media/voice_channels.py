"""Recordings with one speaker per channel: interviews, calls, podcasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media.sound_reader import SoundReader
from dubarr_pipeline.timeline.spans import Span

_FRAME_S = 0.05
_EARS_S = 300.0


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """When two channels count as two speakers.

    Attributes:
        apart_db: a frame belongs to one channel from this difference.
        apart_share: share of speech frames that must belong to one channel.
        each_share: share of speech frames that each channel must own: a voice that stands left all
            the time is one speaker.
        most_alike: highest correlation of the two waveforms; voices mixed to the centre are alike.
    """

    apart_db: float = 10.0
    apart_share: float = 0.5
    each_share: float = 0.05
    most_alike: float = 0.2


DEFAULT = ChannelOptions()


def speaker_per_channel(
    vocals: SoundReader, speech: Sequence[Span], options: ChannelOptions = DEFAULT
) -> bool:
    """Whether each of two channels carries a speaker of its own.

    At most five minutes of speech are looked at.
    """
    if vocals.channels != 2:
        return False
    frames: list[NDArray[np.float64]] = []
    left = _EARS_S * vocals.rate
    for span in speech:
        if left <= 0:
            break
        stop = min(span.end, span.start + round(min(left, 30 * vocals.rate)))
        frames.append(_moments(vocals, Span(span.start, stop)))
        left -= stop - span.start
    return _is_apart(np.concatenate(frames, axis=1), options) if frames else False


def _moments(vocals: SoundReader, span: Span) -> NDArray[np.float64]:
    """Per frame: power of the left channel, of the right, and their product, ``(3, frames)``."""
    size = max(1, round(_FRAME_S * vocals.rate))
    count = span.length // size
    sound = vocals.read(span.start, span.start + count * size).astype(np.float64)
    left, right = sound.reshape(2, count, size)
    return np.stack([np.square(left).mean(1), np.square(right).mean(1), (left * right).mean(1)])


def _is_apart(moments: NDArray[np.float64], options: ChannelOptions) -> bool:
    left, right, product = moments
    loudest = np.maximum(left, right)
    if not loudest.size or loudest.max() <= 1e-9:
        return False
    alike = abs(product.sum()) / np.sqrt(max(left.sum() * right.sum(), 1e-18))
    heard = loudest > np.quantile(loudest, 0.9) * 1e-3
    difference_db = 10 * np.log10((left[heard] + 1e-12) / (right[heard] + 1e-12))
    owned = [float((difference_db * sign > options.apart_db / 2).mean()) for sign in (1, -1)]
    apart = float((np.abs(difference_db) > options.apart_db).mean())
    return (
        alike < options.most_alike
        and apart >= options.apart_share
        and min(owned) >= options.each_share
    )


def louder_channel(vocals: SoundReader, span: Span) -> tuple[int, float]:
    """Return which of two channels carries a line, and how sure that is, 0.5 to 1."""
    power = np.square(vocals.read(span.start, span.end), dtype=np.float64).sum(axis=1)
    if power.sum() <= 0:
        return 0, 0.5
    channel = int(power.argmax())
    return channel, float(power[channel] / power.sum())
