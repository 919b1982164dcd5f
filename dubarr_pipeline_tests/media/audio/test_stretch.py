from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter, welch

from dubarr_pipeline.media.audio.stretch import stretch

TEMPOS = (0.85, 0.97, 1.05, 1.2)
Sound = NDArray[np.float32]


def _tone(hz: float, rate: int, seconds: float = 1.0) -> Sound:
    time = np.arange(round(rate * seconds)) / rate
    wave = 0.3 * np.sin(2 * np.pi * hz * time) + 0.1 * np.sin(4 * np.pi * hz * time)
    return wave.astype(np.float32)


def _voice(rate: int, hz: float = 120.0, seconds: float = 1.0) -> Sound:
    """Glottal pulses through two resonances: a vowel."""
    pulses = np.zeros(round(rate * seconds))
    pulses[:: round(rate / hz)] = 1.0
    for formant, width in ((700.0, 90.0), (1200.0, 110.0)):
        radius = np.exp(-np.pi * width / rate)
        turn = 2 * radius * np.cos(2 * np.pi * formant / rate)
        pulses = lfilter([1.0], [1.0, -turn, radius**2], pulses)
    return (0.3 * pulses / np.abs(pulses).max()).astype(np.float32)


def _pitch(sound: Sound, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size), 8 * sound.size))
    return float(spectrum.argmax()) * rate / (8 * sound.size)


def _inner(sound: Sound, rate: int) -> Sound:
    edge = rate // 20
    return sound[edge:-edge]


def _level_db(sound: Sound) -> float:
    return 20 * float(np.log10(np.sqrt(np.mean(sound.astype(np.float64) ** 2))))


@pytest.mark.parametrize("rate", [8_000, 24_000, 48_000])
@pytest.mark.parametrize("hz", [80.0, 123.4, 250.0])
@pytest.mark.parametrize("tempo", TEMPOS)
def test_a_tone_keeps_its_pitch_its_level_and_its_smoothness(
    rate: int, hz: float, tempo: float
) -> None:
    tone = _tone(hz, rate)
    length = round(tone.size / tempo)
    out = stretch(tone, rate, length)
    inner = _inner(out, rate)
    assert out.shape == (length,)
    assert out.dtype == np.float32
    assert _pitch(inner, rate) == pytest.approx(_pitch(tone, rate), rel=0.005)
    assert abs(_level_db(inner) - _level_db(tone)) < 0.2
    assert np.abs(np.diff(inner, 2)).max() < 1.5 * np.abs(np.diff(tone, 2)).max()


@pytest.mark.parametrize("tempo", TEMPOS)
def test_a_voice_keeps_its_spectrum(tempo: float) -> None:
    rate = 24_000
    voice = _voice(rate)
    out = stretch(voice, rate, round(voice.size / tempo))
    before, after = (welch(_inner(sound, rate), rate, nperseg=512)[1] for sound in (voice, out))
    heard = before > 1e-4 * before.max()
    difference = 10 * np.log10(after[heard] / before[heard])
    assert heard.sum() > 20
    assert np.abs(difference).max() < 1.0


def test_noise_keeps_its_level() -> None:
    noise = np.random.default_rng(5).normal(0, 0.1, 48_000).astype(np.float32)
    for tempo in TEMPOS:
        out = stretch(noise, 48_000, round(noise.size / tempo))
        assert abs(_level_db(out) - _level_db(noise)) < 0.3


def test_its_own_length_gives_the_same_samples_back() -> None:
    noise = np.random.default_rng(6).normal(0, 0.1, 10_001).astype(np.float32)
    assert np.array_equal(stretch(noise, 24_000, noise.size), noise)


def test_what_is_said_stays_in_its_place_and_the_end_is_not_cut_off() -> None:
    rate = 24_000
    for tempo in TEMPOS:
        sound = np.zeros(2 * rate, dtype=np.float32)
        for at in (0.0, 0.5, 1.0, 1.5, 1.9):
            start = round(at * rate)
            sound[start : start + rate // 10] = _tone(200, rate, 0.1)
        out = stretch(sound, rate, round(sound.size / tempo))
        for at in (0.5, 1.0, 1.5):
            middle = round((at + 0.05) * rate / tempo)
            assert _level_db(out[middle - 240 : middle + 240]) > -16
        assert _level_db(out[-round(0.06 * rate) : -round(0.01 * rate)]) > -16
        pause = round(0.3 * rate / tempo)
        assert np.abs(out[pause - 200 : pause + 200]).max() == 0


@pytest.mark.parametrize("size", [0, 1, 100, 1439, 1440, 1441])
@pytest.mark.parametrize("length", [0, 1, 99, 1440, 1700])
def test_very_short_sounds_get_the_exact_length_too(size: int, length: int) -> None:
    out = stretch(np.full(size, 0.5, dtype=np.float32), 24_000, length)
    assert out.shape == (length,)
    assert np.isfinite(out).all()
    assert np.abs(out).max(initial=0) <= 0.51


def test_silence_stays_silence() -> None:
    assert not stretch(np.zeros(30_000, dtype=np.float32), 24_000, 28_000).any()


def test_the_same_take_gives_the_same_samples_and_is_not_changed() -> None:
    voice = _voice(24_000)
    kept = voice.copy()
    assert np.array_equal(stretch(voice, 24_000, 21_000), stretch(voice, 24_000, 21_000))
    assert np.array_equal(voice, kept)


@pytest.mark.parametrize(
    ("shape", "rate", "length"), [((2, 10), 24_000, 5), ((10,), 1, 5), ((10,), 24_000, -1)]
)
def test_what_cannot_be_stretched_is_refused(
    shape: tuple[int, ...], rate: int, length: int
) -> None:
    with pytest.raises(ValueError, match="stretch"):
        stretch(np.zeros(shape, dtype=np.float32), rate, length)
