"""Fit a script or a translation to a film, piece by piece.

A subtitle file may come from another cut, another frame rate, another offset, break off, or belong
to another film. The fit says where each cue belongs, and how sure that is:

1. Speech becomes signals, cues become evidence at every offset (`evidence`).
2. The best path through all cues and offsets, at the best frame-rate ratio, gives runs (`search`).
3. Runs are placed, joined, measured, and accepted or dropped; borders between pieces are settled
   cue by cue (`pieces`).
4. The verdict says what the file is good for.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from dubarr_pipeline.script.fit.evidence import STEP_S, CueTimes, FitSpeech
from dubarr_pipeline.script.fit.matching import NO_PIECE, Match, Matcher
from dubarr_pipeline.script.fit.options import SCRIPT, AcceptOptions, Bounds, FitOptions
from dubarr_pipeline.script.fit.pieces import Measured, unheard_runs
from dubarr_pipeline.script.fit.values import CueFit, FittedPiece, ScriptFit, Verdict
from dubarr_pipeline.spans import Span, total

_SHORTEST_REACH_S = 10.0
_LEAST_CUES = 4
"""Fewer cues agree with the speech somewhere in any film, however short."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Speech of a film as detected, or as the cues of its script; in samples at `rate` Hz.

    Attributes:
        spans: stretches of speech, or cues.
        length: samples of the film.
        rate: samples a second, of the cues to be fitted as well.
    """

    spans: Sequence[Span]
    length: int
    rate: int

    def speech(self) -> FitSpeech:
        """Return the spans in seconds."""
        spans = [span for span in self.spans if span.length]
        starts = np.sort([span.start for span in spans]) / self.rate
        ends = np.sort([span.end for span in spans]) / self.rate
        return FitSpeech(starts, ends, self.length / self.rate)


def fit_cues(cues: Sequence[Span], film: Timeline, options: FitOptions = SCRIPT) -> ScriptFit:
    """Lay the cues of a subtitle file against a film.

    Leave out sounds, signs and notes before: only spoken cues show where a file belongs. Their
    spans are on the file's clock, in any order, in samples at the film's rate. The film is its
    detected speech (for `SCRIPT`), or the cues of its script (`TRANSLATION`).
    """
    if not cues:
        return _refused(0, "the file has no lines")
    if not any(span.length for span in film.spans):
        return _refused(len(cues), "no speech was detected in the film")
    order = sorted(range(len(cues)), key=lambda at: cues[at])
    spans = [cues[at] for at in order]
    times = CueTimes(
        np.array([span.start for span in spans]) / film.rate,
        np.array([span.end for span in spans]) / film.rate,
    )
    speech = film.speech()
    near = _near(options, len(cues), speech.film_s)
    matcher = Matcher(times, speech, near)
    match = matcher.match()
    if near != options and not _is_enough(match, near.accept):
        matcher = Matcher(times, speech, options)
        match, near = matcher.match(), options
    if not _is_enough(match, near.accept):
        return _without_pieces(cues, film, matcher, options.accept)
    return _with_pieces(order, spans, film, match, near)


def _near(options: FitOptions, cues: int, film_s: float) -> FitOptions:
    """Return the options for few cues of a short film: search no further than the film is long.

    Chance agrees somewhere in proportion to the offsets that are tried; the bounds fall with half
    the logarithm of their number, at which no file of the made films was moved to a wrong place.
    """
    accept, search = options.accept, options.search
    if cues >= accept.short_cues or film_s >= search.reach_s:
        return options
    reach_s = max(film_s, _SHORTEST_REACH_S)
    saved = 0.5 * math.log(search.reach_s / reach_s)

    lowered: dict[str, Bounds] = {}
    for name in ("alone", "beside", "strong", "bulk", "between"):
        bounds: Bounds = getattr(accept, name)
        lowered[name] = replace(bounds, total=bounds.total - saved)
    total = accept.total - 8 * saved
    return replace(
        options,
        search=replace(search, reach_s=reach_s, jump=search.jump - saved, own_time_gain=4.0),
        accept=replace(accept, **lowered, total=total, least_cues=_LEAST_CUES),
    )


def _is_enough(match: Match, options: AcceptOptions) -> bool:
    used = float((match.piece_of != NO_PIECE).mean())
    total = sum(piece.total for piece in match.pieces)
    enough = used >= options.total_share or total >= options.total
    return bool(match.pieces) and enough and len(match.piece_of) >= options.least_cues


def _without_pieces(
    cues: Sequence[Span], film: Timeline, matcher: Matcher, options: AcceptOptions
) -> ScriptFit:
    """Return the file at its own times if these fit better than others, else refused."""
    few = len(cues) < options.least_cues
    least_rank = options.own_rank_few if few else options.own_rank
    least_total = min(options.own_total, options.own_mean * len(cues))
    own = float(matcher.own_times.at(0).sum())
    # The rank is the share of other offsets at which the file fits worse.
    if own > least_total and float((matcher.own_times.totals() < own).mean()) > least_rank:
        kept = tuple(replace(_placed(i, span, film), sure=False) for i, span in enumerate(cues))
        return ScriptFit("unsure", (), kept, (), USELESS["unsure"])
    return _refused(len(cues), USELESS["refused"])


def _refused(count: int, why: str) -> ScriptFit:
    lines = tuple(CueFit(i, None, "no agreement") for i in range(count))
    return ScriptFit("refused", (), lines, (), why)


def _with_pieces(
    order: Sequence[int], spans: Sequence[Span], film: Timeline, match: Match, options: FitOptions
) -> ScriptFit:
    pieces = tuple(_piece(measured, match, film.rate) for measured in match.pieces)
    fitted: list[CueFit] = []
    for at, (index, span) in enumerate(zip(order, spans, strict=True)):
        number, sure = int(match.piece_of[at]), bool(match.sure[at])
        # Where a cue without a piece would be: with the last piece before it, or the first one.
        piece = next((p for p in reversed(pieces) if p.first <= at), pieces[0])
        placed = _placed(index, (pieces[number] if number >= 0 else piece).on_film(span), film)
        if number == NO_PIECE and placed.span:
            placed = replace(placed, span=None, left_out="not in the film")
        fitted.append(replace(placed, sure=sure))
    used = sum(cue.span is not None for cue in fitted)
    inside = sum(cue.left_out != "outside the film" for cue in fitted)
    whole: Verdict = "mapped"
    if used == inside and all(piece.own_time for piece in pieces):
        whole = "fits"
    return ScriptFit(
        "partly" if used < len(fitted) / 2 else whole,
        pieces,
        tuple(sorted(fitted, key=lambda cue: cue.index)),
        tuple(unheard_runs(match.evidence.tolist(), options.borders.unheard_fall)),
        in_words(pieces, fitted, spans, film.rate),
    )


def _placed(index: int, span: Span, film: Timeline) -> CueFit:
    if span.end <= 0 or span.start >= film.length:
        return CueFit(index, None, "outside the film")
    return CueFit(index, Span(max(0, span.start), min(film.length, span.end)))


def _piece(measured: Measured, match: Match, rate: int) -> FittedPiece:
    run = measured.run
    own = match.ratio == 1 and run.offset == 0
    # Most files were timed for their film: own times need less evidence than other ones.
    certainty = min(measured.lead, measured.total - 6) + (8 if own else 0)
    confidence = 1 / (1 + math.exp(-max(-50.0, min(50.0, certainty))))
    offset = round(run.offset * STEP_S * rate)
    return FittedPiece(
        run.first, run.last, match.ratio, offset, measured.total, measured.lead, confidence
    )


NAMED_RATIOS = {
    Fraction(24, 25): "24/25",
    Fraction(25, 24): "25/24",
    Fraction(24_000, 25_025): "23.976/25",
    Fraction(25_025, 24_000): "25/23.976",
    Fraction(1001, 1000): "1001/1000",
    Fraction(1000, 1001): "1000/1001",
}
USELESS = {
    "unsure": "too few lines agree or disagree with the speech: the file's own times are used",
    "refused": "the lines agree with the speech at no offset: the file belongs to another film",
}


def in_words(
    pieces: Sequence[FittedPiece], cues: Sequence[CueFit], spans: Sequence[Span], rate: int
) -> str:
    """Return how the file is mapped, for the report: "from 41:10 on 60.0 s later".

    All are in order of their starts; `spans` are those of the cues on the file's clock.
    """
    clauses: list[str] = []
    for number, piece in enumerate(pieces):
        moved = f"{abs(piece.offset) / rate:.1f} s {'later' if piece.offset > 0 else 'earlier'}"
        if not piece.offset:
            moved = "as it is" if piece.ratio == 1 else "not moved"
        since = f"from {clock_time(spans[piece.first].start, rate)} on " if number else ""
        clauses.append(since + moved)
    ratio = pieces[0].ratio
    if ratio != 1:
        clauses.insert(0, f"at {NAMED_RATIOS[ratio]} of the file's times")
    left_out = Counter(cue.left_out for cue in cues if cue.left_out)
    clauses += [f"{count} of {len(cues)} lines {reason}" for reason, count in left_out.items()]
    unsure = sum(not cue.sure for cue in cues)
    if unsure:
        clauses.append(f"unsure at breaks: {unsure}")
    return "; ".join(clauses)


def clock_time(samples: int, rate: int) -> str:
    """Return a time as people write it: 41:10, 1:02:03."""
    seconds = abs(samples) // rate
    hours, minutes = divmod(seconds // 60, 60)
    sign = "-" if samples < 0 else ""
    clock = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{sign}{clock}:{seconds % 60:02}"


def times(spans: Sequence[Span], rate: int, most: int = 20) -> str:
    """Return stretches as people name them: "12.3 s at 0:41, 1:02:03"; empty without any."""
    shown = ", ".join(clock_time(span.start, rate) for span in spans[:most])
    more = f" and {len(spans) - most} more" if len(spans) > most else ""
    return f"{total(spans) / rate:.1f} s at {shown}{more}" if spans else ""
