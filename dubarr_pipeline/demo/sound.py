"""The demo's sound: voices by espeak-ng, a small score, waves, a bell, an engine; stereo."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.demo.scene import BELL_S, COMMENTARY, DURATION_S, LINES, PITCH_HZ, RATE
from dubarr_pipeline.engines.interfaces import Samples, SpeechRequest, Synthesizer, Voice
from dubarr_pipeline.engines.synthesis.espeak import EspeakSynthesizer
from dubarr_pipeline.media.audio.resample import resample
from dubarr_pipeline.script.model import SpeakerProfile
from dubarr_pipeline.spans import Span

_SAMPLES = round(DURATION_S * RATE)
_SPEECH_RMS = 0.075
_MUSIC_RMS = 0.022
_CHORDS = ((57, 60, 64, 69), (53, 57, 60, 65), (48, 55, 60, 64), (55, 59, 62, 67))
"""A minor, F, C, G as MIDI notes: a bar each."""
_BAR_S = 2.75


@dataclass(frozen=True, slots=True)
class Soundtrack:
    """The stems, ``(2, samples)`` float32 at 48 kHz, and where every line lies."""

    voices: Samples
    bed: Samples
    commentary: Samples
    lines: tuple[Span, ...]


def soundtrack() -> Soundtrack:
    """Speak and play the scene; the same samples every time."""
    with EspeakSynthesizer() as synthesizer:
        takes = [_say(synthesizer, a.actor, a.text) for a in LINES]
        notes = [_say(synthesizer, "Commentator", text) for _, text in COMMENTARY]
    starts = [round(line.start_s * RATE) for line in LINES]
    voice = _lay(takes, starts)
    comment = _lay(notes, [round(start * RATE) for start, _ in COMMENTARY])
    lines = tuple(Span(start, start + len(take)) for start, take in zip(starts, takes, strict=True))
    bed = _music() + _waves() + _bell_and_engine()
    return Soundtrack(
        _centred(voice), np.clip(bed, -0.5, 0.5).astype(np.float32), _centred(comment), lines
    )


def _say(synthesizer: Synthesizer, name: str, text: str) -> Samples:
    profile = SpeakerProfile(name, pitch_hz=PITCH_HZ.get(name, 120.0))
    speech = synthesizer.speak(SpeechRequest(text, "en", Voice(name, profile)))
    sound = resample(speech.samples, speech.rate, RATE)
    return (sound * (_SPEECH_RMS / np.sqrt(np.mean(sound**2)))).astype(np.float32)


def _lay(takes: Sequence[Samples], starts: Sequence[int]) -> Samples:
    track = np.zeros(_SAMPLES, np.float32)
    for start, take in zip(starts, takes, strict=True):
        track[start : start + len(take)] += take
    return track


def _centred(mono: Samples) -> Samples:
    return np.stack([mono, mono])


def _music() -> NDArray[np.float64]:
    """Broken chords of plucked strings over a soft pad, each note at its own place in the room."""
    track = np.zeros((2, _SAMPLES))
    step, time = _BAR_S / 8, np.arange(round(_BAR_S * RATE)) / RATE
    for bar in range(int(DURATION_S / _BAR_S)):
        chord = _CHORDS[bar % len(_CHORDS)]
        for eighth in range(8):
            note = chord[(eighth * 3 + bar) % 4] + 12 * (eighth % 2)
            _add(track, bar * _BAR_S + eighth * step, _pluck(note), pan=(eighth % 5) / 4)
        for place, note in enumerate(chord):
            slow = 1 + 0.003 * np.sin(2 * np.pi * 0.7 * time)
            tone = 0.35 * np.sin(2 * np.pi * _hertz(note - 12) * time * slow)
            _add(track, bar * _BAR_S, tone * _edges(len(time), 0.5), pan=0.1 + 0.8 * place / 3)
    return track * (_MUSIC_RMS / np.sqrt(np.mean(track**2)))


def _pluck(note: int) -> NDArray[np.float64]:
    time = np.arange(round(1.4 * RATE)) / RATE
    frequency = _hertz(note)
    partials = [
        np.sin(2 * np.pi * frequency * k * time) * np.exp(-time * (3 + 2 * k)) / k
        for k in (1, 2, 3, 5)
    ]
    return np.sum(partials, axis=0) * _edges(len(time), 0.004)


def _hertz(note: int) -> float:
    return 440.0 * 2 ** ((note - 69) / 12)


def _waves() -> NDArray[np.float64]:
    """Surf: noise whose strength and side come and go; left and right are different water."""
    random = np.random.default_rng(7)
    time = np.arange(_SAMPLES) / RATE
    # Not at the top: it brings scipy.stats, and the demo is mostly there already.
    from scipy.signal import butter, sosfilt

    band = butter(2, (150, 1400), "bandpass", fs=RATE, output="sos")
    noise = sosfilt(band, random.standard_normal((2, _SAMPLES)), axis=1)
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * time / 5.3)
    return noise * np.stack([swell, np.roll(swell, RATE)]) * 0.014


def _bell_and_engine() -> NDArray[np.float64]:
    """Ring a buoy's bell at the left, and start the boat's engine at the right after it.

    The bell has the partials of a church bell (hum to nominal).
    """
    track = np.zeros((2, _SAMPLES))
    time = np.arange(2 * RATE) / RATE
    partials = ((0.5, 0.4), (1.0, 0.6), (1.19, 0.5), (1.5, 0.3), (2.0, 0.6), (2.74, 0.2))
    strike = np.sum(
        [a * np.sin(2 * np.pi * 520 * f * time) * np.exp(-time * (1.2 + f)) for f, a in partials],
        axis=0,
    )
    for start in BELL_S:
        _add(track, start, 0.09 * strike * _edges(len(time), 0.002), pan=0.2)
    time = np.arange(round(3.5 * RATE)) / RATE
    beat = np.maximum(0, np.sin(2 * np.pi * 11 * time)) ** 3
    sound = beat * np.sin(2 * np.pi * 62 * time) * np.minimum(1, time) * _edges(len(time), 0.3)
    _add(track, 29.3, 0.05 * sound, pan=0.8)
    return track


def _add(
    track: NDArray[np.float64], start_s: float, sound: NDArray[np.float64], pan: float
) -> None:
    """Add a mono sound at a time and a place, 0 left to 1 right, at constant power."""
    start = round(start_s * RATE)
    end = min(track.shape[1], start + len(sound))
    angle = pan * np.pi / 2
    track[0, start:end] += np.cos(angle) * sound[: end - start]
    track[1, start:end] += np.sin(angle) * sound[: end - start]


def _edges(samples: int, fade_s: float) -> NDArray[np.float64]:
    fade = max(1, round(fade_s * RATE))
    ramp = np.minimum(1.0, np.arange(samples) / fade)
    return ramp * ramp[::-1]
