"""Small films in two stems, with takes, of noise and buzzing voices: all of it known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.media.loudness import Loudness, LoudnessMeter
from dubarr_pipeline.media.mix_options import MixSources, PlacedTake
from dubarr_pipeline.media.sound_reader import Samples
from dubarr_pipeline.media.waveform import write_wave
from dubarr_pipeline.timeline.spans import Span


def buzz(samples: int, rate: int, pitch_hz: float = 130.0, level: float = 0.2) -> Samples:
    """A voice: harmonics, syllables, peaks at `level`."""
    t = np.arange(samples) / rate
    harmonics = [k for k in range(1, 25) if k * pitch_hz < 0.4 * rate]
    tone = sum(np.sin(2 * np.pi * k * pitch_hz * t) / (1 + (k / 5) ** 2) for k in harmonics)
    voice = np.asarray(tone) * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * t))
    return (level * voice / max(1e-9, np.abs(voice).max(initial=0))).astype(np.float32)


def pink(channels: int, samples: int, level: float = 0.03, seed: int = 3) -> Samples:
    """A bed: noise that falls by 3 dB an octave, standard deviation `level`."""
    random = np.random.default_rng(seed)
    spectrum = np.fft.rfft(random.standard_normal((channels, samples)))
    spectrum /= np.sqrt(np.maximum(np.arange(spectrum.shape[1]), 20))
    noise = np.fft.irfft(spectrum, samples)
    return (level * noise / noise.std()).astype(np.float32)


@dataclass(frozen=True)
class Line:
    """One original line: when, how loud, and how it is spread over the channels."""

    span: Span
    level: float = 0.2
    pan: tuple[float, ...] = ()
    take_level: float = 0.3
    take_rate: int = 24000
    take_length: int | None = None
    start: int | None = None


@dataclass
class Film:
    """Two stems on disk, and all that the mixer is told of them."""

    folder: Path
    rate: int
    bed: Samples
    vocals: Samples
    sources: MixSources
    takes: list[PlacedTake] = field(default_factory=list)

    @property
    def original(self) -> Samples:
        return self.bed + self.vocals

    def keeping(self, *spans: Span) -> Film:
        return replace(self, sources=replace(self.sources, kept=spans))


def loudness_of(sound: Samples, rate: int) -> Loudness:
    meter = LoudnessMeter(rate, sound.shape[0])
    meter.add(sound)
    meter.finish()
    return meter.result()


def make_film(
    folder: Path, lines: Sequence[Line], seconds: float = 12, channels: int = 2, rate: int = 48000
) -> Film:
    return film_of(folder, pink(channels, round(seconds * rate)), lines, rate)


def film_of(folder: Path, bed: Samples, lines: Sequence[Line], rate: int = 48000) -> Film:
    folder.mkdir(parents=True, exist_ok=True)
    vocals = np.zeros_like(bed)
    takes = []
    for index, line in enumerate(lines):
        pan = np.array(line.pan or (1.0,) * len(bed), np.float32)[:, None]
        voice = buzz(line.span.length, rate, 110 + 9 * index, line.level)
        vocals[:, line.span.start : line.span.end] += pan * voice
        takes.append(_take(folder, index, line, rate))
    write_wave(folder / "accompaniment.wav", bed, rate)
    write_wave(folder / "vocals.wav", vocals, rate)
    sources = MixSources(
        folder / "accompaniment.wav",
        folder / "vocals.wav",
        speech=tuple(line.span for line in lines),
        kept=(),
        loudness=loudness_of(bed + vocals, rate),
    )
    return Film(folder, rate, bed, vocals, sources, takes)


def _take(folder: Path, index: int, line: Line, rate: int) -> PlacedTake:
    length = line.take_length
    if length is None:
        length = line.span.length * line.take_rate // rate
    path = folder / f"take {index}.wav"
    write_wave(path, buzz(length, line.take_rate, 170, line.take_level), line.take_rate)
    start = line.span.start if line.start is None else line.start
    return PlacedTake(start, path, f"SPEAKER_{index:02}", line.span)


def decoded(path: Path, channels: int, rate: int = 48000) -> Samples:
    """The file as a player hears it: ``(channels, samples)``."""
    arguments = ["-i", ffmpeg.file_url(path), "-f", "f32le", "-ar", str(rate), "pipe:1"]
    data = np.frombuffer(ffmpeg.run(arguments).stdout, "<f4")
    return data.reshape(-1, channels).T
