"""A process that separates some noise and keeps its windows in a folder, until it is killed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from dubarr_pipeline.engines.separation.demucs import DemucsOptions, DemucsSeparator
from dubarr_pipeline.timeline.spans import Span
from dubarr_pipeline_tests.engines.separation.sounds import Sound


def noise() -> Sound:
    """Twelve seconds, no two windows of which are alike."""
    random = np.random.default_rng(7)
    return Sound(0.1 * random.standard_normal((2, 12 * 48_000)).astype(np.float32), 48_000)


if __name__ == "__main__":
    with DemucsSeparator(DemucsOptions(sys.argv[1], device="cpu")) as separator:
        separator.keep_in(Path(sys.argv[2]))
        source = noise()
        for _ in separator.separate(source, [Span(0, source.samples)]):
            pass
