"""Transcript from subtitles: their exact words, aligned to the speech."""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from dubarr_pipeline.engines.interfaces import AudioReader, Hearing, Transcriber
from dubarr_pipeline.errors import NoScript
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.progress import OnProgress, Progress, ignore_progress
from dubarr_pipeline.script.cues.alignment import AlignmentOptions, SpeechMap
from dubarr_pipeline.script.cues.layout import CueLayout, SoundClock, lay_out
from dubarr_pipeline.script.cues.lines import (
    LineOptions,
    SpeakerLookup,
    divide_long,
    join_sentences,
    keep_apart,
    time_words,
)
from dubarr_pipeline.script.model import DroppedCue, ScriptLine, Segment, Transcript
from dubarr_pipeline.script.speakers.edges import EdgeOptions, settle, tighten
from dubarr_pipeline.spans import Span, to_samples
from dubarr_pipeline.text.language_guess import guess_language
from dubarr_pipeline.workdir.canonical import canonical_json

_log = logging.getLogger(__name__)
_VERSION = 3
_HEARD, _UNHEARD = 0.9, 0.4
_NO_SCRIPT = (
    "{what}: put the film's own subtitles beside the video as {{stem}}.en.srt (with its language "
    'instead of "en"; .ass and .vtt do as well), or have them heard: set transcript.engine = '
    '"faster-whisper", and run: dubarr models pull Systran/faster-whisper-small'
)


@dataclass(frozen=True, slots=True)
class SubtitleOptions:
    """Options for making lines of subtitles.

    Attributes:
        alignment: how far subtitle times may be moved; use the diarizer's, so that both agree.
        lines: what is joined and what is divided.
        edges: search for the voice's true beginning and end.
        shortest_line_s: two lines of one speaker that cannot both have this become one.
    """

    alignment: AlignmentOptions = field(default_factory=AlignmentOptions)
    lines: LineOptions = field(default_factory=LineOptions)
    edges: EdgeOptions = field(default_factory=EdgeOptions)
    shortest_line_s: float = 0.1


class SubtitleTranscriber(Transcriber):
    """Takes words from the subtitles, and their times from the sound."""

    name: ClassVar[str] = "subtitles"

    def __init__(self, options: SubtitleOptions | None = None) -> None:
        self._options = options or SubtitleOptions()

    def identity(self) -> str:
        return f"{self.name}/{_VERSION}/{canonical_json(self._options)}"

    def transcribe(self, hearing: Hearing, on_progress: OnProgress = ignore_progress) -> Transcript:
        vocals, options = hearing.vocals, self._options
        clock = SoundClock(vocals.rate, vocals.samples)
        layout = lay_out(hearing.cues, hearing.speech, clock, options.alignment)
        if not layout.pieces:
            counts = ", ".join(f"{n} {reason}" for reason, n in layout.dropped_counts().items())
            what = f"the subtitles hold no line that is spoken ({len(hearing.cues)} cues: {counts})"
            if not hearing.cues:
                what = "there are no subtitles, and the lite profile cannot hear words"
            raise NoScript(_NO_SCRIPT.format(what=what))
        speech = SpeechMap(hearing.speech)
        lookup = SpeakerLookup(hearing.diarization)
        attributed: list[ScriptLine] = []
        for line in layout.pieces:
            nobody = line.kind == "nonverbal" or (line.kind == "song" and line.name is None)
            speaker, sure = ("", 1.0) if nobody else lookup.speaker_of(line.span, line.name)
            confidence = (_HEARD if line.supported else _UNHEARD) + 0.1 * (sure - 0.5)
            confidence = confidence if not line.supported else max(confidence, _HEARD)
            attributed.append(replace(line, speaker=speaker, confidence=confidence))
        lines = join_sentences(attributed, vocals.rate, options.lines)
        lines = divide_long(lines, speech, vocals.rate, options.lines)
        lines = keep_apart(lines, to_samples(options.shortest_line_s, vocals.rate))
        edges = _SubtitleEdges(hearing.cues)
        segments = self._segments(lines, vocals, (speech, edges), on_progress)
        language = hearing.language
        if not language:
            guess = guess_language(line.text for line in lines if line.kind == "speech")
            language = guess.language
            _log.warning(
                "the subtitles do not say their language: it reads like %r (confidence %.2f)",
                *(language, guess.confidence),
            )
        _report(layout, segments)
        left_out = tuple(
            DroppedCue(cue.span, cue.text, layout.dropped[i])
            for i, cue in enumerate(hearing.cues)
            if i in layout.dropped
        )
        return Transcript(vocals.rate, vocals.samples, language, segments, left_out=left_out)

    def _segments(
        self,
        lines: Sequence[ScriptLine],
        vocals: AudioReader,
        times: tuple[SpeechMap, _SubtitleEdges],
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
        segments: list[Segment] = []
        for index, line in enumerate(placed):
            words = time_words(line.text, line.span, speech.within(line.span), line.confidence / 2)
            words = words if line.kind != "nonverbal" else ()
            known = (index, line.span, line.speaker, line.text, line.kind, words)
            segments.append(Segment(*known, round(line.confidence, 4), "subtitles"))
        return tuple(segments)


class _SubtitleEdges:
    """The edges of all subtitles, searchable by time."""

    def __init__(self, cues: Sequence[Cue]) -> None:
        self._starts = sorted(cue.span.start for cue in cues)
        self._ends = sorted(cue.span.end for cue in cues)

    def near(self, span: Span) -> Span:
        """Return the first subtitle start after the span's start, and the last end before its."""
        after = bisect_left(self._starts, span.start)
        before = bisect_right(self._ends, span.end) - 1
        start = self._starts[after] if after < len(self._starts) else span.end
        end = self._ends[before] if before >= 0 else span.start
        start = start if start < span.end else span.start
        return Span(start, end if end > start else span.end)


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
