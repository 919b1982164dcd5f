"""Evidence of each cue at each offset: log odds that it belongs there rather than anywhere else.

The evidence of a cue is a sum of three running sums, read at its start, at its end and at the end
of the pause behind it. So all offsets of one cue are three slices, and all cues at one offset are
three look-ups. Times are whole steps of 50 ms; searches walk offsets of four steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.script.fit.options import EvidenceOptions

Floats = NDArray[np.floating]
Steps = NDArray[np.int64]

STRIDE = 4
"""Steps between two offsets of the search: 0.2 s."""


@dataclass(frozen=True, slots=True)
class CueTimes:
    """Starts and ends of cues in seconds of their file, in order of their starts; both (cues,)."""

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.starts)

    def pauses(self, longest_s: float) -> NDArray[np.float64]:
        """Return until when each cue's pause counts: the next start, or `longest_s` later."""
        following = np.append(self.starts[1:], np.inf)
        return np.maximum(self.ends, np.minimum(following, self.ends + longest_s))


class FitEvidence:
    """Evidence of a file's cues at one frame-rate ratio, at offsets up to `reach_s`.

    Attributes:
        starts, ends: steps of each cue at offset 0, (cues,), counted from the signals' first step.
        reach: furthest offset of the search, in strides.
    """

    def __init__(
        self,
        signals: Signals,
        cues: CueTimes,
        ratio: Fraction,
        options: EvidenceOptions,
        reach_s: float,
    ) -> None:
        self.reach = round(reach_s / STEP_S / STRIDE)
        self.starts = signals.steps(cues.starts * float(ratio))
        self.ends = signals.steps(cues.ends * float(ratio))
        self._pauses = signals.steps(cues.pauses(options.pause_s) * float(ratio))
        # Phase and first index of each cue's three slices, as plain integers: they are read often.
        steps = np.stack([self.starts, self.ends, self._pauses], axis=1)
        index, phase = np.divmod(steps, STRIDE)
        self._slices = list(zip(phase.tolist(), (index - self.reach).tolist(), strict=True))
        self._film, self._sums, self._strided = signals.film, signals.sums, signals.strided
        self._lowest = options.lowest * options.discount
        self._highest = options.highest * options.discount

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def offsets(self) -> Steps:
        """Return the offsets of the search in steps: (2 * reach + 1,)."""
        return np.arange(-self.reach, self.reach + 1) * STRIDE

    def row(self, cue: int, out: Floats | None = None) -> Floats:
        """Return a cue's evidence at every offset of the search: (2 * reach + 1,)."""
        at_start, at_end, at_pause = self._strided
        width = 2 * self.reach + 1
        phase, index = self._slices[cue]
        row = np.add(
            at_start[phase[0], index[0] : index[0] + width],
            at_end[phase[1], index[1] : index[1] + width],
            out=out,
        )
        row += at_pause[phase[2], index[2] : index[2] + width]
        np.maximum(row, self._lowest, out=row)
        return np.minimum(row, self._highest, out=row)

    def at(self, offset: int, cues: slice = slice(None)) -> Floats:
        """Return the evidence of cues at one offset, in steps: (cues,)."""
        at_start, at_end, at_pause = self._sums
        evidence = at_start[self.starts[cues] + offset] + at_end[self.ends[cues] + offset]
        evidence += at_pause[self._pauses[cues] + offset]
        return np.clip(evidence, self._lowest, self._highest)

    def inside(self, offset: int) -> NDArray[np.bool_]:
        """Return whether cues are at least partly in the film at an offset, in steps: (cues,)."""
        first, end = self._film
        return (self.ends + offset > first) & (self.starts + offset < end)

    def totals(self, cues: slice = slice(None)) -> Floats:
        """Return the summed evidence of cues at every offset of the search."""
        total = np.zeros(2 * self.reach + 1, np.float32)
        row = np.empty_like(total)
        for cue in range(*cues.indices(len(self))):
            total += self.row(cue, row)
        return total

    def best_near(self, cues: slice, offsets: Sequence[int]) -> int:
        """Return the offset, of those given in steps, at which the cues fit best together."""
        return max(offsets, key=lambda offset: float(self.at(offset, cues).sum()))


STEP_S = 0.05
"""Resolution of offsets and of all signals."""
LOCAL_S = 20.0
"""Reach to either side within which the usual share of speech and rate of edges are counted."""
RAREST, COMMONEST = 0.04, 0.96
"""Bounds of the local share of speech: the detector errs at least this often."""
CROWDED = 0.7
"""From this share of speech on, pauses are hardly heard: crowds, songs, music taken for voices."""
SLOWEST_PER_S = 1 / 120
"""Lowest local rate of edges, so that one edge in an hour of silence does not decide."""


@dataclass(frozen=True, slots=True)
class FitSpeech:
    """Speech on the film's clock, in seconds.

    Attributes:
        starts, ends: of all stretches, each sorted, (stretches,); stretches may overlap.
        film_s: length of the film.
    """

    starts: Floats
    ends: Floats
    film_s: float


class Signals:
    """Running sums of the evidence on a clock that begins before the film and ends after it.

    Attributes:
        sums: three tables (steps,): read at a cue's start, its end, and the end of its pause, they
            add up to the evidence of the cue before clipping.
        film: first step of the film, and the step behind its last.
        strided: the same tables as (STRIDE, steps / STRIDE), so that every fourth step is one
            contiguous slice.
    """

    def __init__(
        self, speech: FitSpeech, margin_s: tuple[float, float], options: EvidenceOptions
    ) -> None:
        self._first_s, last = margin_s
        self.film = tuple(self.steps(np.array([0.0, speech.film_s])).tolist())
        count = int(np.ceil((last - self._first_s) / STEP_S / STRIDE)) * STRIDE
        times = self._first_s + np.arange(count, dtype=np.float64) * STEP_S
        self.sums = _tables(times, speech, options)
        self.strided = tuple(
            np.ascontiguousarray(table.reshape(-1, STRIDE).T) for table in self.sums
        )

    def steps(self, times_s: Floats) -> NDArray[np.int64]:
        """Return film times as the nearest whole steps of this clock."""
        return np.rint((times_s - self._first_s) / STEP_S).astype(np.int64)


_STEPS_AT_ONCE = 1 << 14


def _tables(
    times: Floats, speech: FitSpeech, options: EvidenceOptions
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return the tables for starts, ends and pauses, discounted: three of (steps,)."""
    # In parts: some twenty arrays are needed for each.
    values, borders = np.empty((4, len(times))), np.append(times, times[-1] + STEP_S)
    for first in range(0, len(times), _STEPS_AT_ONCE):
        part = borders[first : first + _STEPS_AT_ONCE + 1]
        values[:, first : first + _STEPS_AT_ONCE] = _values(part, speech, options)
    spoken, silent = _running(values[0]), _running(values[1])
    tables = (values[2] - spoken, spoken - silent + values[3], silent)
    at_start, at_end, at_pause = ((table * options.discount).astype(np.float32) for table in tables)
    return at_start, at_end, at_pause


def _values(
    borders: Floats, speech: FitSpeech, options: EvidenceOptions
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the evidence of steps: under a cue, in its pause, at its start, and at its end.

    `borders` are the times of the steps, and of the step behind them.
    """
    times = borders[:-1]
    share = np.diff(_covered(borders, speech)) / STEP_S
    # The usual share of speech: that within `LOCAL_S` of each time, as far as the film goes.
    centre = np.clip(times, 0, speech.film_s)
    before, after = np.maximum(centre - LOCAL_S, 0), np.minimum(centre + LOCAL_S, speech.film_s)
    spoken_s = _covered(after, speech) - _covered(before, speech)
    usual = np.clip(spoken_s / np.maximum(after - before, STEP_S), RAREST, COMMONEST)
    within = (times >= 0) & (times < speech.film_s)
    trust = _trust(times, speech, options.stretch_s)
    weight = options.weight_per_s * STEP_S * trust
    under_cue = _log_odds(share, np.maximum(options.speech_share, (1 + usual) / 2), usual) * weight
    crowded = np.clip((usual - CROWDED) / (COMMONEST - CROWDED), 0, 1)
    in_pause = _log_odds(share, usual * (0.35 + 0.6 * crowded), usual) * weight
    under_cue = np.where(within, under_cue, options.outside_per_s * STEP_S)
    edge = _edge_evidence(times, speech.starts, options.start_spread_s, options.start_hits)
    starts = np.where(within, np.maximum(edge, edge * trust), 0.0)
    lingering = times - options.linger_s
    edge = _edge_evidence(lingering, speech.ends, options.end_spread_s, options.end_hits)
    ends = np.where(within, np.maximum(edge, edge * trust), 0.0)
    return under_cue, np.where(within, in_pause, 0.0), starts, ends


def _trust(times: Floats, speech: FitSpeech, stretch_s: float) -> Floats:
    """Return the weight of each time: less within long unbroken speech or silence.

    A detector may miss a whole scene, or take music for voices: such a stretch is one observation,
    however many cues it holds.
    """
    begin, end = _disjoint(speech)
    edges = np.concatenate(([0.0], np.stack([begin, end], axis=1).ravel(), [speech.film_s]))
    edges = np.maximum.accumulate(edges)
    lengths = np.diff(edges)
    stretch = np.clip(np.searchsorted(edges, times, "right") - 1, 0, len(lengths) - 1)
    return np.minimum(1.0, stretch_s / np.maximum(lengths[stretch], STEP_S))


def _disjoint(speech: FitSpeech) -> tuple[Floats, Floats]:
    """Return starts and ends without overlaps; sorted apart, they cover the same time."""
    return np.maximum(speech.starts, np.append(-np.inf, speech.ends[:-1])), speech.ends


def _running(values: Floats) -> Floats:
    """Return sums of all values before each step."""
    return np.concatenate(([0.0], np.cumsum(values)[:-1]))


def _log_odds(share: Floats, expected: Floats, usual: Floats) -> Floats:
    """Return the log odds of a share of speech if `expected` were right, against the usual one."""
    return share * np.log(expected / usual) + (1 - share) * np.log((1 - expected) / (1 - usual))


def _covered(times: Floats, speech: FitSpeech) -> Floats:
    """Return seconds of speech before each time; overlapping stretches count once."""
    begin, end = _disjoint(speech)
    edges = np.stack([begin, end], axis=1).ravel()
    spoken = np.stack([np.zeros(len(begin)), end - begin], axis=1).ravel()
    return np.interp(times, edges, np.cumsum(spoken))


def _edge_evidence(times: Floats, edges: Floats, spread_s: float, hits: float) -> Floats:
    """Return log odds of the distance to the nearest edge: a Laplace peak against chance.

    By chance, edges at a rate r leave the nearest at distance x with density r * exp(-2 r x).
    """
    if not len(edges):
        return np.full(len(times), np.log(1 - hits))
    after = np.searchsorted(edges, times)
    later = np.abs(edges[np.minimum(after, len(edges) - 1)] - times)
    earlier = np.abs(edges[np.maximum(after - 1, 0)] - times)
    distance = np.minimum(later, earlier)
    counts = np.searchsorted(edges, times + LOCAL_S) - np.searchsorted(edges, times - LOCAL_S)
    rate = np.maximum(counts / (2 * LOCAL_S), SLOWEST_PER_S)
    hit = np.exp(-distance / spread_s) / (2 * spread_s)
    chance = rate * np.exp(-2 * rate * distance)
    return np.log(hits * hit / np.maximum(chance, 1e-12) + 1 - hits)
