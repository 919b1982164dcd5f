"""Made-up voices and backgrounds with known stems, and a sound in memory."""

from __future__ import annotations

import numpy as np

from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.timeline.spans import Span


class Sound:
    """A sound in memory, read as files are; remembers the longest stretch that was asked for."""

    def __init__(self, sound: Samples, rate: int) -> None:
        self._sound = sound
        self.rate, self.channels, self.samples = rate, sound.shape[0], sound.shape[1]
        self.longest = 0

    def read(self, start: int, stop: int) -> Samples:
        self.longest = max(self.longest, stop - start)
        block = np.zeros((self.channels, stop - start), np.float32)
        first, last = max(0, start), min(stop, self.samples)
        if first < last:
            block[:, first - start : last - start] = self._sound[:, first:last]
        return block


class Hiss:
    """Steady noise of any length that is made as it is read."""

    def __init__(self, channels: int, samples: int, rate: int) -> None:
        self.channels, self.samples, self.rate = channels, samples, rate
        noise = np.random.default_rng(3).normal(0, 0.1, (channels, rate))
        self._second = noise.astype(np.float32)
        self.longest = 0

    def read(self, start: int, stop: int) -> Samples:
        self.longest = max(self.longest, stop - start)
        block = self._second[:, np.arange(start, stop) % self.rate]
        block[:, : max(0, -start)] = 0
        if stop > self.samples:
            block[:, max(0, self.samples - start) :] = 0
        return block


def voice(samples: int, rate: int, lines: list[Span], seed: int = 0) -> Samples:
    """A buzz whose pitch and strength move, inside the lines: ``(samples,)``, RMS 0.1 there."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / rate
    pitch = 150 * (1 + 0.15 * np.sin(2 * np.pi * 0.7 * time + rng.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    overtones = range(1, min(25, int(0.4 * rate / 180)))
    buzz = sum(np.cos(k * phase + k * k) / k**0.7 for k in overtones)
    sound = buzz * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * time))
    spoken = np.zeros(samples, bool)
    for line in lines:
        spoken[line.start : line.end] = True
    sound = np.where(spoken, sound, 0)
    level = np.sqrt(np.square(sound[spoken]).mean()) if spoken.any() else 1.0
    return (0.1 * sound / level).astype(np.float32)


def wide(channels: int, samples: int, level: float, seed: int = 1) -> Samples:
    """Independent noise in every channel, RMS `level`."""
    noise = np.random.default_rng(seed).normal(0, level, (channels, samples))
    return noise.astype(np.float32)


def si_sdr(estimate: Samples, truth: Samples) -> float:
    """Scale-invariant signal-to-distortion ratio in dB."""
    found, wanted = estimate.ravel().astype(float), truth.ravel().astype(float)
    target = (found @ wanted) / (wanted @ wanted) * wanted
    return float(10 * np.log10((target @ target) / ((found - target) @ (found - target))))
