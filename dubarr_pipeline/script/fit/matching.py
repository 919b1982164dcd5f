"""Match the cues of a file with the speech of a film: pieces, and the cues that belong to each."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.script.fit.evidence import CueTimes, FitEvidence, FitSpeech, Signals
from dubarr_pipeline.script.fit.options import RATIOS, FitOptions
from dubarr_pipeline.script.fit.pieces import (
    Measured,
    PieceRules,
    closer,
    edge_cues,
    memberships,
    without_rivals,
)
from dubarr_pipeline.script.fit.search import Run, best_path

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MARGIN_S = 4.0
"""Signals reach this much further than the furthest offset of the search."""
NEARLY_ALL = 0.8
"""Share of cues in strong pieces from which no other ratio is tried."""
NO_PIECE = -1


@dataclass(frozen=True, slots=True)
class Match:
    """A file's cues, matched at one frame-rate ratio.

    Attributes:
        ratio: film time over file time.
        pieces: in order; none if no piece was accepted.
        piece_of: index of each cue's piece or NO_PIECE, (cues,).
        sure: False for cues at a break that may belong elsewhere, (cues,).
        evidence: of each cue at its place, 0 without one, (cues,).
    """

    ratio: Fraction
    pieces: tuple[Measured, ...]
    piece_of: Ints
    sure: Bools
    evidence: NDArray[np.float64]


class Matcher:
    """One file against one film."""

    def __init__(self, cues: CueTimes, speech: FitSpeech, options: FitOptions) -> None:
        # Times that no offset brings into the film are cut to the first of those: one cue at
        # 99:59:59 would make all tables a hundred hours long.
        reach_s = options.search.reach_s
        widest = float(max(ratio for near in RATIOS.values() for ratio in near))
        first, last = -reach_s * widest - MARGIN_S, (speech.film_s + reach_s) * widest + MARGIN_S
        cues = CueTimes(np.clip(cues.starts, first, last), np.clip(cues.ends, first, last))
        self._cues, self._options = cues, options
        ends = (float(cues.starts.min()), float(cues.ends.max()) + options.evidence.pause_s)
        scaled = [float(ratio) * end for near in RATIOS.values() for ratio in near for end in ends]
        margin_s = reach_s + MARGIN_S
        span_s = (min(scaled) - margin_s, max(scaled) + margin_s)
        self._signals = Signals(speech, span_s, options.evidence)
        self.own_times = self._evidence(Fraction(1))

    def match(self) -> Match:
        """Return the match at the best ratio."""
        match, score = self._match_at(Fraction(1))
        # Long strong pieces that hold nearly all cues leave nothing to other ratios: at a wrong
        # one, pieces last half a minute.
        strong = all(piece.reaches(self._options.accept.strong) for piece in match.pieces)
        if not strong or float((match.piece_of != NO_PIECE).mean()) < NEARLY_ALL:
            for ratio in list(RATIOS)[1:]:
                other, other_score = self._match_at(ratio)
                other_score -= self._options.search.ratio_cost
                if other_score > score:
                    match, score = other, other_score
        near = RATIOS[match.ratio]
        others = [self._evidence(ratio) for ratio in near]
        search = self._options.search
        # A file that runs at its own speed needs a reason to leave it; 24/25 and 23.976/25 do not.
        costs = (search.jump, search.ntsc_cost if match.ratio == 1 else 0.0)
        best = closer(self._evidence(match.ratio), others, match.pieces, costs)
        return match if best is None else self._match_at(near[best])[0]

    def _evidence(self, ratio: Fraction) -> FitEvidence:
        reach_s = self._options.search.reach_s
        return FitEvidence(self._signals, self._cues, ratio, self._options.evidence, reach_s)

    def _match_at(self, ratio: Fraction) -> tuple[Match, float]:
        """Return the match at a ratio, and the score of the search there."""
        evidence, own = self._evidence(ratio), ratio == 1
        score, runs = best_path(evidence, self._options.search, own_time=own)
        rules = PieceRules(evidence, own, self._options.accept)
        pieces, dropped = rules.accepted(runs)
        if not pieces:
            none = np.zeros(len(evidence))
            nothing = Match(ratio, (), none.astype(np.int64) + NO_PIECE, none == 0, none)
            return nothing, score
        belongs = memberships(evidence, pieces, self._options.borders)
        begin, end = self._kept_edges(rules, pieces, dropped)
        belongs[:, :begin] = belongs[:, end:] = 0
        chance = belongs.max(axis=0)
        used = chance >= self._options.borders.used
        piece_of = np.where(used, belongs.argmax(axis=0), NO_PIECE)
        sure = np.maximum(chance, 1 - chance) >= self._options.borders.sure
        return _measured(ratio, rules, pieces, piece_of, sure), score

    def _kept_edges(
        self, rules: PieceRules, pieces: Sequence[Measured], dropped: Sequence[Measured]
    ) -> tuple[int, int]:
        """Return the first cue of the first piece, and the cue behind the last of the last one."""
        options, evidence = self._options.borders, rules.evidence
        first, last = pieces[0], pieces[-1]
        head = np.arange(first.run.first)[::-1]
        tail = np.arange(last.run.last + 1, len(evidence))
        kept: list[int] = []
        for piece, outwards in ((first, head), (last, tail)):
            fall = (
                options.edge_fall_own
                if rules.own_ratio and not piece.run.offset
                else options.edge_fall
            )
            outwards = outwards[evidence.inside(piece.run.offset)[outwards]]
            outwards = without_rivals(evidence, piece, outwards, dropped, options.edge_rival)
            kept.append(edge_cues(evidence, piece, outwards, fall))
        return first.run.first - kept[0], last.run.last + 1 + kept[1]


def _measured(
    ratio: Fraction,
    rules: PieceRules,
    pieces: Sequence[Measured],
    piece_of: Ints,
    sure: Bools,
) -> Match:
    """Return the match with its pieces measured again on the cues that are left to them."""
    evidence = np.zeros(len(piece_of))
    measured: list[Measured] = []
    numbers = np.full(len(piece_of), NO_PIECE)
    for at, piece in enumerate(pieces):
        cues = np.flatnonzero(piece_of == at)
        if len(cues):
            numbers[cues] = len(measured)
            run = Run(int(cues[0]), int(cues[-1]), piece.run.offset)
            measured.append(rules.measure(run))
            evidence[cues] = rules.evidence.at(run.offset)[cues]
    return Match(ratio, tuple(measured), numbers, sure, evidence)
