"""The transcript as the subtitles give it: exact words, on the speech that they belong to."""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from dubarr_pipeline.engines.interfaces import (
    AudioReader,
    Hearing,
    Need,
    OnProgress,
    Progress,
    Transcriber,
    ignore_progress,
)
from dubarr_pipeline.errors import NoScript
from dubarr_pipeline.media.voice_edges import EdgeOptions, settle, tighten
from dubarr_pipeline.timeline.cue_alignment import AlignmentOptions, SpeechMap
from dubarr_pipeline.timeline.cue_layout import CueLayout, ScriptPiece, SoundClock, lay_out
from dubarr_pipeline.timeline.language_guess import guess_language
from dubarr_pipeline.timeline.script import Cue, Segment, Transcript
from dubarr_pipeline.timeline.script_lines import (
    LineOptions,
    ScriptLine,
    divide_long,
    join_sentences,
    keep_apart,
)
from dubarr_pipeline.timeline.spans import Span, to_samples
from dubarr_pipeline.timeline.speaker_lookup import SpeakerLookup
from dubarr_pipeline.timeline.word_times import time_words

_log = logging.getLogger(__name__)
_VERSION = 2
_HEARD, _UNHEARD = 0.9, 0.4
_NO_SCRIPT = (
    "{what}: put the film's own subtitles beside the video as {{stem}}.en.srt (with its language "
    'instead of "en"; .ass and .vtt do as well), or have them heard: set transcript.engine = '
    '"faster-whisper", and run: dubarr models pull Systran/faster-whisper-small'
)


@dataclass(frozen=True, slots=True)
class SubtitleOptions:
    """How subtitles become lines.

    Attributes:
        alignment: how far subtitle times may be moved; use the diarizer's, so that both agree.
        lines: what is joined and what is divided.
        edges: how the voice's true beginning and end are found.
        shortest_line_s: two lines of one speaker that cannot both have this become one.
    """

    alignment: AlignmentOptions = field(default_factory=AlignmentOptions)
    lines: LineOptions = field(default_factory=LineOptions)
    edges: EdgeOptions = field(default_factory=EdgeOptions)
    shortest_line_s: float = 0.1


class SubtitleTranscriber(Transcriber):
    """Takes the words from the subtitles, and hears only when they are said."""

    name: ClassVar[str] = "subtitles"

    def __init__(self, options: SubtitleOptions | None = None) -> None:
        self._options = options or SubtitleOptions()

    def identity(self) -> str:
        """Name, version and options."""
        return f"{self.name}/{_VERSION}/{self._options}"

    def needs(self) -> tuple[Need, ...]:
        """Nothing but the subtitles, which are the video's."""
        return ()

    def transcribe(self, hearing: Hearing, on_progress: OnProgress = ignore_progress) -> Transcript:
        """Return the segments in order of their starts, one speaker each, indexes 0, 1, 2...

        Raises:
            NoScript: if there are no subtitles, or nothing but advertisements in them.
        """
        vocals, options = hearing.vocals, self._options
        clock = SoundClock(vocals.rate, vocals.samples)
        layout = lay_out(hearing.cues, hearing.speech, clock, options.alignment)
        if not layout.pieces:
            raise NoScript(_NO_SCRIPT.format(what=_why_nothing(hearing, layout)))
        speech = SpeechMap(hearing.speech)
        lines = join_sentences(_attributed(layout.pieces, hearing), vocals.rate, options.lines)
        lines = divide_long(lines, speech, vocals.rate, options.lines)
        lines = keep_apart(lines, to_samples(options.shortest_line_s, vocals.rate))
        edges = _Written(hearing.cues)
        segments = self._segments(lines, vocals, (speech, edges), on_progress)
        language = hearing.language or _guessed(lines)
        _report(layout, segments)
        return Transcript(vocals.rate, vocals.samples, language, segments)

    def _segments(
        self,
        lines: Sequence[ScriptLine],
        vocals: AudioReader,
        times: tuple[SpeechMap, _Written],
        on_progress: OnProgress,
    ) -> tuple[Segment, ...]:
        speech, written = times
        placed: list[ScriptLine] = []
        for done, line in enumerate(lines):
            heard = line.kind == "speech" and line.confidence >= _HEARD
            span = line.span
            if heard:
                span = tighten(vocals, span, self._options.edges)
                span = settle(vocals, span, written.near(span), self._options.edges)
            placed.append(replace(line, span=span))
            on_progress(Progress(done + 1, len(lines), "finding where each line begins"))
        placed.sort(key=lambda line: line.span.start)
        return tuple(_segment(i, line, speech) for i, line in enumerate(placed))


class _Written:
    """The edges of all subtitles, searchable by time."""

    def __init__(self, cues: Sequence[Cue]) -> None:
        self._starts = sorted(cue.span.start for cue in cues)
        self._ends = sorted(cue.span.end for cue in cues)

    def near(self, span: Span) -> Span:
        """The first subtitle start from the span's start on, and the last end up to its end."""
        after = bisect_left(self._starts, span.start)
        before = bisect_right(self._ends, span.end) - 1
        start = self._starts[after] if after < len(self._starts) else span.end
        end = self._ends[before] if before >= 0 else span.start
        start = start if start < span.end else span.start
        return Span(start, end if end > start else span.end)


def _why_nothing(hearing: Hearing, layout: CueLayout) -> str:
    if not hearing.cues:
        return "there are no subtitles, and the lite profile cannot hear words"
    counts = ", ".join(f"{count} {reason}" for reason, count in layout.dropped_counts().items())
    return f"the subtitles hold no line that is spoken ({len(hearing.cues)} cues: {counts})"


def _attributed(pieces: Sequence[ScriptPiece], hearing: Hearing) -> list[ScriptLine]:
    lookup = SpeakerLookup(hearing.diarization)
    lines: list[ScriptLine] = []
    for piece in pieces:
        nobody = piece.kind == "nonverbal" or (piece.kind == "song" and piece.name is None)
        speaker, sure = ("", 1.0) if nobody else lookup.speaker_of(piece.span, piece.name)
        confidence = (_HEARD if piece.supported else _UNHEARD) + 0.1 * (sure - 0.5)
        confidence = confidence if not piece.supported else max(confidence, _HEARD)
        lines.append(
            ScriptLine(piece.span, speaker, piece.text, piece.kind, confidence, piece.new_speaker)
        )
    return lines


def _guessed(lines: Sequence[ScriptLine]) -> str:
    guess = guess_language(line.text for line in lines if line.kind == "speech")
    _log.warning(
        "the subtitles do not say their language: it reads like %r (confidence %.2f)",
        guess.language,
        guess.confidence,
    )
    return guess.language


def _segment(index: int, line: ScriptLine, speech: SpeechMap) -> Segment:
    words = time_words(line.text, line.span, speech.within(line.span), line.confidence / 2)
    return Segment(
        index,
        line.span,
        line.speaker,
        line.text,
        line.kind,
        words if line.kind != "nonverbal" else (),
        round(line.confidence, 4),
        "subtitles",
    )


def _report(layout: CueLayout, segments: Sequence[Segment]) -> None:
    kinds = Counter(segment.kind for segment in segments)
    _log.info(
        "%d segments from %d pieces (%s); cues left out: %s; sounds taken out: %d; without speech "
        "under them: %d",
        len(segments),
        len(layout.pieces),
        ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())),
        layout.dropped_counts() or "none",
        layout.removed_sounds,
        sum(not piece.supported for piece in layout.pieces),
    )
