"""From pieces of subtitles to lines: sentences made whole, long ones divided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dubarr_pipeline.timeline.cue_alignment import SpeechMap
from dubarr_pipeline.timeline.script import Kind
from dubarr_pipeline.timeline.sentences import continues, join_texts, sentence_starts
from dubarr_pipeline.timeline.spans import Span, to_samples
from dubarr_pipeline.timeline.speech_weight import text_weight
from dubarr_pipeline.timeline.word_times import VoicedTime


@dataclass(frozen=True, slots=True)
class LineOptions:
    """What makes one line.

    Attributes:
        join_gap_s: two halves of a sentence are one line if no more silence lies between them.
        longest_s: no line is joined beyond this; longer ones are divided where sentences end.
        dividing_pause_s: a pause of this length between two sentences divides a line of any length.
        pause_reach_s: how far from its estimated time the pause between two sentences is looked
            for.
        shortest_s: no division leaves less than this.
    """

    join_gap_s: float = 0.5
    longest_s: float = 10.0
    dividing_pause_s: float = 0.6
    pause_reach_s: float = 0.8
    shortest_s: float = 0.4


DEFAULT = LineOptions()


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """A line before it gets its index and its words."""

    span: Span
    speaker: str
    text: str
    kind: Kind = "speech"
    confidence: float = 1.0
    new_speaker: bool = False


def join_sentences(
    lines: Sequence[ScriptLine], rate: int, options: LineOptions = DEFAULT
) -> list[ScriptLine]:
    """Join neighbours that are halves of one sentence by one speaker; all else stays as it is."""
    gap, longest = to_samples(options.join_gap_s, rate), to_samples(options.longest_s, rate)
    joined: list[ScriptLine] = []
    for line in lines:
        last = joined[-1] if joined else None
        if last and _belongs(last, line, gap) and line.span.end - last.span.start <= longest:
            joined[-1] = _both(last, line)
        else:
            joined.append(line)
    return joined


def _belongs(last: ScriptLine, line: ScriptLine, gap: int) -> bool:
    return (
        last.kind == line.kind == "speech"
        and last.speaker == line.speaker
        and not line.new_speaker
        and -gap <= last.span.gap(line.span) <= gap
        and continues(last.text, line.text)
    )


def _both(first: ScriptLine, second: ScriptLine) -> ScriptLine:
    span = Span(first.span.start, max(first.span.end, second.span.end))
    confidence = min(first.confidence, second.confidence)
    return replace(
        first, span=span, text=join_texts(first.text, second.text), confidence=confidence
    )


def divide_long(
    lines: Iterable[ScriptLine], speech: SpeechMap, rate: int, options: LineOptions = DEFAULT
) -> list[ScriptLine]:
    """Divide lines between sentences: at every long pause, and where they are too long."""
    return [part for line in lines for part in _divided(line, speech, rate, options)]


def _divided(
    line: ScriptLine, speech: SpeechMap, rate: int, options: LineOptions
) -> list[ScriptLine]:
    words = line.text.split()
    parts: list[ScriptLine] = []
    rest, first = line, 0
    if line.kind == "speech":
        for at in sentence_starts(words):
            head = " ".join(words[first:at])
            cut = _cut(rest, head, speech, (rate, options))
            if cut is None:
                continue
            parts.append(replace(rest, span=Span(rest.span.start, cut.start), text=head))
            tail = " ".join(words[at:])
            rest = replace(rest, span=Span(cut.end, rest.span.end), text=tail, new_speaker=False)
            first = at
    return [*parts, rest]


def _cut(
    rest: ScriptLine, head: str, speech: SpeechMap, terms: tuple[int, LineOptions]
) -> Span | None:
    """The pause after `head`, a line's first sentences; None if it is not divided there."""
    rate, options = terms
    voiced = VoicedTime(rest.span, speech.within(rest.span))
    tail_weight = text_weight(rest.text[len(head) :])
    share = text_weight(head) / (text_weight(head) + tail_weight)
    expected = voiced.end_of(round(voiced.length * share))
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
    become one line: no word is lost. Lines that belong to nobody (descriptions, songs) are left
    alone.
    """
    kept: dict[str, list[ScriptLine]] = {}
    for line in sorted(lines, key=lambda one: one.span.start):
        if not line.speaker:
            kept.setdefault("", []).append(line)
            continue
        own = kept.setdefault(line.speaker, [])
        following = line
        while own and own[-1].span.end > following.span.start:
            apart = _two_apart(own.pop(), following, shortest_samples)
            if len(apart) == 2:
                own.append(apart[0])
            following = apart[-1]
            if len(apart) == 2:
                break
        own.append(following)
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
