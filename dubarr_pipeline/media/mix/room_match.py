"""Moves a take away from the microphone where the original line was spoken far from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dubarr_pipeline.media.audio.reader import Samples

_LOW_HZ, _HIGH_HZ = (300.0, 2000.0), (3500.0, 7500.0)
_SHELF_HZ = (1500.0, 5000.0)
_MOST_DB = 12.0
_FRAME_S = 0.01
_REFLECTIONS = ((0.017, 0.8), (0.031, 0.65), (0.047, 0.5), (0.071, 0.4), (0.101, 0.3))
"""Delays in seconds and strengths of a small room's first walls."""
_SLOWEST_TAIL = 0.5


@dataclass(frozen=True, slots=True)
class Room:
    """Room of a line: how much duller (-12 to 0 dB on the highs) and wetter (0 to 1) it sounds."""

    shelf_db: float
    wet: float


def measure_room(original: Samples, original_rate: int, take: Samples, take_rate: int) -> Room:
    """Compare a line's voice, ``(samples,)``, with its take's: highs, and how slowly it dies."""
    shelf_db = tilt_db(original, original_rate) - tilt_db(take, take_rate)
    slower = decay_db_per_s(take, take_rate) / decay_db_per_s(original, original_rate)
    wet = (slower - 1) / (1 / _SLOWEST_TAIL - 1)
    return Room(float(np.clip(shelf_db, -_MOST_DB, 0)), float(np.clip(wet, 0, 1)))


def tilt_db(sound: Samples, rate: int) -> float:
    """Return the power at 3.5-7.5 kHz against that at 0.3-2 kHz, in dB."""
    spectrum = np.square(np.abs(np.fft.rfft(sound)))
    hz = np.fft.rfftfreq(max(1, sound.size), 1 / rate)
    low, high = (
        (float(spectrum[(hz >= band[0]) & (hz < band[1])].sum()) + 1e-12)
        for band in (_LOW_HZ, _HIGH_HZ)
    )
    return 10 * float(np.log10(high / low))


def decay_db_per_s(sound: Samples, rate: int) -> float:
    """Return how fast the level falls where it falls fastest (upper tenth of 30 ms steps)."""
    frame = max(1, round(_FRAME_S * rate))
    frames = sound[: sound.size // frame * frame].reshape(-1, frame)
    if len(frames) < 8:
        return 1.0
    level = 10 * np.log10(np.square(frames, dtype=np.float64).mean(axis=1) + 1e-9)
    return max(1.0, float(np.quantile(level[:-3] - level[3:], 0.9)) / (3 * _FRAME_S))


def in_room(take: Samples, rate: int, room: Room) -> Samples:
    """Return the take as heard in the room: as long and as strong as it was."""
    if not take.size or (room.shelf_db == 0 and room.wet == 0):
        return take
    size = take.size + round(_REFLECTIONS[-1][0] * rate)
    hz = np.fft.rfftfreq(size, 1 / rate)
    low, high = np.log(_SHELF_HZ)
    place = np.clip((np.log(np.maximum(hz, 1.0)) - low) / (high - low), 0, 1)
    echoes = [gain * np.exp(-2j * np.pi * hz * delay_s) for delay_s, gain in _REFLECTIONS]
    response = 10 ** (room.shelf_db * place / 20) * (1 + room.wet * np.sum(echoes, axis=0))
    heard = np.fft.irfft(np.fft.rfft(take, size) * response, size)[: take.size]
    strength = np.sqrt(np.square(take).mean() / max(np.square(heard).mean(), 1e-20))
    return (heard * strength).astype(np.float32)
