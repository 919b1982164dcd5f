"""Sums of harmonics."""

import numpy as np
import pytest

from dubarr_pipeline.media.audio.harmonics import sum_harmonics


@pytest.mark.parametrize("count", [0, 1, 2, 8, 40])
def test_the_sum_is_that_of_single_sines(count: int):
    phase = 2 * np.pi * 113.7 * np.arange(48_000) / 24_000
    weights = [(-1) ** k / (1 + k**1.3) for k in range(count)]
    expected = sum(
        (weight * np.sin((k + 1) * phase) for k, weight in enumerate(weights)), np.zeros(48_000)
    )
    assert np.abs(sum_harmonics(phase, weights) - expected).max() < 1e-10
    assert sum_harmonics(phase[:0], weights).shape == (0,)
