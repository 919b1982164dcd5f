"""Lines from single words: attributed to speakers, cut at pauses and where sentences end."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from dubarr_pipeline.script.model import Kind, Segment, Turn, Word, WordSource
from dubarr_pipeline.script.recognition.passages import joined
from dubarr_pipeline.spans import Span, merge, to_samples
from dubarr_pipeline.text.sentences import continues, sentence_starts

_CLAUSE_ENDS = tuple(",;:—–，、；：،")
_CLAUSE_WORTH_S = 0.4
"""A comma is as good a place to cut as so much silence."""
_PAUSE_WORTH = 4.0
"""Worth of a second of silence, in seconds away from the middle."""


@dataclass(frozen=True, slots=True)
class UtteranceOptions:
    """Options for cutting spoken words into lines.

    Attributes:
        pause_s: silence between two words from which they are two lines.
        unfinished_pause_s: silence up to which both halves of an unfinished sentence are one line,
            so that it is translated as a whole.
        shortest_s: a shorter line is joined to its speaker's neighbour, where no pause and no
            other speaker parts them.
        longest_s: a longer line is divided, at clause ends and breaths first. Joining stops here.
    """

    pause_s: float = 0.7
    unfinished_pause_s: float = 1.2
    shortest_s: float = 1.0
    longest_s: float = 10.0

    def __post_init__(self) -> None:
        if self.shortest_s > self.longest_s / 2:
            raise ValueError(f"shortest_s must be at most half of longest_s ({self.longest_s})")


DEFAULT = UtteranceOptions()


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word with all facts that decide on its line.

    Attributes:
        word: its text carries the blank before it, where the script has blanks.
        source: origin of its spelling.
    """

    word: Word
    speaker: str
    kind: Kind = "speech"
    language: str = ""
    source: WordSource = "asr"

    def goes_with(self, other: SpokenWord) -> bool:
        """Return whether both may be in one line."""
        mine, theirs = ((w.speaker, w.kind, w.language) for w in (self, other))
        return mine == theirs


_Line = list[SpokenWord]


def cut_lines(
    words: Sequence[SpokenWord], rate: int, options: UtteranceOptions = DEFAULT
) -> tuple[Segment, ...]:
    """Return the lines in order of their starts, every word in exactly one of them.

    `words` are in order of their starts, none running into the next.
    """
    pause = to_samples(options.pause_s, rate)
    # A run is all that one speaker says in one breath.
    runs: list[_Line] = []
    for word in words:
        last = runs[-1][-1] if runs else None
        if last and last.goes_with(word) and last.word.span.gap(word.word.span) < pause:
            runs[-1].append(word)
        else:
            runs.append([word])
    lines: list[_Line] = []
    for run in runs:
        starts = [0, *sentence_starts([word.word.text.strip() for word in run]), len(run)]
        whole = [run[first:last] for first, last in pairwise(starts)]
        sentences = _joined_up(whole, rate, options)
        lines += [part for line in sentences for part in _divided(line, rate, options)]
    return tuple(_segment(index, line) for index, line in enumerate(lines))


def join_sentences(
    lines: Sequence[Segment], rate: int, options: UtteranceOptions = DEFAULT
) -> list[Segment]:
    """Join the halves of sentences that a short pause parts, as long as they are not too long.

    `lines` are in order, as `cut_lines` returns them; indexes stay as they were.
    """
    pause, longest = (to_samples(s, rate) for s in (options.unfinished_pause_s, options.longest_s))
    whole: list[Segment] = []
    for line in lines:
        last = whole[-1] if whole else None
        if (
            last
            and (last.speaker, last.kind) == (line.speaker, "speech") == (line.speaker, line.kind)
            and continues(last.text, line.text)
            and last.span.gap(line.span) < pause
            and line.span.end - last.span.start <= longest
        ):
            whole[-1] = _one(last, line)
        else:
            whole.append(line)
    return whole


def _one(first: Segment, second: Segment) -> Segment:
    words = (*first.words, *second.words)
    return replace(
        first,
        span=Span(first.span.start, second.span.end),
        text=f"{first.text} {second.text}",
        words=words,
        confidence=round(sum(word.probability for word in words) / len(words), 4),
        source="subtitles" if "subtitles" in (first.source, second.source) else "asr",
    )


def _joined_up(sentences: list[_Line], rate: int, options: UtteranceOptions) -> list[_Line]:
    """Join sentences that are too short to stand alone, as long as the whole is not too long."""
    shortest = to_samples(options.shortest_s, rate)
    longest = to_samples(options.longest_s, rate)
    lines: list[_Line] = []
    for sentence in sentences:
        # Either side may be the short one.
        short = _length(sentence) < shortest or (lines and _length(lines[-1]) < shortest)
        if lines and short and _length([lines[-1][0], sentence[-1]]) <= longest:
            lines[-1] = [*lines[-1], *sentence]
        else:
            lines.append(sentence)
    return lines


def _length(line: Sequence[SpokenWord]) -> int:
    return line[-1].word.span.end - line[0].word.span.start


def _divided(line: _Line, rate: int, options: UtteranceOptions) -> list[_Line]:
    """Return the line in parts of at most the longest length; a single word is never divided."""
    if _length(line) <= to_samples(options.longest_s, rate) or len(line) == 1:
        return [line]
    cuts = range(1, len(line))
    shortest = to_samples(options.shortest_s, rate)
    # A cut that leaves a stump is worse than one at a bad place.
    fair = [
        cut for cut in cuts if min(_length(line[:cut]), _length(line[cut:])) >= shortest
    ] or cuts
    best = max(fair, key=lambda cut: _worth(line, cut, rate))
    return [part for half in (line[:best], line[best:]) for part in _divided(half, rate, options)]


def _worth(line: _Line, cut: int, rate: int) -> float:
    """Return the worth of a cut, in seconds: breaths and commas near the middle are best."""
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
        tuple(replace(word, text=word.text.strip()) for word in words),
        round(min(1.0, max(0.0, sure)), 4),
        "subtitles" if taken else "asr",
    )


NOBODY_KNOWN = "SPEAKER_00"
"""Speaker of every word if there are no turns at all."""


def speakers_of(words: Sequence[Word], turns: Sequence[Turn]) -> list[str]:
    """Return the speaker of every word: the one whose turns overlap it most.

    Two people who cover a word alike: who spoke the word before goes on, else who began first. A
    word that no turn touches is the nearest turn's.
    """
    speakers: list[str] = []
    lookup = _Turns(turns)
    for word in words:
        speakers.append(lookup.speaker_of(word.span, speakers[-1] if speakers else None))
    return speakers


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
        first = bisect_left(self._starts, wide.start - self._longest)
        for turn, who in self._turns[first : bisect_right(self._starts, wide.end)]:
            overlap = turn.overlap(wide)
            if overlap:
                common[who] = common.get(who, 0) + overlap
        if not common:
            # The turn that ended last before the word may have begun long before its neighbours.
            at = bisect_left(self._starts, span.start)
            first = bisect_left(self._starts, self._starts[max(0, at - 1)] - self._longest)
            near = self._turns[first : at + 1] or self._turns[-1:]
            return min(near, key=lambda t: max(t[0].start - span.end, span.start - t[0].end))[1]
        most = max(common.values())
        tied = [who for who, overlap in common.items() if overlap == most]
        return before if before in tied else tied[0]
