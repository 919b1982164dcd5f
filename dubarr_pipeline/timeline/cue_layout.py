"""The script as the subtitles give it: who says what, placed on the speech itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dubarr_pipeline.timeline.cue_alignment import AlignmentOptions, CueTime, SpeechMap, align
from dubarr_pipeline.timeline.cue_text import CuePart, DropReason, collect_names, read_cue
from dubarr_pipeline.timeline.script import Cue, Kind
from dubarr_pipeline.timeline.spans import Span, complement, merge, to_samples
from dubarr_pipeline.timeline.speech_weight import SYLLABLES_PER_S, text_weight

_SLOWEST_SYLLABLES_PER_S = 1.5
_LONGEST_REST_S = 8.0
_SHORTEST_S = 0.3
_LEAST_S = 0.1
_SUPPORTED_SHARE = 0.15
_BRIDGED_S = 1.0
"""Longer gaps within a line are pauses, in which the sound stays as it is."""
_MISSED_PAD_S = 0.15
"""The room that the detector leaves around speech."""


@dataclass(frozen=True, slots=True)
class ScriptPiece:
    """What one person says within one cue, placed on the clock.

    Attributes:
        cue: index of its cue, as they were given.
        supported: whether there is speech under it; if not, the times are the subtitle's own.
    """

    cue: int
    span: Span
    text: str
    kind: Kind = "speech"
    name: str | None = None
    new_speaker: bool = False
    supported: bool = True


@dataclass(frozen=True, slots=True)
class CueLayout:
    """All pieces in order of their starts, and what was left out.

    Attributes:
        dropped: index of each cue that is not part of the script -> why.
        removed_sounds: descriptions taken out from between spoken words.
    """

    pieces: tuple[ScriptPiece, ...]
    dropped: Mapping[int, DropReason] = field(default_factory=dict[int, DropReason])
    removed_sounds: int = 0

    def dropped_counts(self) -> dict[str, int]:
        """How many cues were left out, by reason."""
        return dict(Counter(self.dropped.values()))


@dataclass(frozen=True, slots=True)
class SoundClock:
    """The clock of the dubbed sound: its rate in Hz, and how many samples it has."""

    rate: int
    samples: int


@dataclass(frozen=True, slots=True)
class _Placed:
    part: CuePart
    time: CueTime


def lay_out(
    cues: Sequence[Cue],
    speech: Sequence[Span],
    clock: SoundClock,
    options: AlignmentOptions | None = None,
) -> CueLayout:
    """Take all cues apart and put every piece on the speech that it belongs to.

    The same cues and speech always give the same pieces: the stages that tell speakers apart and
    that write the transcript both start here.

    Args:
        cues: in any order, overlaps allowed.
        speech: where somebody speaks, on the same clock.
        clock: of the sound; cues that start after its end are dropped.
        options: how far times may be moved.
    """
    names = collect_names(cue.text for cue in cues)
    order = sorted(range(len(cues)), key=lambda i: (cues[i].span.start, cues[i].span.end, i))
    dropped: dict[int, DropReason] = {}
    placed: list[_Placed] = []
    seen: set[tuple[Span, str]] = set()
    removed = 0
    for i in order:
        read = read_cue(cues[i].text, names)
        reason = _reason_to_drop(cues[i], read.dropped, clock, seen)
        if reason:
            dropped[i] = reason
            continue
        removed += read.removed_sounds
        placed += _split_times(read.parts, _bounded(cues[i].span, read.parts, clock), i)
    pieces = _place(placed, SpeechMap(speech), clock, options or AlignmentOptions())
    return CueLayout(tuple(pieces), dropped, removed)


def missed_lines(
    cues: Sequence[Cue], speech: Sequence[Span], clock: SoundClock
) -> tuple[Span, ...]:
    """Find where the script says that somebody speaks, and the detector heard nobody.

    These are whole lines under which it heard nothing, and short gaps within a line. A dub over
    them must not leave the original voice beside it.
    """
    bridged, pad = to_samples(_BRIDGED_S, clock.rate), to_samples(_MISSED_PAD_S, clock.rate)
    film, found = Span(0, clock.samples), list[Span]()
    for piece in lay_out(cues, speech, clock).pieces:
        if piece.kind != "speech":
            continue
        if not piece.supported:
            found.append(piece.span.pad(pad, pad))
            continue
        found += [gap for gap in complement(speech, piece.span) if gap.length <= bridged]
    return tuple(merge(part for span in found if (part := span.clip(film))))


def _reason_to_drop(
    cue: Cue, reason: DropReason | None, clock: SoundClock, seen: set[tuple[Span, str]]
) -> DropReason | None:
    if reason:
        return reason
    if cue.span.start >= clock.samples:
        return "after_end"
    if (cue.span, cue.text) in seen:
        return "duplicate"
    seen.add((cue.span, cue.text))
    return None


def _bounded(span: Span, parts: Sequence[CuePart], clock: SoundClock) -> Span:
    """The cue's time within the sound; neither too short to exist nor left standing for minutes."""
    syllables = sum(text_weight(part.text) for part in parts)
    longest = round((syllables / _SLOWEST_SYLLABLES_PER_S + _LONGEST_REST_S) * clock.rate)
    shortest = round(min(_SHORTEST_S, syllables / SYLLABLES_PER_S) * clock.rate)
    start = max(0, min(span.start, clock.samples - 1))
    end = min(max(span.end, start + shortest), start + longest, clock.samples)
    return Span(start, max(end, start + 1))


def _split_times(parts: Sequence[CuePart], span: Span, cue: int) -> list[_Placed]:
    """Share a cue's time among its speakers by the weight of their texts."""
    weights = [text_weight(part.text) for part in parts]
    whole, cursor, done = sum(weights), span.start, 0.0
    placed: list[_Placed] = []
    for part, weight in zip(parts, weights, strict=True):
        done += weight
        end = span.start + round(span.length * done / whole)
        placed.append(_Placed(part, CueTime(Span(cursor, end), weight, cue)))
        cursor = end
    return placed


def _place(
    placed: Sequence[_Placed], speech: SpeechMap, clock: SoundClock, options: AlignmentOptions
) -> list[ScriptPiece]:
    """Align what is spoken; descriptions keep the subtitle's times and move nobody."""
    heard = [p for p in placed if p.part.kind != "nonverbal"]
    spans = align([p.time for p in heard], speech, clock.rate, options)
    pieces = [_piece(p, span, speech, clock) for p, span in zip(heard, spans, strict=True)]
    described = (p for p in placed if p.part.kind == "nonverbal")
    pieces += [_piece(p, p.time.span, speech, clock) for p in described]
    return sorted(pieces, key=lambda piece: piece.span.start)


def _piece(placed: _Placed, span: Span, speech: SpeechMap, clock: SoundClock) -> ScriptPiece:
    part = placed.part
    supported = speech.share(span) >= _SUPPORTED_SHARE
    lasting = _lasting(span, clock)
    return ScriptPiece(
        placed.time.cue, lasting, part.text, part.kind, part.name, part.new_speaker, supported
    )


def _lasting(span: Span, clock: SoundClock) -> Span:
    """The span, long enough to exist where too many cues share too little time."""
    shortest = min(clock.samples, max(1, round(_LEAST_S * clock.rate)))
    if span.length >= shortest:
        return span
    start = max(0, min(span.start, clock.samples - shortest))
    return Span(start, start + shortest)
