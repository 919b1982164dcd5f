"""The request for a run, and its task list: all lines of all languages."""

import functools
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dubarr_pipeline.config.options import SegmentsOptions
from dubarr_pipeline.engines.interfaces import (
    LineToDraft,
    Synthesizer,
    TakeVerifier,
    Translator,
    Voice,
)
from dubarr_pipeline.engines.translation.reply_checks import terms_in
from dubarr_pipeline.script.model import Context, Segment, SpeakerProfile, Transcript
from dubarr_pipeline.script.speakers.casting import CastVoice
from dubarr_pipeline.segments.journal import digest
from dubarr_pipeline.segments.results import FAILED, LineResult
from dubarr_pipeline.spans import Span, to_seconds
from dubarr_pipeline.timing.length_model import PhonemeCount
from dubarr_pipeline.timing.windows import Window, windows
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline.workdir.legacy_keys import verdict_text

CODE_VERSION = "2"
"""Raised when the same request would make other takes."""


@dataclass(frozen=True, slots=True)
class SegmentsRequest:
    """Inputs of a run.

    Attributes:
        refs: speaker -> their golden voice reference.
        translator, synthesizer, listener: engines, loaded; the listener verifies takes, if any.
        line_refs: index -> a clean sample of that very line, where it is long and clean enough;
            empty unless the settings want a reference per line.
        cast: target language -> speaker -> their stock voice; empty for engines without any.
        narrator: who reads the lines of all speakers, or None.
        existing: target language -> index -> the line in a subtitle that already exists.
        edits: target language -> index -> a person's wording, spoken as it is.
        phonemes: counts phonemes, for better predictions of lengths, if an engine can.
        cancel: set by another thread to stop the run; finished lines are kept.
    """

    transcript: Transcript
    speakers: Mapping[str, SpeakerProfile]
    context: Context
    refs: Mapping[str, Path]
    targets: tuple[str, ...]
    work: WorkDir
    translator: Translator
    synthesizer: Synthesizer
    options: SegmentsOptions = field(default_factory=SegmentsOptions)
    line_refs: Mapping[int, Path] = field(default_factory=dict[int, Path])
    cast: Mapping[str, Mapping[str, CastVoice]] = field(
        default_factory=dict[str, Mapping[str, CastVoice]]
    )
    narrator: SpeakerProfile | None = None
    existing: Mapping[str, Mapping[int, str]] = field(default_factory=dict[str, Mapping[int, str]])
    edits: Mapping[str, Mapping[int, str]] = field(default_factory=dict[str, Mapping[int, str]])
    lengths: Mapping[str, Any] | None = None
    phonemes: PhonemeCount | None = None
    listener: TakeVerifier | None = None
    force: bool = False
    cancel: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class LineTask:
    """One line in one language.

    Attributes:
        ordinal: its place among the dubbed lines of the video.
        position: its place in the list of all lines of all languages.
        to_draft: the line for its translator, with its segment and its budget.
        edit: a person's wording, or None.
        draft_key: digest of all that its translation depends on.
        line_key: digest of all that its takes depend on.
        old_line_key: the same as an older version wrote it, or None where it could not.
    """

    language: str
    ordinal: int
    position: int
    window: Window
    to_draft: LineToDraft
    voice: Voice
    edit: str | None
    draft_key: str
    line_key: str
    old_line_key: str | None = None

    @property
    def segment(self) -> Segment:
        """The original line."""
        return self.to_draft.segment

    @property
    def index(self) -> int:
        """The segment's index."""
        return self.segment.index

    @property
    def name(self) -> str:
        """The line's name in messages."""
        return f"line {self.index} ({self.language})"

    @property
    def unspoken(self) -> LineResult:
        """The line's result before its first take: failed, without a name."""
        segment, budget_s = self.segment, self.to_draft.budget_s
        spans = (segment.span, self.window.reach)
        who = (self.language, segment.index, segment.speaker)
        voice = self.voice.name or self.voice.profile.voices.get(self.language)
        return LineResult(*who, *spans, FAILED, budget_s=budget_s, voice=voice)


def line_tasks(request: SegmentsRequest) -> tuple[LineTask, ...]:
    """Unify all lines of all languages into one list, by position in the film, then by language."""
    transcript = request.transcript
    film = Span(0, transcript.samples)
    segments, narrator = transcript.segments, request.narrator
    if narrator:
        # One voice never says two lines at once, whoever said them in the original.
        segments = tuple(replace(segment, speaker=narrator.speaker) for segment in segments)
    line_windows = windows(segments, film, transcript.rate, request.options.window)
    latest: dict[str, tuple[Path, str]] = {}
    tasks: list[LineTask] = []
    for ordinal, (segment, window) in enumerate(zip(transcript.lines, line_windows, strict=True)):
        # Of references per line, the speaker's last good one is nearest in mood and place; else
        # there is their golden one, whose words are not known.
        if segment.index in request.line_refs:
            latest[segment.speaker] = (request.line_refs[segment.index], segment.text)
        reference = latest.get(segment.speaker) or (request.refs.get(segment.speaker), None)
        for rank, language in enumerate(request.targets):
            place = (ordinal, ordinal * len(request.targets) + rank)
            profile = request.speakers.get(segment.speaker) or SpeakerProfile(segment.speaker)
            profile, sample = (narrator, ()) if narrator else (profile, reference)
            dealt = request.cast.get(language, {}).get(profile.speaker)
            name = dealt.voice if dealt else None
            voice = Voice(profile.speaker, profile, *(sample or (None, None)), name)
            tasks.append(_task(request, language, place, window, voice))
    return tuple(tasks)


def _task(
    request: SegmentsRequest, language: str, place: tuple[int, int], window: Window, voice: Voice
) -> LineTask:
    ordinal, _ = place
    rate = request.transcript.rate
    lines, reach = request.transcript.lines, request.options.neighbours
    segment = lines[ordinal]
    to_draft = LineToDraft(
        segment=segment,
        budget_s=window.budget_s(rate),
        previous=tuple(line.text for line in lines[max(0, ordinal - reach) : ordinal]),
        following=tuple(line.text for line in lines[ordinal + 1 : ordinal + 1 + reach]),
        existing=request.existing.get(language, {}).get(segment.index),
    )
    listener, verifier = request.listener, list[object]()
    if listener is not None and listener.hears(language):
        verifier = [listener.identity(), request.options.word_error]
    edit = request.edits.get(language, {}).get(segment.index)
    draft_key = digest("edit", edit) if edit else draft_digest(request, language, to_draft)

    def line_key(tempo: object) -> str:
        return digest(
            CODE_VERSION,
            draft_key,
            [to_seconds(at, rate) for at in (window.reach.start, window.reach.end, window.budget)],
            voice_digest(voice, language),
            request.synthesizer.identity(),
            [request.options.max_takes, request.options.max_characters, tempo],
            verifier,
        )

    # Journals of version 0.1.0 hold a repr of the same limits in their keys.
    old_verdict = verdict_text(request.options.tempo)
    keys = (line_key(request.options.tempo), line_key(old_verdict) if old_verdict else None)
    return LineTask(language, *place, window, to_draft, voice, edit, draft_key, *keys)


def draft_digest(request: SegmentsRequest, language: str, line: LineToDraft) -> str:
    """Return a digest of all facts that a line is translated again for.

    Its neighbours and the synopsis only lend it sense: a change in them does not redo it, or one
    edited line would redo the whole film.
    """
    return digest(
        request.translator.identity(),
        [request.transcript.language, language],
        [line.segment.text, line.segment.speaker, round(line.budget_s, 2), line.existing],
        [
            [t.source, t.translations.get(language), t.pronunciations.get(language)]
            for t in terms_in(line.segment.text, request.context)
        ],
        request.context.style_guides.get(language),
        [
            [address.to, address.form]
            for address in request.context.addresses.get(language, ())
            if address.speaker == line.segment.speaker
        ],
    )


def voice_digest(voice: Voice, language: str) -> str:
    """Return a digest of the profile's facts that shape a voice, and of its reference."""
    profile = voice.profile
    ref = _content(voice.ref, voice.ref.stat().st_mtime_ns) if voice.ref else None
    if voice.name is not None:
        # A stock voice sounds the same whoever it speaks for.
        return digest([voice.name], [ref, voice.ref_text])
    return digest(
        [voice.speaker, profile.voices.get(language), profile.gender, profile.age_group],
        [profile.style, profile.pitch_hz and round(profile.pitch_hz, 1), ref, voice.ref_text],
    )


@functools.lru_cache(maxsize=256)
def _content(path: Path, _mtime_ns: int) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
