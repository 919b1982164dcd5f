from __future__ import annotations

import tracemalloc
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubarr_pipeline.script.fit.evidence import (
    STEP_S,
    STRIDE,
    CueTimes,
    FitEvidence,
    FitSpeech,
    Signals,
)
from dubarr_pipeline.script.fit.options import ON_SPEECH, SearchOptions
from dubarr_pipeline.script.fit.search import Run, best_path

OPTIONS = SearchOptions(reach_s=20.0)
stretches = st.lists(st.tuples(st.floats(0.1, 4.0), st.floats(0.3, 3.0)), min_size=1, max_size=25)


def _times(gaps_and_lengths: list[tuple[float, float]]) -> CueTimes:
    edges = np.cumsum(np.array(gaps_and_lengths).ravel())
    return CueTimes(edges[::2], edges[1::2])


def _evidence(cues: CueTimes, speech: CueTimes) -> FitEvidence:
    film_s = float(speech.ends[-1]) + 2
    heard = FitSpeech(speech.starts, speech.ends, film_s)
    signals = Signals(heard, (-30.0, max(film_s, float(cues.ends[-1])) + 30), ON_SPEECH)
    return FitEvidence(signals, cues, Fraction(1), ON_SPEECH, OPTIONS.reach_s)


def _cost(run: Run) -> float:
    own = abs(run.offset) * STEP_S <= OPTIONS.own_time_s
    return OPTIONS.jump - OPTIONS.own_time_gain * own


@settings(max_examples=40, deadline=None)
@given(stretches, stretches)
def test_a_path_is_in_order_and_worth_its_score(
    cues: list[tuple[float, float]], speech: list[tuple[float, float]]
) -> None:
    evidence = _evidence(_times(cues), _times(speech))
    score, runs = best_path(evidence, OPTIONS, own_time=True)
    worth = sum(float(evidence.at(run.offset, run.cues).sum()) - _cost(run) for run in runs)
    assert score == pytest.approx(worth, abs=0.01)
    for left, right in pairwise(runs):
        assert left.last < right.first
        reached = int(evidence.ends[left.last]) + left.offset
        begun = int(evidence.starts[right.first]) + right.offset
        # Strides round either end.
        assert begun * STEP_S >= reached * STEP_S - OPTIONS.overlap_s - 2 * STRIDE * STEP_S


@settings(max_examples=20, deadline=None)
@given(stretches, stretches)
def test_no_single_run_beats_the_path(
    cues: list[tuple[float, float]], speech: list[tuple[float, float]]
) -> None:
    evidence = _evidence(_times(cues), _times(speech))
    score, _ = best_path(evidence, OPTIONS, own_time=True)
    for offset in evidence.offsets[::7]:
        run = Run(0, len(evidence) - 1, int(offset))
        assert float(evidence.at(run.offset).sum()) - _cost(run) <= score + 0.01


@settings(max_examples=20, deadline=None)
@given(stretches, stretches)
def test_rows_and_columns_of_the_evidence_agree(
    cues: list[tuple[float, float]], speech: list[tuple[float, float]]
) -> None:
    evidence = _evidence(_times(cues), _times(speech))
    rows = np.array([evidence.row(cue) for cue in range(len(evidence))])
    columns = np.array([evidence.at(int(offset)) for offset in evidence.offsets])
    assert pytest.approx(columns, abs=1e-4) == rows.T
    assert evidence.totals() == pytest.approx(rows.sum(axis=0), abs=1e-3)


def test_the_evidence_of_a_long_film_takes_little_more_than_its_tables() -> None:
    edges = np.cumsum(np.random.default_rng(1).uniform(0.5, 4.0, 4000))
    speech = FitSpeech(edges[::2], edges[1::2], float(edges[-1]))
    tracemalloc.start()
    signals = Signals(speech, (-600.0, speech.film_s + 600), ON_SPEECH)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Three tables twice, in single precision; 27 arrays in double precision would be 216 bytes.
    assert peak < 130 * len(signals.sums[0])
