"""What a recogniser wrote down, before anybody has asked whether it is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dubarr_pipeline.timeline.cue_alignment import SpeechMap
from dubarr_pipeline.timeline.script import Kind, Word
from dubarr_pipeline.timeline.spans import Span


@dataclass(frozen=True, slots=True)
class Passage:
    """What was heard in one go, with the recogniser's own doubts.

    Attributes:
        words: in order; each text with the blank before it, where the script has blanks.
        language: BCP-47 in which it was heard.
        kind: as far as it is known already; speech unless something says otherwise.
        log_probability: natural logarithm of its tokens' mean probability; 0 is certain.
        no_speech: probability that nobody speaks, 0 to 1.
        compression: how much smaller the text gets by zlib; above 2.4 it repeats itself.
    """

    words: tuple[Word, ...]
    language: str
    kind: Kind = "speech"
    log_probability: float = 0.0
    no_speech: float = 0.0
    compression: float = 1.0

    @property
    def text(self) -> str:
        """What was said, without blanks at the ends."""
        return joined(self.words)

    @property
    def span(self) -> Span:
        """From the first word to the end of the last; empty at 0 where there are none."""
        if not self.words:
            return Span(0, 0)
        return Span(self.words[0].span.start, max(word.span.end for word in self.words))


def joined(words: Sequence[Word]) -> str:
    """The text of words that carry their own blanks."""
    return "".join(word.text for word in words).strip()


def bare(word: Word) -> Word:
    """The word without the blank before it."""
    return replace(word, text=word.text.strip())


def voiced_share(words: Sequence[Word], speech: SpeechMap) -> float:
    """How much of the words' time the speech detector confirms, 0 to 1."""
    spans = [word.span if word.span.length else word.span.pad(0, 1) for word in words]
    whole = sum(span.length for span in spans)
    heard = sum(piece.length for span in spans for piece in speech.within(span))
    return heard / whole if whole else 0.0


def in_order(words: Sequence[Word], film: Span) -> tuple[Word, ...]:
    """Words within the film, in order of their starts, none running into the next.

    Recognisers round times, and let a word begin before the one before it has ended.
    """
    ordered: list[Word] = []
    for word in sorted(words, key=lambda w: w.span.start):
        start = min(max(word.span.start, film.start), film.end)
        end = min(max(word.span.end, start), film.end)
        if ordered and ordered[-1].span.end > start:
            last = ordered[-1]
            ordered[-1] = replace(last, span=Span(last.span.start, start))
        ordered.append(replace(word, span=Span(start, end)))
    return tuple(ordered)
