"""The times of recognised words, by what the sound itself shows of the voice.

Whisper's words begin within 0.1 s of the truth, and the last one before a pause ends 0.2 s early
(medians on films of known times).
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from dubarr_pipeline.script.cues.alignment import SpeechMap
from dubarr_pipeline.script.model import Word
from dubarr_pipeline.spans import Span, to_samples
from dubarr_pipeline.text.sentences import ends_sentence

_CLAUSE_ENDS = (",", ";", ":")
_LATEST_END_S, _EARLIEST_START_S = 0.6, 0.5
"""Furthest that a word is stretched to the edge of the voice; beyond lies something unwritten."""


def on_speech(words: Sequence[Word], speech: SpeechMap) -> tuple[Word, ...]:
    """Return the words, none longer than the one stretch of speech in which it is said.

    A word that reaches over a pause is said after it if the word before ends a sentence or clause,
    before it if it ends one itself, else on the one that holds more of it. Words off all speech
    stay.
    """
    moved: list[Word] = []
    for number, word in enumerate(words):
        pieces = speech.within(word.span) or [word.span]
        before = words[number - 1].text.strip() if number else "."
        span = max(pieces, key=lambda piece: piece.length)
        if _ends(before):
            span = pieces[-1]
        elif _ends(word.text.strip()):
            span = pieces[0]
        moved.append(replace(word, span=span))
    return tuple(moved)


def _ends(text: str) -> bool:
    return ends_sentence(text) or text.endswith(_CLAUSE_ENDS)


def reach_edges(words: Sequence[Word], voiced: Sequence[Span], rate: int) -> tuple[Word, ...]:
    """Return the words, the first and last of each voiced stretch reaching to its edges.

    Args:
        words: in order, none running into the next, as `on_speech` returns them.
        voiced: stretches of voice without a pause, in order.
        rate: Hz of all spans.
    """
    latest, earliest = (to_samples(s, rate) for s in (_LATEST_END_S, _EARLIEST_START_S))
    starts = [span.start for span in voiced]
    at = [bisect_right(starts, word.span.start) - 1 for word in words]
    reached = list(words)
    for number, (word, piece) in enumerate(zip(words, at, strict=True)):
        if piece < 0 or word.span.start >= voiced[piece].end:
            continue
        edge, (start, end) = voiced[piece], (word.span.start, word.span.end)
        first = number == 0 or at[number - 1] != piece
        last = number + 1 == len(words) or at[number + 1] != piece
        before = reached[number - 1].span.end if number else 0
        if first and start - edge.start <= earliest:
            start = max(edge.start, before)
        if last and 0 < edge.end - end <= latest:
            end = edge.end
        reached[number] = replace(word, span=Span(start, end))
    return tuple(reached)
