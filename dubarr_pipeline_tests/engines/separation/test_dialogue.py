from __future__ import annotations

import numpy as np
import pytest

from dubarr_pipeline.engines.separation.dialogue import (
    SeparationOptions,
    are_apart,
    dialogue_channels,
    position,
    sides,
    tells_apart,
)
from dubarr_pipeline.engines.separation.pauses import PauseSums, lines_of
from dubarr_pipeline.engines.separation.spectrum import Grid
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.separation_sounds import Sound, voice, wide

RATE = 16_000
GRID = Grid.at(RATE)
LINES = [Span(RATE, 3 * RATE), Span(4 * RATE, 6 * RATE)]
LENGTH = 7 * RATE


def channels_of(gains: list[float], bed: float) -> list[tuple[int, ...]]:
    spoken = voice(LENGTH, RATE, LINES)
    sound = np.array(gains, np.float32)[:, None] * spoken + wide(len(gains), LENGTH, bed)
    lines = lines_of(LINES, LENGTH, RATE, GRID)
    return dialogue_channels(Sound(sound, RATE), lines, GRID, SeparationOptions())


@pytest.mark.parametrize(
    ("gains", "bed", "groups"),
    [
        ([1.0], 0.02, [(0,)]),
        ([1.0, 0.0], 0.02, [(0, 1)]),
        ([0, 0, 1, 0, 0, 0], 0.02, [(2,)]),
        ([1, 1, 0, 0, 0, 0], 0.02, [(0, 1)]),
        ([0.7, 0.7, 1, 0, 0, 0], 0.02, [(0, 1), (2,)]),
        ([0.1, 0.1, 1, 0, 0, 0], 0.0, [(2,)]),
        ([0, 0, 1, 0, 0, 0, 0, 0.5], 0.02, [(2,), (7,)]),
        ([0, 0, 0, 0, 0, 0], 0.02, [(2,)]),
        ([1, 0, 0, 0], 0.02, [(0,)]),
    ],
)
def test_channels_with_dialogue_are_found(
    gains: list[float], bed: float, groups: list[tuple[int, ...]]
) -> None:
    assert channels_of(gains, bed) == groups


@pytest.mark.parametrize(
    ("gains", "groups"),
    [([0, 0, 1, 0, 0, 0], [(2,)]), ([1, 1, 0, 0, 0, 0], [(0, 1)]), ([1, 1, 1, 1, 1, 1], [(2,)])],
)
def test_without_any_pause_the_centre_is_believed_unless_it_is_silent(
    gains: list[float], groups: list[tuple[int, ...]]
) -> None:
    film = Span(0, LENGTH)
    sound = np.array(gains, np.float32)[:, None] * voice(LENGTH, RATE, [film])
    lines = lines_of([film], LENGTH, RATE, GRID)
    assert dialogue_channels(Sound(sound, RATE), lines, GRID, SeparationOptions()) == groups


def test_a_film_without_lines_has_no_channels_to_work_on() -> None:
    assert dialogue_channels(Sound(wide(6, RATE, 0.1), RATE), [], GRID, SeparationOptions()) == []


def spectra_of(left: float, right: float, bed: float, *, same_bed: bool = False):
    spoken = voice(LENGTH, RATE, [Span(0, LENGTH)])
    noise = wide(2, 2 * LENGTH, bed)
    if same_bed:
        noise[1] = noise[0]
    heard = np.stack([left * spoken, right * spoken]) + noise[:, :LENGTH]
    return [PauseSums.of(GRID.analyse(noise[:, LENGTH:]))], GRID.analyse(heard)


@pytest.mark.parametrize(("left", "right"), [(1, 1), (1.4, 0.6), (0.6, 1.4), (1.7, 0.3)])
def test_the_place_of_a_voice_is_measured(left: float, right: float) -> None:
    pauses, heard = spectra_of(left, right, 0.03)
    found = position(pauses, heard)
    assert found.lean == pytest.approx((left - right) / 2, abs=0.05)
    assert found.spread < 0.05
    assert tells_apart(found, pauses, heard, SeparationOptions())


@pytest.mark.parametrize("leak", [0.0, 0.005, 0.02, 0.1, 0.2])
def test_a_hard_panned_voice_leans_all_the_way_from_40_db_on(leak: float) -> None:
    expected = (2 - leak) / (2 + leak) if leak > 0.02 else 1
    place = position(*spectra_of(2, leak, 0.003))
    assert place.lean == pytest.approx(expected, abs=0.01)
    assert place.gains()[1] == pytest.approx(0, abs=0.01) or leak > 0.02


@pytest.mark.parametrize(
    ("gains", "place"), [((1, 1), 2), ((2, 0), 0), ((0, 2), 1), ((0.1, 2), 1), ((1.5, 0.5), 2)]
)
@pytest.mark.parametrize("bed", [0.0, 0.02])
def test_voices_at_one_place_are_not_apart(
    gains: tuple[float, float], place: int, bed: float
) -> None:
    found = sides(*spectra_of(*gains, bed))
    assert found.argmax() == place
    assert not are_apart(found)


def test_a_microphone_per_channel_is_apart_also_without_a_pause() -> None:
    first, second = Span(0, LENGTH // 2), Span(LENGTH // 2, LENGTH)
    heard = GRID.analyse(np.stack([voice(LENGTH, RATE, [part]) for part in (first, second)]))
    for pauses in ([], [PauseSums.of(GRID.analyse(wide(2, LENGTH, 0.001)))]):
        assert are_apart(sides(pauses, heard))
    assert not are_apart(sides([], np.zeros_like(heard)))


def test_the_turn_finds_the_voice_and_nothing_of_it_beside() -> None:
    pauses, heard = spectra_of(1.4, 0.6, 0.0)
    at, beside = position(pauses, heard).turn(heard)
    assert np.abs(beside).max() < 1e-3 * np.abs(at).max()


def test_two_voices_on_two_sides_are_no_point() -> None:
    first = voice(LENGTH, RATE, [Span(0, LENGTH)], seed=1)
    second = voice(LENGTH, RATE, [Span(0, LENGTH)], seed=2)[::-1]
    heard = GRID.analyse(np.stack([first, second]))
    pauses = [PauseSums.of(GRID.analyse(wide(2, LENGTH, 0.001)))]
    found = position(pauses, heard)
    assert not tells_apart(found, pauses, heard, SeparationOptions())


def test_where_left_is_right_the_stereo_picture_tells_nothing() -> None:
    pauses, heard = spectra_of(1, 1, 0.03, same_bed=True)
    assert not tells_apart(position(pauses, heard), pauses, heard, SeparationOptions())


@pytest.mark.parametrize(("method", "answer"), [("centre", True), ("wiener", False)])
def test_a_forced_method_asks_nobody(method: str, answer: bool) -> None:
    pauses, heard = spectra_of(1, 1, 0.03)
    options = SeparationOptions(method=method)
    assert tells_apart(position(pauses, heard), pauses, heard, options) is answer
