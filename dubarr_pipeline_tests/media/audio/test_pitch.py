from __future__ import annotations

import numpy as np
import pytest

from dubarr_pipeline.media.audio.pitch import median_pitch, spread, track_pitch
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.synthetic_voices import SoundInMemory, SyntheticVoice, speak


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000, 192000])
def test_the_rate_makes_no_difference(rate):
    voice = speak(SyntheticVoice(140), 1.5, rate)
    assert median_pitch(SoundInMemory(voice, rate), [Span(0, voice.size)]) == pytest.approx(
        140, rel=0.04
    )


@pytest.mark.parametrize("hz", [70, 100, 140, 200, 280, 350])
def test_voices_from_bass_to_child_are_measured(hz):
    voice = speak(SyntheticVoice(hz, 1.1), 2.0, 16000)
    f0 = track_pitch(voice, 16000)
    assert np.median(f0[f0 > 0]) == pytest.approx(hz, rel=0.03)
    assert (f0 > 0).mean() > 0.6


@pytest.mark.parametrize("hz", [80.0, 123.4, 220.0, 333.3])
def test_a_pulse_train_is_measured_to_half_a_per_cent(hz):
    phase = np.arange(16000) * hz / 16000
    pulses = sum(np.cos(2 * np.pi * k * phase) / k for k in range(1, 8)).astype(np.float32)
    f0 = track_pitch(pulses * 0.1, 16000)
    assert np.median(f0[f0 > 0]) == pytest.approx(hz, rel=0.005)


def test_loudness_makes_no_difference():
    voice = speak(SyntheticVoice(120), 1.0, 16000)
    quiet, loud = track_pitch(voice * 0.01, 16000), track_pitch(voice, 16000)
    np.testing.assert_allclose(quiet, loud, rtol=1e-3)


def test_noise_and_silence_have_no_pitch():
    noise = np.random.default_rng(1).standard_normal(32000).astype(np.float32) * 0.1
    assert (track_pitch(noise, 16000) > 0).mean() < 0.1
    for samples in (0, 10, 16000):
        silence = SoundInMemory(np.zeros(samples, np.float32), 16000)
        assert median_pitch(silence, [Span(0, samples)]) is None
    assert median_pitch(silence, []) is None


def test_a_voice_in_noise_keeps_its_pitch():
    voice = speak(SyntheticVoice(110), 2.0, 16000)
    voice += 0.02 * np.random.default_rng(1).standard_normal(voice.size).astype(np.float32)
    assert median_pitch(SoundInMemory(voice, 16000), [Span(0, voice.size)]) == pytest.approx(
        110, rel=0.04
    )


@pytest.mark.parametrize(("count", "heard"), [(10, 10), (60, 60), (61, 60), (600, 60)])
def test_a_long_film_is_heard_in_samples_spread_over_it(count, heard):
    spans = [Span(i * 20, i * 20 + 10) for i in range(count)]
    chosen = spread(spans, 600)
    assert abs(len(chosen) - heard) <= 1
    assert set(chosen) <= set(spans)
    assert chosen[-1].start > 0.9 * spans[-1].start


def test_one_span_longer_than_all_that_is_heard_is_cut():
    assert spread([Span(0, 1000)], 600) == [Span(0, 600)]


def test_real_voices_are_in_their_register(shared_media):
    import soundfile

    sound, rate = soundfile.read(shared_media / "speech/libri_5703-47212-0000.ogg", dtype="float32")
    low = median_pitch(SoundInMemory(sound, rate), [Span(0, sound.size)])
    sound, rate = soundfile.read(shared_media / "speech/libri_198-209-0000.ogg", dtype="float32")
    high = median_pitch(SoundInMemory(sound, rate), [Span(0, sound.size)])
    assert 65 < low < 110
    assert 165 < high < 260
