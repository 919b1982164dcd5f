"""The way of a film through a network, with networks whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.engines.separation.film import Film, level_of
from dubarr_pipeline.engines.separation.windows import WindowPlan
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.separation_sounds import Hiss, Sound

NETWORK = 44_100


def hum(channels: int, samples: int, rate: int) -> Samples:
    time = np.arange(samples) / rate
    rows = [np.sin(2 * np.pi * 200 * (c + 1) * time) for c in range(channels)]
    return (0.1 * np.stack(rows)).astype(np.float32)


def half(sounds: Samples) -> Samples:
    """A network to which half of everything is voice."""
    return 0.5 * sounds


def plan_for(film: Film) -> WindowPlan:
    return WindowPlan(film.samples, NETWORK // 2, NETWORK // 4)


def separated(
    source: Sound | Hiss, groups: list[tuple[int, ...]], spans: list[Span], batch: int = 2
) -> list[tuple[int, Samples]]:
    film = Film(source, groups, NETWORK)
    return list(film.separated(plan_for(film), spans, batch, half))


def joined(blocks: list[tuple[int, Samples]], channels: int, samples: int) -> Samples:
    whole = np.zeros((channels, samples), np.float32)
    for start, block in blocks:
        whole[:, start : start + block.shape[1]] = block
    return whole


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("groups", [[(0, 1)], [(0,)], [(2,)], [(0, 1), (3,)]])
def test_each_group_gets_its_own_voices_back_at_its_rate(rate: int, groups: list[tuple[int, ...]]):
    sound = hum(4, 3 * rate + 11, rate)
    blocks = separated(Sound(sound, rate), groups, [Span(0, sound.shape[1])])
    found = joined(blocks, 4, sound.shape[1])
    inside = slice(rate // 20, -rate // 20)
    for channel in range(4):
        used = any(channel in group for group in groups)
        expected = 0.5 * sound[channel, inside] if used else np.zeros_like(sound[channel, inside])
        np.testing.assert_allclose(found[channel, inside], expected, atol=3e-5 if used else 0)


@pytest.mark.parametrize("batch", [1, 3, 50])
def test_blocks_ascend_and_cover_speech_alone(batch: int):
    spans = [Span(10, 2_000), Span(2_500, 130_000), Span(250_000, 250_001), Span(299_000, 300_000)]
    blocks = separated(Hiss(2, 300_000, 48_000), [(0, 1)], spans, batch)
    covered = np.zeros(300_000, int)
    for start, block in blocks:
        covered[start : start + block.shape[1]] += 1
    wanted = np.zeros(300_000, int)
    for span in spans:
        wanted[span.start : span.end] = 1
    np.testing.assert_array_equal(covered, wanted)
    assert [start for start, _ in blocks] == sorted(start for start, _ in blocks)


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_the_result_does_not_depend_on_what_else_is_speech(rate: int):
    source = Hiss(2, 5 * rate, rate)
    span = Span(2 * rate + 17, 3 * rate)
    whole = joined(separated(source, [(0, 1)], [Span(0, 5 * rate)]), 2, 5 * rate)
    ((start, alone),) = separated(source, [(0, 1)], [span], batch=50)
    assert start == span.start
    np.testing.assert_allclose(alone, whole[:, span.start : span.end], atol=1e-6)


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("seconds", [0.1, 0.5, 0.9, 3.3])
def test_what_was_yielded_is_never_read_again(rate: int, seconds: float):
    """The accompaniment is written over the very file that is read."""
    samples = round(seconds * rate)
    sound = hum(2, samples, rate)
    untouched = joined(separated(Sound(sound, rate), [(0, 1)], [Span(0, samples)], 1), 2, samples)
    film = Film(source := Sound(sound.copy(), rate), [(0, 1)], NETWORK)
    found = np.zeros_like(sound)
    for start, block in film.separated(plan_for(film), [Span(0, samples)], 1, half):
        found[:, start : start + block.shape[1]] = block
        source._sound[:, start : start + block.shape[1]] = np.nan
    np.testing.assert_array_equal(found, untouched)


def test_only_a_stretch_of_a_long_film_is_held():
    rate = 48_000
    source = Hiss(2, 200 * rate, rate)
    film = Film(source, [(0, 1)], NETWORK)
    spans = [Span(0, 10 * rate), Span(180 * rate, 190 * rate)]
    for _, block in film.separated(plan_for(film), spans, 2, half):
        assert block.shape[1] <= 2 * rate
    assert source.longest <= 1 << 20


def test_nothing_is_read_where_nobody_speaks():
    source = Hiss(2, 10_000, 48_000)
    assert separated(source, [(0, 1)], []) == []
    assert source.longest == 0


def test_windows_are_normalised_by_the_whole_film():
    heard: list[Samples] = []

    def listen(sounds: Samples) -> Samples:
        heard.append(sounds)
        return sounds

    quiet_then_loud = np.concatenate([0.01 * np.ones(88_200), np.linspace(-0.9, 0.9, 88_200)])
    sound = np.stack([quiet_then_loud, quiet_then_loud]).astype(np.float32)
    film = Film(Sound(sound, NETWORK), [(0, 1)], NETWORK)
    list(film.separated(plan_for(film), [Span(0, 176_400)], 1, listen))
    level = level_of(Sound(sound, NETWORK), (0, 1))
    assert level.mean == pytest.approx(quiet_then_loud.mean(), abs=1e-6)
    assert level.spread == pytest.approx(quiet_then_loud.std(ddof=1), rel=1e-4)
    np.testing.assert_allclose(heard[0][0], (0.01 - level.mean) / level.spread, atol=1e-4)


def test_samples_that_are_no_numbers_are_silence():
    sound = hum(2, 50_000, NETWORK)
    sound[:, 20_000:20_010] = np.nan
    sound[0, 30_000] = np.inf
    found = joined(separated(Sound(sound, NETWORK), [(0, 1)], [Span(0, 50_000)]), 2, 50_000)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("samples", [0, 1, 7])
def test_films_of_hardly_any_samples(samples: int):
    spans = [Span(0, samples)] if samples else []
    blocks = separated(Sound(hum(2, samples, 48_000), 48_000), [(0, 1)], spans)
    assert sum(block.shape[1] for _, block in blocks) == samples
    assert all(np.isfinite(block).all() for _, block in blocks)
