"""Subtitles put where the film says them, with an account of what was moved and left out."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.cues.alignment import SpeechMap
from dubarr_pipeline.script.cues.layout import read_cues
from dubarr_pipeline.script.fit.fitting import Timeline, fit_cues
from dubarr_pipeline.script.fit.options import SCRIPT, TRANSLATION
from dubarr_pipeline.script.fit.values import CueFit, ScriptFit, Verdict
from dubarr_pipeline.script.model import DroppedCue
from dubarr_pipeline.spans import Span

_SAME_PLACE = 0.7
"""Share of a cue and of a script's cue together that both cover, from which they say the same."""


@dataclass(frozen=True, slots=True)
class ScriptPlacement:
    """An account of how a subtitle file was put on a film.

    Attributes:
        verdict: see `Verdict`; None where the fit was switched off.
        words: the verdict in a sentence.
        confidence: probability that its least sure piece is right, 0 to 1; 0 without pieces.
        left_out: cues that are not used, in order of their starts on the file's clock; a reason is
            one of `LeftOut`.
        unheard: stretches of the film with lines under which hardly any speech was detected.
    """

    verdict: Verdict | None = None
    words: str = "not compared with the speech"
    confidence: float = 0.0
    left_out: tuple[DroppedCue, ...] = ()
    unheard: tuple[Span, ...] = ()


def place_script(cues: Sequence[Cue], film: Timeline) -> tuple[tuple[Cue, ...], ScriptPlacement]:
    """Put a script's cues where the film says them, in order of their starts.

    What is spoken is laid against the film's detected speech; sounds, signs and songs go with the
    spoken cue before them. The cues are on the file's clock, in samples at the film's rate.
    """
    spoken = _spoken(cues, film.rate)
    fit = fit_cues([cues[at].span for at in spoken], film, SCRIPT)
    fits = {spoken[each.index]: _settled(each, fit) for each in fit.cues}
    return _placed(cues, spoken, fits, fit, film.length)


def place_translation(
    cues: Sequence[Cue], script: Sequence[Cue], film: Timeline
) -> tuple[tuple[Cue, ...], ScriptPlacement]:
    """Put a translation's cues where the script says the same; the others are left out.

    Args:
        cues: on the file's clock, in samples at the film's rate.
        script: cues of the film's own script, on its clock; none where it was recognised.
        film: its detected speech, against which the translation is laid where there is no script.
    """
    said = [script[at].span for at in _spoken(script, film.rate)]
    against = replace(film, spans=said) if said else film
    spoken = _spoken(cues, film.rate)
    fit = fit_cues([cues[at].span for at in spoken], against, TRANSLATION if said else SCRIPT)
    fits: dict[int, CueFit] = {}
    for each in fit.cues:
        # Without a map only a cue that stands where the script has one says the same words.
        agrees = bool(fit.pieces)
        if each.span and not agrees:
            at = bisect_right(said, each.span)
            both = [(near, each.span.overlap(near)) for near in said[max(0, at - 1) : at + 1]]
            whole = each.span.length
            agrees = any(n >= _SAME_PLACE * (whole + near.length - n) for near, n in both)
        lost = replace(each, span=None, left_out="no agreement")
        fits[spoken[each.index]] = _settled(lost if each.span and not agrees else each, fit)
    return _placed(cues, spoken, fits, fit, film.length)


def _settled(cue: CueFit, fit: ScriptFit) -> CueFit:
    """Leave out a cue that may belong to either side of a break: its speech stays as it is."""
    doubtful = bool(fit.pieces) and cue.span is not None and not cue.sure
    return replace(cue, span=None, left_out="at a break") if doubtful else cue


def _spoken(cues: Sequence[Cue], rate: int) -> list[int]:
    """Return the indices of the cues with spoken words, in order."""
    texts = read_cues(cues, SpeechMap(()), rate)
    return [at for at, text in enumerate(texts) if any(p.kind == "speech" for p in text.parts)]


def _placed(
    cues: Sequence[Cue], spoken: Sequence[int], fits: dict[int, CueFit], fit: ScriptFit, end: int
) -> tuple[tuple[Cue, ...], ScriptPlacement]:
    placed: list[Cue] = []
    left_out: list[DroppedCue] = []
    order = sorted(spoken, key=lambda at: cues[at].span)
    # What lies outside the film tells no place to another.
    leaders = [at for at in order if fits[at].left_out != "outside the film"]
    starts = [cues[at].span.start for at in leaders]
    for at, cue in enumerate(cues):
        found = fits.get(at)
        if found is None and leaders:
            # Not spoken: it goes with the spoken cue before it, or with the first one.
            leader = leaders[max(0, bisect_right(starts, cue.span.start) - 1)]
            found = fits[leader]
            moved = found.span and cue.span.shift(found.span.start - cues[leader].span.start)
            span = moved.clip(Span(0, end)) if moved else None
        else:
            span = found.span if found else cue.span
        if span and span.length:
            placed.append(replace(cue, span=span))
        else:
            reason = found.left_out if found and found.left_out else "outside the film"
            left_out.append(DroppedCue(cue.span, cue.text, reason))
    # Runs of the fit count the spoken cues in order of their starts.
    unheard: list[Span] = []
    for first, last in fit.unheard:
        begin, until = fits[order[first]].span, fits[order[last]].span
        if begin and until:
            unheard.append(Span(begin.start, max(begin.end, until.end)))
    return tuple(sorted(placed, key=lambda cue: cue.span)), ScriptPlacement(
        fit.verdict,
        fit.words,
        round(min((piece.confidence for piece in fit.pieces), default=0.0), 3),
        tuple(sorted(left_out, key=lambda cue: cue.span)),
        tuple(unheard),
    )
