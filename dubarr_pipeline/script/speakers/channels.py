"""Recordings with one speaker per channel (interviews, calls), or one language (dual mono)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media.audio.reader import SoundReader
from dubarr_pipeline.spans import Span, merge

_FRAME_S = 0.05
_LONGEST_HEARD_S = 300.0


_APART_DB = 10.0
"""A frame belongs to one channel from this difference."""
_APART_SHARE, _EACH_SHARE = 0.5, 0.05
"""Shares of speech frames that must belong to one channel, and that each channel must own: a voice
that is left all the time is one speaker."""
_MOST_ALIKE = 0.2
"""Highest correlation of the two waveforms; voices mixed to the centre are alike."""
_AT_ONCE_SHARE = 0.6
"""Share of the frames with speech in one channel that have speech in both, from which each carries
the whole film in a language of its own: people who talk to each other take turns."""


def speaker_per_channel(vocals: SoundReader, speech: Sequence[Span]) -> bool:
    """Return whether each of two channels has a speaker of its own, by five minutes of speech."""
    moments = _moments(vocals, speech)
    if moments is None or _at_once(*moments) >= _AT_ONCE_SHARE:
        return False
    left, right = moments
    # Pauses belong to no channel.
    loudest = np.maximum(left, right)
    heard = loudest > np.quantile(loudest, 0.9) * 1e-3
    difference_db = 10 * np.log10((left[heard] + 1e-12) / (right[heard] + 1e-12))
    owned = [float((difference_db * sign > _APART_DB / 2).mean()) for sign in (1, -1)]
    apart = float((np.abs(difference_db) > _APART_DB).mean())
    return apart >= _APART_SHARE and min(owned) >= _EACH_SHARE


_OWN_DB, _BLEED_DB = 25.0, 12.0
"""How far under a channel's loud frames its speaker still talks, and how far under the other
channel its sound is only that one's."""
_BRIDGED_S = 0.3


def speech_of_channel(
    vocals: SoundReader, speech: Sequence[Span], channel: int
) -> tuple[Span, ...]:
    """Return the stretches in which the speaker of one of two channels talks, within `speech`."""
    size, gap = max(1, round(_FRAME_S * vocals.rate)), round(_BRIDGED_S * vocals.rate)
    powers = [_powers(vocals, span, size) for span in speech]
    own = np.concatenate([both[channel] for both in powers] or [np.zeros(0)])
    least = float(np.quantile(own, 0.9)) * 10 ** (-_OWN_DB / 10) if own.size else 0.0
    spans: list[Span] = []
    for span, both in zip(speech, powers, strict=True):
        mine, other = both[channel], both[1 - channel]
        heard = (mine > max(least, 1e-9)) & (mine > other * 10 ** (-_BLEED_DB / 10))
        frames = (span.start + int(i) * size for i in np.flatnonzero(heard))
        talks = merge((Span(at, min(span.end, at + size)) for at in frames), gap)
        # The edges of the detector stay: soft sounds lie between them and the first loud frame.
        spans += [part for talk in talks if (part := talk.pad(size * 3, size * 3).clip(span))]
    return tuple(merge(spans))


def _powers(vocals: SoundReader, span: Span, size: int) -> NDArray[np.float64]:
    """Return the power of each frame in both channels, ``(2, frames)``; half a minute at once."""
    powers = [np.zeros((2, 0))]
    for start in range(span.start, span.end, size * 600):
        count = min(600, (span.end - start) // size)
        sound = vocals.read(start, start + count * size).astype(np.float64)
        powers.append(np.square(sound).reshape(2, count, size).mean(axis=2))
    return np.concatenate(powers, axis=1)


def language_per_channel(vocals: SoundReader, speech: Sequence[Span]) -> bool:
    """Return whether two channels speak at once in their own words, by five minutes of speech."""
    moments = _moments(vocals, speech)
    return moments is not None and _at_once(*moments) >= _AT_ONCE_SHARE


def _moments(
    vocals: SoundReader, speech: Sequence[Span]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the power of each frame of speech, left and right; None where both sound alike."""
    if vocals.channels != 2:
        return None
    frames: list[NDArray[np.float64]] = [np.zeros((3, 0))]
    left, size = _LONGEST_HEARD_S * vocals.rate, max(1, round(_FRAME_S * vocals.rate))
    for span in speech:
        if left <= 0:
            break
        stop = min(span.end, span.start + round(min(left, 30 * vocals.rate)))
        count = (stop - span.start) // size
        sound = vocals.read(span.start, span.start + count * size).astype(np.float64)
        one, other = sound.reshape(2, count, size)
        # Each frame's power in both channels, and their product.
        frames.append(
            np.stack([np.square(one).mean(1), np.square(other).mean(1), (one * other).mean(1)])
        )
        left -= stop - span.start
    one, other, product = np.concatenate(frames, axis=1)
    alike = abs(product.sum()) / np.sqrt(max(one.sum() * other.sum(), 1e-18))
    is_silent = not one.size or np.maximum(one, other).max() <= 1e-9
    return None if is_silent or alike >= _MOST_ALIKE else (one, other)


def _at_once(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Return how much of the time of either channel both speak, within 20 dB of their own level."""
    one, other = (powers > max(np.quantile(powers, 0.9) * 1e-2, 1e-9) for powers in (left, right))
    return float((one & other).sum() / max(1, (one | other).sum()))


def louder_channel(vocals: SoundReader, span: Span) -> tuple[int, float]:
    """Return which of two channels carries a line, and how sure that is, 0.5 to 1."""
    power = np.square(vocals.read(span.start, span.end), dtype=np.float64).sum(axis=1)
    if power.sum() <= 0:
        return 0, 0.5
    channel = int(power.argmax())
    return channel, float(power[channel] / power.sum())
