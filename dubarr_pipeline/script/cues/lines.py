"""Lines from subtitles: attributed, sentences joined, long ones divided, words timed."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from dubarr_pipeline.script.cues.alignment import SpeechMap
from dubarr_pipeline.script.cues.text import name_key
from dubarr_pipeline.script.model import Diarization, Kind, ScriptLine, Turn, Word
from dubarr_pipeline.spans import Span, to_samples
from dubarr_pipeline.text.sentences import continues, join_texts, sentence_starts
from dubarr_pipeline.text.syllables import pause_weight, text_weight, word_weight


@dataclass(frozen=True, slots=True)
class LineOptions:
    """Options for joining and dividing lines.

    Attributes:
        join_gap_s: longest silence between two halves of a sentence that become one line, in
            seconds.
        longest_s: longest line, in seconds; longer ones are divided where sentences end.
        dividing_pause_s: pause between two sentences that divides a line of any length, in seconds.
        pause_reach_s: how far from its estimated time the pause between two sentences is looked
            for, in seconds.
        shortest_s: shortest line that a division leaves, in seconds.
    """

    join_gap_s: float = 0.5
    longest_s: float = 10.0
    dividing_pause_s: float = 0.6
    pause_reach_s: float = 0.8
    shortest_s: float = 0.4


def join_sentences(
    lines: Sequence[ScriptLine], rate: int, options: LineOptions
) -> list[ScriptLine]:
    """Join neighbours that are halves of one sentence by one speaker; all else stays as it is."""
    gap, longest = to_samples(options.join_gap_s, rate), to_samples(options.longest_s, rate)
    joined: list[ScriptLine] = []
    for line in lines:
        last = joined[-1] if joined else None
        if (
            last
            and last.kind == line.kind == "speech"
            and last.speaker == line.speaker
            and not line.new_speaker
            and -gap <= last.span.gap(line.span) <= gap
            and continues(last.text, line.text)
            and line.span.end - last.span.start <= longest
        ):
            joined[-1] = replace(
                last,
                span=Span(last.span.start, max(last.span.end, line.span.end)),
                text=join_texts(last.text, line.text),
                confidence=min(last.confidence, line.confidence),
            )
        else:
            joined.append(line)
    return joined


def divide_long(
    lines: Iterable[ScriptLine], speech: SpeechMap, rate: int, options: LineOptions
) -> list[ScriptLine]:
    """Divide lines between sentences: at every long pause, and where they are too long."""
    parts: list[ScriptLine] = []
    for rest in lines:
        words, first = rest.text.split(), 0
        for at in sentence_starts(words) if rest.kind == "speech" else ():
            head = " ".join(words[first:at])
            if cut := _cut(rest, head, speech, rate, options):
                parts.append(replace(rest, span=Span(rest.span.start, cut.start), text=head))
                tail, left = " ".join(words[at:]), Span(cut.end, rest.span.end)
                rest, first = replace(rest, span=left, text=tail, new_speaker=False), at
        parts.append(rest)
    return parts


def _cut(
    rest: ScriptLine, head: str, speech: SpeechMap, rate: int, options: LineOptions
) -> Span | None:
    """Return the pause after `head`, a line's first sentences; None if it is not divided there."""
    voiced = VoicedTime(rest.span, speech.within(rest.span))
    tail_weight = text_weight(rest.text[len(head) :])
    share = text_weight(head) / (text_weight(head) + tail_weight)
    expected = voiced.edge(round(voiced.length * share), begins=False)
    reach = to_samples(options.pause_reach_s, rate)
    near = Span(expected, expected).pad(reach, reach).clip(rest.span)
    pauses = speech.pauses(near) if near else []
    inner = [p for p in pauses if p.start > rest.span.start and p.end < rest.span.end]
    pause = max(inner, key=lambda p: p.length, default=None)
    long_pause = pause and pause.length >= to_samples(options.dividing_pause_s, rate)
    too_long = rest.span.length > to_samples(options.longest_s, rate)
    if not long_pause and not too_long:
        return None
    cut = pause or Span(expected, expected)
    shortest = to_samples(options.shortest_s, rate)
    fits = cut.start - rest.span.start >= shortest and rest.span.end - cut.end >= shortest
    return cut if fits else None


def keep_apart(lines: Iterable[ScriptLine], shortest_samples: int) -> list[ScriptLine]:
    """Let no speaker speak two lines at once, and return all lines in order of their starts.

    An overlap is cut in its middle. Where that would leave less than `shortest_samples` of a line,
    the time of both is shared by the weight of their texts, or, if even that is too little, they
    become one line: no word is lost. Lines without a speaker (descriptions, songs) are left
    alone.
    """
    kept: dict[str, list[ScriptLine]] = {}
    for line in sorted(lines, key=lambda one: one.span.start):
        own = kept.setdefault(line.speaker, [])
        apart = [line]
        # Joined lines may overlap the one before them, too.
        while line.speaker and len(apart) == 1 and own and own[-1].span.end > apart[0].span.start:
            apart = _two_apart(own.pop(), apart[0], shortest_samples)
        own += apart
    flat = [line for own in kept.values() for line in own]
    return sorted(flat, key=lambda one: one.span.start)


def _two_apart(first: ScriptLine, second: ScriptLine, shortest: int) -> list[ScriptLine]:
    whole = Span(first.span.start, max(first.span.end, second.span.end))
    overlap = Span(second.span.start, min(first.span.end, second.span.end))
    middle = (overlap.start + overlap.end) // 2
    weight = text_weight(first.text)
    shared = whole.start + round(whole.length * weight / (weight + text_weight(second.text)))
    for cut in (middle, shared):
        if cut - whole.start >= shortest and whole.end - cut >= shortest:
            return [
                replace(first, span=Span(whole.start, cut)),
                replace(second, span=Span(cut, whole.end)),
            ]
    kinds = (first.kind, second.kind)
    kind: Kind = "speech" if "speech" in kinds else first.kind
    text = f"{first.text} {second.text}"
    return [replace(first, span=whole, text=text, kind=kind)]


class VoicedTime:
    """A line's time without its pauses: voiced samples count; all, where no speech is known."""

    def __init__(self, span: Span, speech: Sequence[Span]) -> None:
        pieces = [piece for s in speech if (piece := s.clip(span))]
        self._pieces = pieces or [span]
        self._before = [0, *accumulate(piece.length for piece in self._pieces)]

    @property
    def length(self) -> int:
        """Voiced samples."""
        return self._before[-1]

    def edge(self, voiced: int, *, begins: bool) -> int:
        """Return the sample at which `voiced` samples are over, and a word begins or ends."""
        bisect = bisect_right if begins else bisect_left
        i = min(max(bisect(self._before, voiced) - 1, 0), len(self._pieces) - 1)
        return self._pieces[i].start + min(voiced - self._before[i], self._pieces[i].length)


def time_words(
    text: str, span: Span, speech: Sequence[Span], probability: float = 0.5
) -> tuple[Word, ...]:
    """Spread the words of a line over its voiced time by their syllables.

    Every whitespace-separated token becomes a word; in order they do not overlap, the first starts
    with the voice, and the last ends with it. `speech` is sorted and disjoint; outside `span` it is
    ignored. Each word gets the `probability`: these times are estimates.
    """
    tokens = text.split()
    if not tokens:
        return ()
    voiced = VoicedTime(span, speech)
    # A token without a vowel is heard for a moment, too.
    weights = [max(word_weight(token), 0.2) for token in tokens]
    pauses = [0.5 * pause_weight(token) for token in tokens[:-1]] + [0.0]
    whole = sum(weights) + sum(pauses)
    words: list[Word] = []
    done = 0.0
    for token, weight, pause in zip(tokens, weights, pauses, strict=True):
        start = voiced.edge(round(voiced.length * done / whole), begins=True)
        end = voiced.edge(round(voiced.length * (done + weight) / whole), begins=False)
        words.append(Word(Span(start, max(start, end)), token, probability))
        done += weight + pause
    return tuple(words)


class SpeakerLookup:
    """Speakers of lines, looked up in the turns of any diarizer."""

    def __init__(self, diarization: Diarization) -> None:
        self._turns = sorted(diarization.turns, key=lambda turn: turn.span)
        self._starts = [turn.span.start for turn in self._turns]
        self._longest = max((turn.span.length for turn in self._turns), default=0)
        self._of_name = {name_key(name): speaker for speaker, name in diarization.names.items()}

    def speaker_of(self, span: Span, name: str | None = None) -> tuple[str, float]:
        """Return the speaker of a span, and the confidence, 0 to 1.

        A name that the diarization knows decides alone. Else the turns that cover the span count,
        and one that has the span's own edges counts most: of two people who talk at once, each has
        turns of his own. Without any, the nearest turn in time; without turns, ``SPEAKER_00``.
        """
        # Names come from people; turns come from a model.
        if name and (known := self._of_name.get(name_key(name))):
            return known, 1.0
        scores: dict[str, float] = {}
        best_fit: dict[str, float] = {}
        sure: dict[str, float] = {}
        for turn in self._near(span):
            if not (common := turn.span.overlap(span)):
                continue
            scores[turn.speaker] = scores.get(turn.speaker, 0.0) + common / max(1, span.length)
            joint = turn.span.length + span.length - common
            best_fit[turn.speaker] = max(best_fit.get(turn.speaker, 0.0), common / max(1, joint))
            sure[turn.speaker] = max(sure.get(turn.speaker, 0.0), turn.confidence)
        if scores:
            speaker = max(scores, key=lambda s: (scores[s] + best_fit[s], s))
            return speaker, sure[speaker]
        if not self._turns:
            return "SPEAKER_00", 0.0
        at = bisect_left(self._starts, span.start)
        around = self._turns[max(0, at - 2) : at + 2]
        nearest = min(around, key=lambda t: max(t.span.start - span.end, span.start - t.span.end))
        return nearest.speaker, 0.2

    def others(self, speaker: str, span: Span) -> list[Span]:
        """Return the turns of all but one speaker that overlap a span or touch it, in order."""
        return [
            turn.span
            for turn in self._near(span)
            if turn.speaker != speaker and turn.span.end >= span.start
        ]

    def _near(self, span: Span) -> Sequence[Turn]:
        """Return all turns that may overlap a span or touch it, and perhaps some before it."""
        first = bisect_left(self._starts, span.start - self._longest)
        return self._turns[first : bisect_right(self._starts, span.end)]
