from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dubarr_pipeline.engines.separation.spectrum import Grid, over_bins, over_time


@pytest.mark.parametrize(
    ("rate", "size"),
    [(8000, 512), (16000, 1024), (44100, 2048), (48000, 2048), (96000, 4096), (192000, 8192)],
)
def test_a_frame_lasts_about_46_ms_at_any_rate(rate: int, size: int) -> None:
    assert Grid.at(rate).size == size


def test_sound_survives_the_way_there_and_back() -> None:
    grid = Grid(512)
    sound = np.random.default_rng(0).normal(0, 0.3, (2, 20 * grid.hop)).astype(np.float32)
    back = grid.synthesise(grid.analyse(sound))
    inside = slice(grid.size - grid.hop, back.shape[1] - grid.size + grid.hop)
    assert back.dtype == np.float32
    assert_allclose(back[:, inside], sound[:, inside], atol=1e-6)


def test_means_over_time_and_bins_are_those_of_plain_sums() -> None:
    values = np.random.default_rng(0).uniform(0, 1, (30, 7)).astype(np.float32)
    padded = np.pad(values, [(4, 4), (0, 0)])
    assert_allclose(
        over_time(values), np.stack([padded[i : i + 9].mean(axis=0) for i in range(30)]), rtol=1e-5
    )
    assert_allclose(
        over_bins(values)[:, 1:-1],
        (values[:, :-2] + values[:, 1:-1] + values[:, 2:]) / 3,
        rtol=1e-5,
    )


def test_a_mean_over_time_of_no_sound_is_exactly_nothing() -> None:
    values = np.zeros((40, 3), np.float32)
    values[:10] = 1e6
    assert (over_time(values)[15:] == 0).all()
