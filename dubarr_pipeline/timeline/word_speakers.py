"""Whose word it is: for each word, the speaker whose turns cover most of it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from dubarr_pipeline.timeline.script import Turn, Word
from dubarr_pipeline.timeline.spans import Span, merge

NOBODY_KNOWN = "SPEAKER_00"
"""Who speaks where no turns are known at all."""


def speakers_of(words: Sequence[Word], turns: Sequence[Turn]) -> list[str]:
    """Return the speaker of every word: the one whose turns overlap it most.

    Two people who cover a word alike: who spoke the word before goes on, else who began first. A
    word that no turn touches is the nearest turn's.

    Args:
        words: in order of their starts.
        turns: of all speakers, overlaps allowed, on the same clock.
    """
    found: list[str] = []
    lookup = _Turns(turns)
    for word in words:
        found.append(lookup.speaker_of(word.span, found[-1] if found else None))
    return found


class _Turns:
    """The turns, each speaker's own ones joined, searchable by time."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        spans: dict[str, list[Span]] = {}
        for turn in turns:
            spans.setdefault(turn.speaker, []).append(turn.span)
        own = [(span, who) for who, theirs in spans.items() for span in merge(theirs)]
        self._turns = sorted(own)
        self._starts = [span.start for span, _ in self._turns]
        self._longest = max((span.length for span, _ in self._turns), default=0)

    def speaker_of(self, span: Span, before: str | None) -> str:
        if not self._turns:
            return before or NOBODY_KNOWN
        wide = span if span.length else span.pad(0, 1)
        common: dict[str, int] = {}
        for turn, who in self._near(wide):
            overlap = turn.overlap(wide)
            if overlap:
                common[who] = common.get(who, 0) + overlap
        if not common:
            return self._nearest(span)
        most = max(common.values())
        tied = [who for who, overlap in common.items() if overlap == most]
        return before if before in tied else tied[0]

    def _near(self, span: Span) -> list[tuple[Span, str]]:
        first = bisect_left(self._starts, span.start - self._longest)
        return self._turns[first : bisect_right(self._starts, span.end)]

    def _nearest(self, span: Span) -> str:
        def away(turn: tuple[Span, str]) -> int:
            return max(turn[0].start - span.end, span.start - turn[0].end)

        # The turn that ended last before the word may have begun long before its neighbours did.
        at = bisect_left(self._starts, span.start)
        first = bisect_left(self._starts, self._starts[max(0, at - 1)] - self._longest)
        return min(self._turns[first : at + 1] or self._turns[-1:], key=away)[1]
