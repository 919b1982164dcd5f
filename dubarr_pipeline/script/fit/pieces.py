"""Pieces: runs of the search, placed to 50 ms, joined, measured, and accepted or dropped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.script.fit.evidence import STEP_S, STRIDE, FitEvidence
from dubarr_pipeline.script.fit.options import AcceptOptions, BorderOptions, Bounds
from dubarr_pipeline.script.fit.search import Run

NEAR = range(-12, 13)
"""Steps around an offset of the search within which a piece is placed: 0.6 s either side."""
OTHER_S = 1.5
"""Offsets further away than this are other places."""
PER_PLACE = 0.5 / (STRIDE * STEP_S)
"""Offsets of the search that count as one place: offsets within 0.5 s say the same."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A run with its evidence: see `FittedPiece`."""

    run: Run
    total: float
    lead: float

    def reaches(self, bounds: Bounds, extra: float = 0.0) -> bool:
        """Return whether total and lead reach the bounds, the total `extra` above its own."""
        return self.total >= bounds.total + extra and self.lead >= bounds.lead


@dataclass(frozen=True, slots=True)
class PieceRules:
    """Placing, joining and accepting the pieces of one file at one frame-rate ratio."""

    evidence: FitEvidence
    own_ratio: bool
    options: AcceptOptions

    def accepted(self, runs: Sequence[Run]) -> tuple[list[Measured], list[Measured]]:
        """Return the accepted pieces, and the dropped ones, of the runs of the search."""
        known: dict[Run, Measured] = {}
        dropped: list[Measured] = []
        joined = self.join([self.place(run) for run in runs])
        while True:
            known |= {run: self.measure(run) for run in joined if run not in known}
            pieces = [known[run] for run in joined]
            failing = [piece for i, piece in enumerate(pieces) if not self._accepts(pieces, i)]
            if not failing:
                return pieces, dropped
            weakest = min(failing, key=lambda piece: piece.total)
            dropped.append(weakest)
            joined = self.join([run for run in joined if run != weakest.run])

    def place(self, run: Run) -> Run:
        """Return the run at the best offset nearby, or at 0 if that fits hardly worse."""
        offset = self.evidence.best_near(run.cues, [run.offset + step for step in NEAR])
        off_s = abs(offset) * STEP_S
        if self.own_ratio and off_s <= self.options.same_s:
            there, own = (self.evidence.at(o, run.cues).sum() for o in (offset, 0))
            if off_s <= self.options.keep_own_s or float(there - own) < self.options.keep_own:
                offset = 0
        return run._replace(offset=offset)

    def measure(self, run: Run) -> Measured:
        """Measure a run against all other offsets."""
        total = float(self.evidence.at(run.offset, run.cues).sum())
        others = self.evidence.totals(run.cues).astype(np.float64)
        distant = np.abs(self.evidence.offsets - run.offset) * STEP_S > OTHER_S
        rival = float(np.logaddexp.reduce(others[distant])) - math.log(PER_PLACE)
        return Measured(run, total, total - rival)

    def join(self, runs: Sequence[Run]) -> list[Run]:
        """Join neighbours at about one offset, with all between them: detectors miss stretches."""
        joined = list(runs[:1])
        for run in runs[1:]:
            last = joined[-1]
            if abs(run.offset - last.offset) * STEP_S <= self.options.same_s:
                heavier = max(last, run, key=lambda r: r.last - r.first)
                joined[-1] = self.place(Run(last.first, run.last, heavier.offset))
            else:
                joined.append(run)
        return joined if len(joined) == len(runs) else self.join(joined)

    def _accepts(self, pieces: Sequence[Measured], index: int) -> bool:
        piece, options = pieces[index], self.options
        neighbours = [pieces[i] for i in (index - 1, index + 1) if 0 <= i < len(pieces)]
        cues = len(self.evidence)
        extra = max(0.0, math.log(cues / 300))
        if self.own_ratio and piece.run.offset == 0:
            short = cues <= options.short_cues
            return piece.reaches(options.own_time_short if short else options.own_time, extra)
        offsets = [neighbour.run.offset for neighbour in neighbours]
        if len(offsets) == 2 and abs(offsets[0] - offsets[1]) * STEP_S <= options.same_s:
            return piece.reaches(options.between)
        if any(neighbour.reaches(options.strong) for neighbour in neighbours):
            return piece.reaches(options.beside)
        if piece.run.last - piece.run.first + 1 >= options.bulk_share * cues:
            return piece.reaches(options.bulk)
        return piece.reaches(options.alone, extra)


Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SLACK_S = 0.6
"""Cues may overlap by this much at a break, as subtitles linger."""
OVERLAP_COST = 30.0
"""Nats; two pieces cannot both hold the same stretch of the film."""


def memberships(
    evidence: FitEvidence, pieces: Sequence[Measured], options: BorderOptions
) -> Floats:
    """Return the probability of each cue to belong to each piece: (pieces, cues).

    Cues before the first piece and behind the last go with them; see `edges`.
    """
    belongs = np.ones((len(pieces), len(evidence)))
    for at, (left, right) in enumerate(pairwise(pieces)):
        before, after = _border(evidence, left.run, right.run, options)
        belongs[at] *= before
        belongs[at + 1] *= after
    return belongs


def _border(
    evidence: FitEvidence, left: Run, right: Run, options: BorderOptions
) -> tuple[Floats, Floats]:
    """Return the probability of each cue to lie before and after a break: both (cues,).

    All pairs (a, b) are compared where the left piece ends before cue a and the right one begins
    with cue b. The log likelihood of a pair is the evidence of the cues on both sides, plus a gain
    for a pause at the break, less the costs of the cues left out between them.
    """
    reach = options.reach_cues
    lowest, highest = left.first + 1, right.last
    a = np.arange(max(lowest, left.last + 1 - reach), min(highest, left.last + 1 + reach) + 1)
    b = np.arange(max(lowest, right.first - reach), min(highest, right.first + reach) + 1)
    on_left = np.cumsum(evidence.at(left.offset, slice(a[0], a[-1])), dtype=np.float64)
    on_right = np.cumsum(evidence.at(right.offset, slice(b[0], b[-1]))[::-1], dtype=np.float64)
    score = np.append(0.0, on_left)[:, None] + np.append(on_right[::-1], 0.0)[None, :]
    score += _break_terms(evidence, (a, b), right.offset - left.offset, options)
    score[a[:, None] > b[None, :]] = -np.inf
    chance = np.exp(score - score.max())
    chance /= chance.sum()
    before, after = np.zeros(len(evidence)), np.zeros(len(evidence))
    before[: a[0]], after[b[-1] :] = 1, 1
    before[a[:-1]] = 1 - np.cumsum(chance.sum(axis=1))[:-1]
    after[b[:-1]] = np.cumsum(chance.sum(axis=0))[:-1]
    return before, after


def _break_terms(
    evidence: FitEvidence, pairs: tuple[Ints, Ints], jump: int, options: BorderOptions
) -> Floats:
    """Return the gains of pauses less the costs of left-out cues, for all pairs (a, b)."""
    a, b = pairs
    starts, ends = evidence.starts * STEP_S, evidence.ends * STEP_S
    pause = np.clip((starts[1:] - ends[:-1]) / options.pause_s, 0, 1)
    gain = options.pause_gain * np.maximum(pause[a - 1][:, None], pause[b - 1][None, :])
    left_out = b[None, :] - a[:, None]
    # Where the film lacks as much as is left out, leaving out is what the offsets ask for.
    asked_for = ends[b - 1][None, :] - starts[a][:, None] <= -jump * STEP_S + SLACK_S
    amiss = options.break_amiss + options.left_out_amiss * left_out
    cost = np.where(asked_for, options.left_out * left_out, amiss)
    cost = np.where(left_out == 0, 0.0, cost)
    overlap = ends[a - 1][:, None] - starts[b][None, :] - jump * STEP_S > SLACK_S
    return gain - cost - np.where(overlap, OVERLAP_COST, 0.0)


def edge_cues(evidence: FitEvidence, piece: Measured, outwards: Ints, fall: float) -> int:
    """Return how many cues outwards from the first or the last piece go with it.

    Few cues go with their neighbour however badly they fit: that they belong elsewhere cannot be
    shown. Where their running sum falls too far, the piece ends at the highest point before.
    """
    gained = np.append(0.0, np.cumsum(evidence.at(piece.run.offset)[outwards], dtype=np.float64))
    fallen = np.flatnonzero(np.maximum.accumulate(gained) - gained >= fall)
    return int(np.argmax(gained[: fallen[0]])) if len(fallen) else len(outwards)


def without_rivals(
    evidence: FitEvidence,
    piece: Measured,
    outwards: Ints,
    rivals: Sequence[Measured],
    margin: float,
) -> Ints:
    """Return the cues outwards from a piece up to the first dropped piece that fits far better."""
    here = evidence.at(piece.run.offset)
    stronger = [r.run for r in rivals if r.total - float(here[r.run.cues].sum()) > margin]
    ends = {end for run in stronger for end in (run.first, run.last)}
    count = next((at for at, cue in enumerate(outwards) if int(cue) in ends), len(outwards))
    return outwards[:count]


def unheard_runs(evidence: Sequence[float], fall: float) -> list[tuple[int, int]]:
    """Return (first, last) of the runs over which the summed evidence falls by `fall` or more."""
    runs: list[tuple[int, int]] = []
    total, lowest, first, last = 0.0, 0.0, 0, 0
    for at, value in enumerate([*evidence, np.inf]):
        if total == 0:
            first, lowest = at, 0.0
        total = min(0.0, total + value)
        if total < lowest:
            lowest, last = total, at
        elif total == 0 and lowest <= -fall:
            runs.append((first, last))
            lowest = 0.0
    return runs


NEAR_DRIFT = range(-20, 21)
"""Steps around the offset that keeps a piece's middle in place: 1 s either side."""
SAME_S = 0.3
"""Neighbours that come this close at another ratio were never broken."""


def closer(
    evidence: FitEvidence,
    others: Sequence[FitEvidence],
    pieces: Sequence[Measured],
    costs: tuple[float, float],
) -> int | None:
    """Return which of the other ratios' evidence fits the pieces better, if any does.

    `evidence` is that at the ratio of the search, at which the pieces were accepted; `costs` are
    those of a break between two pieces, and of preferring another ratio, in nats.
    """
    jump, change = costs
    runs = [piece.run for piece in pieces]
    scores = [_score(evidence, other, runs, jump) for other in others]
    best = max(range(len(scores)), key=scores.__getitem__)
    gain = scores[best] - _score(evidence, evidence, runs, jump)
    return best if gain > change else None


def _score(evidence: FitEvidence, other: FitEvidence, runs: Sequence[Run], jump: float) -> float:
    """Return the summed evidence of runs placed at another ratio, less the cost of their breaks."""
    placed: list[Run] = []
    for run in runs:
        # At its best offset at the other ratio, near where its middle cue was.
        middle = (run.first + run.last) // 2
        kept = int(evidence.starts[middle] - other.starts[middle]) + run.offset
        near = [kept + step for step in NEAR_DRIFT]
        placed.append(run._replace(offset=other.best_near(run.cues, near)))
    total = sum(float(other.at(run.offset, run.cues).sum()) for run in placed)
    apart = [abs(b.offset - a.offset) * STEP_S > SAME_S for a, b in pairwise(placed)]
    return total - jump * sum(apart)
