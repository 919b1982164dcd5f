"""Synthetic voices of known pitch and formants, and a sound in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.timeline.spans import Span

Sound = NDArray[np.float32]


class SoundInMemory:
    """An `AudioReader` over an array ``(channels, samples)`` or ``(samples,)``."""

    def __init__(self, sound: Sound, rate: int) -> None:
        self._sound = np.atleast_2d(np.asarray(sound, np.float32))
        self.rate = rate

    @property
    def channels(self) -> int:
        return self._sound.shape[0]

    @property
    def samples(self) -> int:
        return self._sound.shape[1]

    def read(self, start: int, stop: int) -> Sound:
        block = np.zeros((self.channels, stop - start), np.float32)
        low, high = max(0, start), min(stop, self.samples)
        if low < high:
            block[:, low - start : high - start] = self._sound[:, low:high]
        return block


@dataclass(frozen=True)
class SyntheticVoice:
    """A pulse train through three resonances; `tract` scales them as a shorter throat would."""

    pitch_hz: float
    tract: float = 1.0


_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))


def speak(voice: SyntheticVoice, length_s: float, rate: int, seed: int = 0) -> Sound:
    """Vowels of 100 ms in turn, with swaying pitch and a little breath, at -20 dBFS RMS."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(seed)
    count = round(length_s * rate)
    time = np.arange(count) / rate
    pitch = voice.pitch_hz * (1 + 0.06 * np.sin(2 * np.pi * 3 * time + rng.uniform(0, 6)))
    phase = np.cumsum(pitch) / rate
    source = (np.diff(np.floor(phase), prepend=0) > 0).astype(float)
    source += 0.02 * rng.standard_normal(count)
    spoken = np.zeros(count)
    step = max(1, round(0.1 * rate))
    order = rng.permutation(len(_VOWELS))
    for i, start in enumerate(range(0, count, step)):
        formants = _VOWELS[order[i % len(_VOWELS)]]
        piece = source[start : start + step]
        for hz in formants:
            if hz * voice.tract < 0.45 * rate:
                piece = _resonate(lfilter, piece, hz * voice.tract, rate)
        spoken[start : start + step] = piece
    return (spoken * 0.1 / max(1e-9, np.sqrt(np.mean(spoken**2)))).astype(np.float32)


def _resonate(lfilter, piece, hz, rate):
    radius = np.exp(-np.pi * 90 / rate)
    return lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * hz / rate), radius**2], piece)


@dataclass(frozen=True)
class Scene:
    """A dialogue whose every turn is known."""

    sound: SoundInMemory
    turns: tuple[tuple[Span, int], ...]

    @property
    def speech(self) -> list[Span]:
        return [span for span, _ in self.turns]


def dialogue(
    voices: Sequence[SyntheticVoice],
    order: Sequence[int],
    rate: int = 16000,
    line_s: float = 1.6,
    pause_s: float = 0.5,
) -> Scene:
    """Let voices speak in a given order, one line each, over a faint noise."""
    rng = np.random.default_rng(1)
    sounds, turns, cursor = [np.zeros(round(pause_s * rate), np.float32)], [], round(pause_s * rate)
    for i, who in enumerate(order):
        line = speak(voices[who], line_s * (0.8 + 0.4 * rng.random()), rate, seed=i)
        turns.append((Span(cursor, cursor + line.size), who))
        sounds += [line, np.zeros(round(pause_s * rate), np.float32)]
        cursor += line.size + round(pause_s * rate)
    whole = np.concatenate(sounds)
    whole += 1e-4 * rng.standard_normal(whole.size).astype(np.float32)
    return Scene(SoundInMemory(whole, rate), tuple(turns))


def error_rate(
    truth: Sequence[tuple[Span, str]], found: Sequence[tuple[Span, str]], rate: int
) -> float:
    """Diarization error rate in frames of 10 ms, overlaps scored, no collar (NIST md-eval)."""
    step = rate // 100
    frames = max(span.end for span, _ in [*truth, *found]) // step + 2
    left, right = _activity(truth, frames, step), _activity(found, frames, step)
    both = left.sum(axis=0), right.sum(axis=0)
    agreement = left.astype(float) @ right.astype(float).T
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-agreement)
    correct = agreement[rows, columns].sum()
    return float((np.maximum(*both).sum() - correct) / both[0].sum())


def _activity(turns, frames, step):
    speakers = sorted({who for _, who in turns})
    active = np.zeros((len(speakers), frames), bool)
    for span, who in turns:
        active[speakers.index(who), span.start // step : span.end // step] = True
    return active


def best_match(truth: Sequence[int], labels: Sequence[str]) -> float:
    """Share of items that agree under the best renaming of few labels."""
    names = sorted(set(labels))
    kinds = sorted(set(truth))
    padded = names + [f"none{i}" for i in range(max(0, len(kinds) - len(names)))]
    return max(
        sum(choice[kinds.index(t)] == found for t, found in zip(truth, labels, strict=True))
        for choice in permutations(padded, len(kinds))
    ) / len(truth)
