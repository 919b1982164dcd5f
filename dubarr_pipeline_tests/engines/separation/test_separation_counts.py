"""Price of the embedded separation, in transforms: seconds depend on what else a machine does."""

import numpy as np
import pytest

from dubarr_pipeline.engines.separation.lite import LiteSeparator
from dubarr_pipeline.engines.separation.spectrum import Grid
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.separation_sounds import Sound, voice, wide

RATE = 16_000
LINES = [Span(start * RATE, (start + 2) * RATE) for start in range(1, 34, 3)]
LENGTH = 34 * RATE


def test_every_line_and_every_pause_is_transformed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    analysed, synthesised = [], []
    analyse, synthesise = Grid.analyse, Grid.synthesise
    monkeypatch.setattr(
        Grid, "analyse", lambda grid, sound: analysed.append(sound.shape) or analyse(grid, sound)
    )
    monkeypatch.setattr(
        Grid, "synthesise", lambda grid, found: synthesised.append(0) or synthesise(grid, found)
    )
    sound = np.stack([voice(LENGTH, RATE, LINES)] * 2) + wide(2, LENGTH, 0.02)
    separator = LiteSeparator()
    assert len(list(separator.separate(Sound(sound, RATE), LINES))) == len(LINES)
    assert separator.method == f"centre {len(LINES)}"
    # Every pause lasts a second, so that none is cut where four seconds of them are full.
    assert len(analysed) == len(LINES) + len(LINES) + 1
    assert len(synthesised) == len(LINES)
