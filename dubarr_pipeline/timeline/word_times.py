"""When each word of a line is spoken, as far as it can be told without hearing it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from dubarr_pipeline.timeline.script import Word
from dubarr_pipeline.timeline.spans import Span
from dubarr_pipeline.timeline.speech_weight import pause_weight, word_weight


class VoicedTime:
    """A line's time with its pauses taken out: only voiced samples count.

    Where no speech is known the whole span counts as voiced.
    """

    def __init__(self, span: Span, speech: Sequence[Span]) -> None:
        pieces = [piece for s in speech if (piece := s.clip(span))]
        self._pieces = pieces or [span]
        self._before = [0]
        for piece in self._pieces:
            self._before.append(self._before[-1] + piece.length)

    @property
    def length(self) -> int:
        """Voiced samples."""
        return self._before[-1]

    def start_of(self, voiced: int) -> int:
        """The sample on the clock at which `voiced` voiced samples are over and a word begins."""
        i = min(max(bisect_right(self._before, voiced) - 1, 0), len(self._pieces) - 1)
        return self._pieces[i].start + min(voiced - self._before[i], self._pieces[i].length)

    def end_of(self, voiced: int) -> int:
        """The sample on the clock at which `voiced` voiced samples are over and a word ends."""
        i = min(max(bisect_left(self._before, voiced) - 1, 0), len(self._pieces) - 1)
        return self._pieces[i].start + min(voiced - self._before[i], self._pieces[i].length)


def time_words(
    text: str, span: Span, speech: Sequence[Span], probability: float = 0.5
) -> tuple[Word, ...]:
    """Spread the words of a line over its voiced time by their syllables.

    Args:
        text: of the line; every whitespace-separated token becomes a word.
        span: of the line.
        speech: where there is voice; what lies outside `span` is ignored. Sorted and disjoint.
        probability: given to each word; these times are estimates.

    Returns:
        Words in ascending order that do not overlap, the first starting with the voice and the last
        ending with it.
    """
    tokens = text.split()
    if not tokens:
        return ()
    voiced = VoicedTime(span, speech)
    weights = [max(word_weight(token), 0.2) for token in tokens]
    pauses = [0.5 * pause_weight(token) for token in tokens[:-1]] + [0.0]
    whole = sum(weights) + sum(pauses)
    words: list[Word] = []
    done = 0.0
    for token, weight, pause in zip(tokens, weights, pauses, strict=True):
        start = voiced.start_of(round(voiced.length * done / whole))
        end = voiced.end_of(round(voiced.length * (done + weight) / whole))
        words.append(Word(Span(start, max(start, end)), token, probability))
        done += weight + pause
    return tuple(words)
