from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.engines.separation.rates import RateBridge, Read

NETWORK = 44_100


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


def level_db(sound: Samples) -> float:
    return 10 * float(np.log10(np.square(sound, dtype=np.float64).mean() + 1e-30))


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
