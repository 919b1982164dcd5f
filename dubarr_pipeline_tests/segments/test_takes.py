from __future__ import annotations

import numpy as np
import pytest

from dubarr_pipeline.engines.interfaces import Speech
from dubarr_pipeline.segments.takes import clipped_samples, join, measure, pauses_s


def tone(seconds: float, level: float = 0.5, rate: int = 16000) -> Speech:
    time_s = np.arange(round(seconds * rate)) / rate
    return Speech((level * np.sin(2 * np.pi * 200 * time_s + 1.0)).astype(np.float32), rate)


def test_joined_clauses_have_a_pause_and_no_click() -> None:
    joined = join([tone(0.5), tone(0.4), tone(0.3)])
    assert joined.samples.size / joined.rate == pytest.approx(1.2 + pauses_s(3), abs=1e-3)
    inside = joined.samples[1:-1]
    steepest = float(np.abs(np.diff(tone(0.5).samples)).max())
    assert float(np.abs(np.diff(inside)).max()) <= steepest * 1.05


def test_one_clause_is_left_as_it_is_and_rates_must_agree() -> None:
    only = tone(0.2)
    assert join([only]) is only
    with pytest.raises(ValueError, match="rate"):
        join([tone(0.2), tone(0.2, rate=8000)])
    with pytest.raises(ValueError, match="at least one"):
        join([])


def test_only_runs_at_full_scale_are_clipping() -> None:
    samples = np.zeros(100, dtype=np.float32)
    samples[10:12] = 1.0
    assert clipped_samples(samples) == 0
    samples[50:53] = -1.0
    samples[97:] = 1.0
    assert clipped_samples(samples) == 6


def test_a_measure_tells_level_and_length() -> None:
    found = measure(tone(0.5).samples, 16000, 0.6)
    assert found.samples == 8000
    assert found.peak == pytest.approx(0.5, abs=1e-3)
    assert found.rms == pytest.approx(0.5 / 2**0.5, abs=1e-3)
    assert measure(np.zeros(0, np.float32), 16000, 0.6).rms == 0.0
