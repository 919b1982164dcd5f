"""What the subtitles call the voices that a model told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dubarr_pipeline.timeline.cue_layout import ScriptPiece
from dubarr_pipeline.timeline.script import Turn
from dubarr_pipeline.timeline.spans import Span, intersect, merge, total
from dubarr_pipeline.timeline.speaker_groups import speaker_name

_CLEAR_SHARE = 0.6
"""Of a voice's named time, what one name must have before it is believed to be its name."""


def names_of(turns: Sequence[Turn], pieces: Sequence[ScriptPiece]) -> dict[str, str]:
    """Return speaker -> name as it is written, where the subtitles name a voice clearly.

    A name belongs to one voice, and a voice has one name: the greatest overlap decides.
    """
    named: dict[str, list[Span]] = {}
    written: dict[str, str] = {}
    for piece in pieces:
        key = speaker_name(piece)
        if key and piece.name:
            named.setdefault(key, []).append(piece.span)
            written.setdefault(key, piece.name)
    own: dict[str, list[Span]] = {}
    for turn in turns:
        own.setdefault(turn.speaker, []).append(turn.span)
    votes: Counter[tuple[str, str]] = Counter()
    for speaker, spans in own.items():
        for key, told in named.items():
            votes[speaker, key] = total(intersect(merge(spans), merge(told)))
    return {speaker: written[key] for speaker, key in _pairs(votes)}


def _pairs(votes: Counter[tuple[str, str]]) -> list[tuple[str, str]]:
    whole: Counter[str] = Counter()
    for (speaker, _), common in votes.items():
        whole[speaker] += common
    found: list[tuple[str, str]] = []
    for (speaker, key), common in votes.most_common():
        taken = any(speaker == s or key == k for s, k in found)
        if common and not taken and common >= _CLEAR_SHARE * whole[speaker]:
            found.append((speaker, key))
    return found
