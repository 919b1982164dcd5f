"""Silence at the edges of a sound: what is cut, and what stays."""

from __future__ import annotations

import numpy as np
import pytest

from dubarr_pipeline.media.audio.edges import trim_edges


@pytest.mark.parametrize(("before", "after"), [(0, 0), (800, 0), (0, 1600), (4000, 4000)])
def test_silent_edges_are_cut(before: int, after: int) -> None:
    voice = 0.4 * np.sin(np.arange(8000) / 5).astype(np.float32)
    sound = np.concatenate([np.zeros(before, np.float32), voice, np.zeros(after, np.float32)])
    assert 8000 - 10 <= trim_edges(sound, 160).size <= 8000 + 2 * 161
    assert trim_edges(np.zeros(100, np.float32), 160).size == 0


def test_edges_are_trimmed_at_a_fiftieth_decibel_below_the_peak() -> None:
    sound = np.concatenate([np.zeros(50), [0.001, 0.5, 0.0, -0.5, 0.002], np.zeros(50)])
    assert trim_edges(sound.astype(np.float32)).tolist() == pytest.approx([0.5, 0, -0.5, 0.002])
    assert trim_edges(np.zeros(10, dtype=np.float32)).size == 0
    assert trim_edges(np.zeros(0, dtype=np.float32)).size == 0
