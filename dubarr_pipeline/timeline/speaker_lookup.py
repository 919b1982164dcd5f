"""Whose line it is: the speaker whose turns fit a stretch of time best."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from dubarr_pipeline.timeline.cue_text import name_key
from dubarr_pipeline.timeline.script import Diarization, Turn
from dubarr_pipeline.timeline.spans import Span


class SpeakerLookup:
    """Finds the speaker of a line among many turns, whichever engine made them."""

    def __init__(self, diarization: Diarization) -> None:
        self._turns = sorted(diarization.turns, key=lambda turn: turn.span)
        self._starts = [turn.span.start for turn in self._turns]
        self._longest = max((turn.span.length for turn in self._turns), default=0)
        self._of_name = {name_key(name): speaker for speaker, name in diarization.names.items()}

    def speaker_of(self, span: Span, name: str | None = None) -> tuple[str, float]:
        """Return who speaks in a span, and how sure that is, 0 to 1.

        A name that the diarization knows decides alone. Else the turns that cover the span count,
        and one that has the span's own edges counts most: of two people who talk at once, each has
        turns of his own. Without any, the nearest turn in time; without turns, ``SPEAKER_00``.
        """
        if name and (known := self._of_name.get(name_key(name))):
            return known, 1.0
        scores: dict[str, float] = {}
        best_fit: dict[str, float] = {}
        sure: dict[str, float] = {}
        for turn in self._touching(span):
            common = turn.span.overlap(span)
            scores[turn.speaker] = scores.get(turn.speaker, 0.0) + common / max(1, span.length)
            joint = turn.span.length + span.length - common
            best_fit[turn.speaker] = max(best_fit.get(turn.speaker, 0.0), common / max(1, joint))
            sure[turn.speaker] = max(sure.get(turn.speaker, 0.0), turn.confidence)
        if scores:
            speaker = max(scores, key=lambda s: (scores[s] + best_fit[s], s))
            return speaker, sure[speaker]
        return self._nearest(span)

    def _touching(self, span: Span) -> list[Turn]:
        first = bisect_left(self._starts, span.start - self._longest)
        last = bisect_right(self._starts, span.end)
        return [t for t in self._turns[first:last] if t.span.overlap(span)]

    def _nearest(self, span: Span) -> tuple[str, float]:
        if not self._turns:
            return "SPEAKER_00", 0.0
        i = bisect_left(self._starts, span.start)
        around = self._turns[max(0, i - 2) : i + 2]
        nearest = min(around, key=lambda t: max(t.span.start - span.end, span.start - t.span.end))
        return nearest.speaker, 0.2
