"""From single words to lines: cut where another speaks, at pauses and where sentences end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dubarr_pipeline.timeline.passages import bare, joined
from dubarr_pipeline.timeline.script import Kind, Segment, Word, WordSource
from dubarr_pipeline.timeline.sentences import sentence_starts
from dubarr_pipeline.timeline.spans import Span, to_samples

_CLAUSE_ENDS = tuple(",;:—–，、；：،")
_CLAUSE_WORTH_S = 0.4
"""A comma is as good a place to cut as so much silence."""
_PAUSE_WORTH = 4.0
"""How much more a second of silence counts than a second away from the middle."""


@dataclass(frozen=True, slots=True)
class UtteranceOptions:
    """What makes one line of spoken words.

    Attributes:
        pause_s: silence between two words from which they are two lines.
        shortest_s: a shorter line is joined to its speaker's neighbour, where no pause and no
            other speaker parts them.
        longest_s: a longer line is divided, at clause ends and breaths first. Joining stops here.
    """

    pause_s: float = 0.7
    shortest_s: float = 1.0
    longest_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.pause_s > 0:
            raise ValueError(f"pause_s must be above 0, not {self.pause_s}")
        if not 0 <= self.shortest_s <= self.longest_s / 2:
            raise ValueError(
                f"shortest_s ({self.shortest_s}) must lie between 0 and half of longest_s "
                f"({self.longest_s})"
            )


DEFAULT = UtteranceOptions()


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word with all that decides in which line it belongs.

    Attributes:
        word: its text carries the blank before it, where the script has blanks.
        source: whose spelling it is.
    """

    word: Word
    speaker: str
    kind: Kind = "speech"
    language: str = ""
    source: WordSource = "asr"

    def goes_with(self, other: SpokenWord) -> bool:
        """Whether both may stand in one line."""
        return (self.speaker, self.kind, self.language) == (
            other.speaker,
            other.kind,
            other.language,
        )


_Line = list[SpokenWord]


def cut_lines(
    words: Sequence[SpokenWord], rate: int, options: UtteranceOptions = DEFAULT
) -> tuple[Segment, ...]:
    """Return the lines in order of their starts, every word in exactly one of them.

    Args:
        words: in order of their starts, none running into the next.
        rate: samples a second.
        options: what makes one line.
    """
    lines: list[_Line] = []
    for run in _runs(words, to_samples(options.pause_s, rate)):
        sentences = _joined_up(_sentences(run), rate, options)
        lines += [part for line in sentences for part in _divided(line, rate, options)]
    return tuple(_segment(index, line) for index, line in enumerate(lines))


def _runs(words: Iterable[SpokenWord], pause: int) -> list[_Line]:
    """What one speaker says in one breath, all sentences of it."""
    runs: list[_Line] = []
    for word in words:
        last = runs[-1][-1] if runs else None
        if last and last.goes_with(word) and last.word.span.gap(word.word.span) < pause:
            runs[-1].append(word)
        else:
            runs.append([word])
    return runs


def _sentences(run: _Line) -> list[_Line]:
    starts = [0, *sentence_starts([word.word.text.strip() for word in run]), len(run)]
    return [run[first:last] for first, last in pairwise(starts)]


def _joined_up(sentences: list[_Line], rate: int, options: UtteranceOptions) -> list[_Line]:
    """Join sentences that are too short to stand alone, as long as the whole is not too long."""
    shortest = to_samples(options.shortest_s, rate)
    longest = to_samples(options.longest_s, rate)
    lines: list[_Line] = []
    for sentence in sentences:
        short = _length(sentence) < shortest or (lines and _length(lines[-1]) < shortest)
        if lines and short and _length([lines[-1][0], sentence[-1]]) <= longest:
            lines[-1] = [*lines[-1], *sentence]
        else:
            lines.append(sentence)
    return lines


def _length(line: Sequence[SpokenWord]) -> int:
    return line[-1].word.span.end - line[0].word.span.start


def _divided(line: _Line, rate: int, options: UtteranceOptions) -> list[_Line]:
    """The line in parts of at most the longest length; a single word is never divided."""
    if _length(line) <= to_samples(options.longest_s, rate) or len(line) == 1:
        return [line]
    cuts = range(1, len(line))
    shortest = to_samples(options.shortest_s, rate)
    fair = [
        cut for cut in cuts if min(_length(line[:cut]), _length(line[cut:])) >= shortest
    ] or cuts
    best = max(fair, key=lambda cut: _worth(line, cut, rate))
    return [part for half in (line[:best], line[best:]) for part in _divided(half, rate, options)]


def _worth(line: _Line, cut: int, rate: int) -> float:
    """How good a place it is to cut, in seconds: breaths and commas near the middle."""
    before, after = line[cut - 1].word, line[cut].word
    middle = (line[0].word.span.start + line[-1].word.span.end) / 2
    away_s = abs((before.span.end + after.span.start) / 2 - middle) / rate
    breath_s = max(0, before.span.gap(after.span)) / rate
    clause_s = _CLAUSE_WORTH_S if before.text.strip().endswith(_CLAUSE_ENDS) else 0.0
    return _PAUSE_WORTH * (breath_s + clause_s) - away_s


def _segment(index: int, line: _Line) -> Segment:
    words = [spoken.word for spoken in line]
    sure = sum(word.probability for word in words) / len(words)
    taken = any(spoken.source == "subtitles" for spoken in line)
    return Segment(
        index,
        Span(words[0].span.start, max(word.span.end for word in words)),
        line[0].speaker,
        joined(words),
        line[0].kind,
        tuple(bare(word) for word in words),
        round(min(1.0, max(0.0, sure)), 4),
        "subtitles" if taken else "asr",
    )
