from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.media.audio.resample import (
    RateBridge,
    Read,
    read_speech,
    resample,
    resampled_length,
)
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.tones import level_db, snr_db

RATE, NETWORK = 48_000, 44_100


def reading(sound: Samples) -> Read:
    def read(start: int, stop: int) -> Samples:
        block = np.zeros((sound.shape[0], stop - start), np.float32)
        first, last = max(0, start), min(stop, sound.shape[1])
        if first < last:
            block[:, first - start : last - start] = sound[:, first:last]
        return block

    return read


def tones(rate: int, seconds: float, frequencies: tuple[float, ...]) -> Samples:
    time = np.arange(round(rate * seconds)) / rate
    sound = sum(np.sin(2 * np.pi * f * time + f) for f in frequencies)
    return np.stack([sound, -sound]).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 32_000, 44_100, 47_999, 48_000, 96_000])
def test_a_tone_is_the_same_tone_at_the_same_time(rate: int):
    frequencies = (300.0, 0.3 * min(rate, NETWORK))
    sound = tones(rate, 0.5, frequencies)
    bridge = RateBridge(rate, NETWORK)
    made = bridge.convert(reading(sound), 0, bridge.length(sound.shape[1]))
    expected = tones(NETWORK, 0.5, frequencies)
    inside = slice(NETWORK // 20, 9 * NETWORK // 20)
    error = made[:, inside] - expected[:, inside]
    assert level_db(error) - level_db(expected) < -70


@pytest.mark.parametrize("rate", [16_000, 48_000, 96_000])
def test_there_and_back_nothing_moves(rate: int):
    sound = tones(rate, 0.5, (440.0, 3_000.0))
    there, back = RateBridge(rate, NETWORK), RateBridge(NETWORK, rate)
    between = there.convert(reading(sound), 0, there.length(sound.shape[1]))
    again = back.convert(reading(between), 0, sound.shape[1])
    inside = slice(rate // 20, -rate // 20)
    assert level_db((again - sound)[:, inside]) - level_db(sound) < -65


def test_what_the_lower_rate_cannot_hold_does_not_come_back_as_something_else():
    sound = tones(96_000, 0.5, (30_000.0,))
    made = RateBridge(96_000, NETWORK).convert(reading(sound), 2_000, 20_000)
    assert level_db(made) - level_db(sound) < -75


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([8_000, 44_100, 48_000, 96_000]), st.integers(0, 9_000), st.integers(1, 3_000)
)
def test_a_stretch_comes_out_as_from_the_whole(rate: int, start: int, length: int):
    sound = np.random.default_rng(1).standard_normal((1, 12_000)).astype(np.float32)
    bridge = RateBridge(rate, NETWORK)
    asked: list[tuple[int, int]] = []

    def read(first: int, last: int) -> Samples:
        asked.append((first, last))
        return reading(sound)(first, last)

    whole = bridge.convert(read, 0, start + length)
    part = bridge.convert(read, start, start + length)
    np.testing.assert_allclose(part, whole[:, start:], atol=1e-5)
    assert asked[1] == (bridge.first_read(start), bridge.last_read(start + length))


@given(st.sampled_from([8_000, 44_100, 48_000, 96_000]), st.integers(0, 100_000))
def test_what_is_ready_needs_nothing_beyond_what_is_known(rate: int, known: int):
    bridge = RateBridge(NETWORK, rate)
    ready = bridge.ready(known)
    assert ready == 0 or bridge.last_read(ready) <= known
    assert bridge.last_read(ready + bridge.length(2)) > known


@given(st.integers(0, 40_000), st.sampled_from([8000, 16000, 22050, 24000, 44100, 48000, 192000]))
@settings(max_examples=40, deadline=None)
def test_a_resampled_take_has_exactly_the_right_length(samples, rate):
    found = resample(np.ones(samples, np.float32), rate, RATE)
    assert (
        found.size == resampled_length(samples, rate, RATE) == round(samples * RATE / rate + 1e-9)
    )
    assert found.dtype == np.float32


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 32000, 44100, 96000])
@pytest.mark.parametrize("wanted", [44100, 48000])
def test_a_resampled_tone_stays_itself_without_delay(rate, wanted):
    seconds, hz = 1.3, 1234.5
    n = round(seconds * rate)
    fade = np.hanning(n)
    found = resample(
        (fade * np.sin(2 * np.pi * hz * np.arange(n) / rate)).astype(np.float32), rate, wanted
    )
    t = np.arange(found.size) / wanted
    expected = np.interp(t, np.arange(n) / rate, fade) * np.sin(2 * np.pi * hz * t)
    assert np.abs(found - expected).max() < 2e-4


def test_a_take_of_higher_rate_does_not_alias():
    n = 96000
    tone = (np.hanning(n) * np.sin(2 * np.pi * 30_000 * np.arange(n) / 96000)).astype(np.float32)
    assert np.abs(resample(tone, 96000, 48000)).max() < 1e-4


TONES = [(24_000, hz) for hz in (1_000, 9_000, 10_800)] + [
    *((22_050, hz) for hz in (1_000, 9_000, 10_800)),
    *((16_000, hz) for hz in (1_000, 7_200)),
]


@pytest.mark.parametrize(("rate", "hz"), TONES)
def test_images_of_a_tone_stay_100_db_below_it(rate: int, hz: int):
    tone = (0.5 * np.sin(2 * np.pi * hz * np.arange(rate) / rate)).astype(np.float32)
    assert snr_db(resample(tone, rate, RATE), hz, RATE) > 100
    bridge = RateBridge(rate, RATE)
    pieces = [
        bridge.convert(reading(tone[None]), start, start + 5_000)[0]
        for start in range(0, RATE, 5_000)
    ]
    assert snr_db(np.concatenate(pieces), hz, RATE) > 100


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 44_100, 96_000])
@pytest.mark.parametrize("wanted", [16_000, 44_100, 48_000])
def test_a_click_stays_at_its_sample(rate: int, wanted: int):
    common = int(np.gcd(rate, wanted))
    clicks = np.zeros((2, 3 * rate), np.float32)
    moments = [7 * rate // 20 // (rate // common), rate // (rate // common)]
    for channel, moment in enumerate(moments):
        clicks[channel, moment * (rate // common)] = 1
    expected = [moment * (wanted // common) for moment in moments]
    assert np.abs(resample(clicks, rate, wanted)).argmax(axis=1).tolist() == expected
    bridge = RateBridge(rate, wanted)
    assert (
        np.abs(bridge.convert(reading(clicks), 0, 2 * wanted)).argmax(axis=1).tolist() == expected
    )


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_no_border_is_heard_in_speech_that_is_read_in_blocks(rate: int):
    class Film:
        channels = 1
        samples = 65 * rate

        def __init__(self) -> None:
            self.rate = rate
            noise = np.random.default_rng(5).standard_normal(self.samples)
            self._sound = (0.1 * noise).astype(np.float32)[None]

        def read(self, start: int, stop: int) -> Samples:
            return reading(self._sound)(start, stop)

    film = Film()
    span = Span(rate // 2, 64 * rate)
    whole = resample(film.read(0, film.samples)[0], rate, 16_000)
    speech = read_speech(film, span)
    assert speech.size == 63.5 * 16_000
    np.testing.assert_allclose(speech, whole[8_000 : 64 * 16_000], atol=2e-6)
