"""Layout of subtitles as a script: lines by speaker, placed on the speech itself."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise

from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.cues.alignment import DEFAULT, AlignmentOptions, SpeechMap, align
from dubarr_pipeline.script.cues.text import CuePart, CueText, DropReason, conventions_of, read_cue
from dubarr_pipeline.script.model import ScriptLine
from dubarr_pipeline.spans import Span, complement, merge, to_samples
from dubarr_pipeline.text.syllables import SYLLABLES_PER_S, text_weight

_SLOWEST_SYLLABLES_PER_S = 1.5
_LONGEST_REST_S = 8.0
_SHORTEST_S = 0.3
_LEAST_S = 0.1
_SUPPORTED_SHARE = 0.15
_BRIDGED_S = 1.0
"""Longer gaps within a line are pauses, in which the sound stays as it is."""
_OWN_SPEECH_SHARE = 0.4
"""Share of a doubtful cue's time, or of the time that its words take, from which it is spoken."""
_HEARD_STYLE_SHARE, _SILENT_SHARE = 0.5, 0.1
DETECTOR_PAD_S = 0.15
"""The room that detectors leave at both ends of speech, in which nobody speaks."""


@dataclass(frozen=True, slots=True)
class CueLayout:
    """All pieces in order of their starts, and the cues that were left out.

    Attributes:
        dropped: index of each cue that is not part of the script -> why.
        removed_sounds: descriptions taken out from between spoken words.
    """

    pieces: tuple[ScriptLine, ...]
    dropped: Mapping[int, DropReason] = field(default_factory=dict[int, DropReason])
    removed_sounds: int = 0

    def dropped_counts(self) -> dict[str, int]:
        """Return the number of cues that were left out, by reason."""
        return dict(Counter(self.dropped.values()))


@dataclass(frozen=True, slots=True)
class SoundClock:
    """The clock of the dubbed sound: its rate in Hz, and how many samples it has."""

    rate: int
    samples: int


def lay_out(
    cues: Sequence[Cue],
    speech: Sequence[Span],
    clock: SoundClock,
    options: AlignmentOptions = DEFAULT,
) -> CueLayout:
    """Take all cues apart and put every piece on the speech that it belongs to.

    The same cues and speech always give the same pieces: the stages that tell speakers apart and
    that write the transcript both start here. Cues may be in any order, and overlap; those that
    start after the end of the clock's sound are dropped.
    """
    # Detectors round: speech may end a sample after the sound does.
    film = Span(0, clock.samples)
    speech_map = SpeechMap([part for span in speech if (part := span.clip(film))])
    texts = read_cues(cues, speech_map, clock.rate)
    # Files may hold cues in any order.
    order = sorted(range(len(cues)), key=lambda i: (cues[i].span.start, cues[i].span.end, i))
    dropped: dict[int, DropReason] = {}
    placed: list[ScriptLine] = []
    seen: set[tuple[Span, str]] = set()
    removed = 0
    for i in order:
        read = texts[i]
        reason = _reason_to_drop(cues[i], read.dropped, clock, seen)
        if reason:
            dropped[i] = reason
            continue
        removed += read.removed_sounds
        span = cues[i].span
        # Files hold cues that are too short to exist, and some that stay for minutes.
        syllables = sum(text_weight(part.text) for part in read.parts)
        longest = round((syllables / _SLOWEST_SYLLABLES_PER_S + _LONGEST_REST_S) * clock.rate)
        shortest = round(min(_SHORTEST_S, syllables / SYLLABLES_PER_S) * clock.rate)
        start = max(0, min(span.start, clock.samples - 1))
        end = min(max(span.end, start + shortest), start + longest, clock.samples)
        placed += _split_times(read.parts, Span(start, max(end, start + 1)), i)
    pieces = _place(placed, speech_map, clock, options)
    return CueLayout(tuple(pieces), dropped, removed)


def read_cues(cues: Sequence[Cue], speech: SpeechMap, rate: int) -> list[CueText]:
    """Take all cues of a file apart by the conventions of the trade, source or translation.

    What may be a credit, a sound, or writing in the picture is spoken if there is speech under it
    that no other line covers; the signs of an ASS style are judged together. Cues may be in any
    order; without speech nothing doubtful is spoken.
    """
    script = conventions_of(cue.text for cue in cues)
    texts = [read_cue(cue.text, script, cue.name) for cue in cues]
    silent = _silent_styles(cues, texts, speech)
    signs = [cue.sign or cue.style in silent for cue in cues]
    doubtful = [bool(text.doubt) or sign for text, sign in zip(texts, signs, strict=True)]
    said = (any(part.kind != "nonverbal" for part in text.parts) for text in texts)
    plain = SpeechMap(
        [cue.span for cue, no, yes in zip(cues, doubtful, said, strict=True) if yes and not no]
    )
    own: dict[int, tuple[int, int]] = {}
    styles: dict[str, list[tuple[int, int]]] = {}
    for i, (cue, text) in enumerate(zip(cues, texts, strict=True)):
        if doubtful[i] and text.parts:
            free = complement(plain.within(cue.span), cue.span)
            heard = sum(piece.length for stretch in free for piece in speech.within(stretch))
            syllables = sum(text_weight(part.text) for part in text.parts)
            needed = min(cue.span.length, round(syllables / SYLLABLES_PER_S * rate))
            own[i] = heard, needed
            styles.setdefault(cue.style, []).append(own[i])
    for i, measured in own.items():
        if _is_own([measured]):
            continue
        if signs[i]:
            known = plain.spans or speech.spans
            if known and not _is_own(styles[cues[i].style]):
                texts[i] = CueText((), "sign")
        elif texts[i].doubt == "credits":
            texts[i] = CueText((), "credits")
        else:
            shown = " ".join(part.text for part in texts[i].parts)
            texts[i] = CueText((CuePart(shown, "nonverbal"),))
    return texts


def _silent_styles(
    cues: Sequence[Cue], texts: Sequence[CueText], speech: SpeechMap
) -> frozenset[str]:
    """Return the styles without any speech under them, where the commonest style is on speech."""
    shares: dict[str, list[float]] = {}
    for cue, text in zip(cues, texts, strict=True):
        if cue.style and any(part.kind == "speech" for part in text.parts):
            shares.setdefault(cue.style, []).append(speech.share(cue.span))
    common = max(shares.values(), key=len, default=[0.0])
    if sum(common) < _HEARD_STYLE_SHARE * len(common):
        return frozenset()
    return frozenset(s for s, heard in shares.items() if sum(heard) < _SILENT_SHARE * len(heard))


def _is_own(measured: Sequence[tuple[int, int]]) -> bool:
    """Return whether cues have speech of their own: samples heard, and samples needed, of each."""
    heard = sum(min(pair) for pair in measured)
    return heard >= _OWN_SPEECH_SHARE * sum(needed for _, needed in measured)


def spoken_cues(cues: Sequence[Cue], speech: Sequence[Span], rate: int) -> list[Cue]:
    """Return what people say in a file's cues: no names, sounds, songs, signs or credits.

    A dash goes before each speaker where a cue has several.
    """
    said: list[Cue] = []
    for cue, text in zip(cues, read_cues(cues, SpeechMap(speech), rate), strict=True):
        # A line that only reads like a credit is translated instead.
        credit = text.doubt == "credits"
        parts = [part for part in text.parts if part.kind == "speech" and not credit]
        dash = "- " if len(parts) > 1 else ""
        if parts:
            words = "\n".join(
                (dash if part.new_speaker or not n else "") + part.text
                for n, part in enumerate(parts)
            )
            said.append(replace(cue, text=words, name=""))
    return said


def missed_lines(
    cues: Sequence[Cue], speech: Sequence[Span], clock: SoundClock
) -> tuple[Span, ...]:
    """Find the time of lines in the script during which the detector heard no speech.

    These are whole lines without any, and short gaps within a line. A dub over them must not leave
    the original voice audible.
    """
    bridged, pad = to_samples(_BRIDGED_S, clock.rate), to_samples(DETECTOR_PAD_S, clock.rate)
    film, missed, heard = Span(0, clock.samples), list[Span](), SpeechMap(speech)
    for piece in lay_out(cues, speech, clock).pieces:
        if piece.kind != "speech":
            continue
        # The detector missed the whole line, so its span is the subtitle's.
        if not piece.supported:
            missed.append(piece.span.pad(pad, pad))
            continue
        silent = complement(heard.within(piece.span), piece.span)
        missed += [gap for gap in silent if gap.length <= bridged]
    return tuple(merge(part for span in missed if (part := span.clip(film))))


def _reason_to_drop(
    cue: Cue, reason: DropReason | None, clock: SoundClock, seen: set[tuple[Span, str]]
) -> DropReason | None:
    if reason:
        return reason
    if cue.span.start < 0 >= cue.span.end:
        return "before the start"
    if cue.span.start >= clock.samples:
        return "after the end"
    if (cue.span, cue.text) in seen:
        return "duplicate"
    seen.add((cue.span, cue.text))
    return None


def _split_times(parts: Sequence[CuePart], span: Span, cue: int) -> list[ScriptLine]:
    """Share a cue's time among its speakers by the weight of their texts."""
    done = [0.0, *accumulate(text_weight(part.text) for part in parts)]
    edges = [span.start + round(span.length * share / done[-1]) for share in done]
    return [
        ScriptLine(cue, Span(*time), part.text, part.kind, part.name, part.new_speaker)
        for part, time in zip(parts, pairwise(edges), strict=True)
    ]


def _place(
    lines: Sequence[ScriptLine], speech: SpeechMap, clock: SoundClock, options: AlignmentOptions
) -> list[ScriptLine]:
    """Align what is spoken; descriptions keep the subtitle's times and move nothing."""
    heard = [line for line in lines if line.kind != "nonverbal"]
    described = [line for line in lines if line.kind == "nonverbal"]
    spans = align(heard, speech, clock.rate, options)
    spans += [line.span for line in described]
    # Long enough to exist, even where too many cues share too little time.
    shortest = min(clock.samples, max(1, round(_LEAST_S * clock.rate)))
    placed: list[ScriptLine] = []
    for line, span in zip([*heard, *described], spans, strict=True):
        supported = speech.share(span) >= _SUPPORTED_SHARE
        start = max(0, min(span.start, clock.samples - shortest))
        lasting = span if span.length >= shortest else Span(start, start + shortest)
        placed.append(replace(line, span=lasting, supported=supported))
    return sorted(placed, key=lambda line: line.span.start)
