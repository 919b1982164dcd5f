"""The request for a run, and its task list: all lines of all languages."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dubarr_pipeline.config.options import SegmentsOptions
from dubarr_pipeline.edits.model import LineEdits
from dubarr_pipeline.engines.interfaces import (
    LineToDraft,
    Synthesizer,
    TakeVerifier,
    Translator,
    Voice,
)
from dubarr_pipeline.engines.translation.reply_checks import terms_in
from dubarr_pipeline.script.model import Context, Segment, SpeakerProfile, Term, Transcript
from dubarr_pipeline.script.speakers.casting import CastVoice
from dubarr_pipeline.segments.journal import digest
from dubarr_pipeline.segments.results import FAILED, LineResult, Take
from dubarr_pipeline.segments.wishes.corrections import checked, said_fields
from dubarr_pipeline.segments.wishes.pronunciation import (
    pronounced,
    with_pronunciations,
    with_renderings,
)
from dubarr_pipeline.spans import Span, to_seconds
from dubarr_pipeline.text.normalize import speakable
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
        edits: target language -> index -> a person's edits of the line.
        renderings, pronunciations: target language -> term -> a person's words.
        machine: the script without a person's edits; None where it is `transcript`.
        ids: index -> the line's lasting id, where lines have one.
        revisions: language -> revision of the edits that are taken; empty in a film without any.
        refused: edits of speakers that could not be had, in words.
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
    edits: Mapping[str, Mapping[int, LineEdits]] = field(
        default_factory=dict[str, Mapping[int, LineEdits]]
    )
    renderings: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict[str, Mapping[str, str]]
    )
    pronunciations: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict[str, Mapping[str, str]]
    )
    machine: Transcript | None = None
    ids: Mapping[int, str] = field(default_factory=dict[int, str])
    revisions: Mapping[str, int] = field(default_factory=dict[str, int])
    refused: tuple[str, ...] = ()
    lengths: Mapping[str, Any] | None = None
    phonemes: PhonemeCount | None = None
    listener: TakeVerifier | None = None
    force: bool = False
    cancel: threading.Event = field(default_factory=threading.Event)

    def context_in(self, language: str) -> Context:
        """Return the context with a person's renderings in one language."""
        if not (said := self.renderings.get(language)):
            return self.context
        glossary = with_renderings(self.context.glossary, language, said)
        return replace(self.context, glossary=glossary)


@dataclass(frozen=True, slots=True)
class LineTask:
    """One line in one language.

    Attributes:
        ordinal: its place among the dubbed lines of the video.
        position: its place in the list of all lines of all languages.
        to_draft: the line for its translator, with its segment and its budget.
        edits: a person's edits that can be had.
        refused: those that cannot, each by field and reason.
        glossary: the terms of its language.
        terms: the same with a person's pronunciations; None where they said none.
        fixed: the take that a person chose, or locked.
        id: the line's lasting id; empty where it has none.
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
    draft_key: str
    line_key: str
    old_line_key: str | None = None
    edits: LineEdits = field(default_factory=LineEdits)
    refused: tuple[str, ...] = ()
    glossary: tuple[Term, ...] = ()
    terms: tuple[Term, ...] | None = None
    fixed: Take | None = None
    id: str = ""

    @property
    def edit(self) -> str | None:
        """A person's wording, or None."""
        return self.edits.text

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

    def respelled(self, text: str) -> str | None:
        """Return a wording prepared for speech, if a person's pronunciations change it."""
        if self.terms is None:
            return None
        said = pronounced(text, self.terms, self.language)
        if said == pronounced(text, self.glossary, self.language):
            return None
        return speakable(said, self.language)

    @property
    def unspoken(self) -> LineResult:
        """The line's result before its first take: failed, without a name."""
        segment, budget_s = self.segment, self.to_draft.budget_s
        spans = (segment.span, self.window.reach)
        who = (self.language, segment.index, segment.speaker)
        voice = self.voice.name or self.voice.profile.voices.get(self.language)
        said = said_fields(self.edits)
        facts = {"budget_s": budget_s, "voice": voice, "id": self.id}
        return LineResult(*who, *spans, FAILED, **facts, edits=said, refused=self.refused)


def line_tasks(request: SegmentsRequest, only: int | None = None) -> tuple[LineTask, ...]:
    """Unify all lines of all languages into one list, by position in the film, then by language.

    With `only`, there is no more than the line of that index.
    """
    transcript, narrator = request.transcript, request.narrator
    line_windows = _windows(request)
    languages = {each: _Language.of(request, each) for each in request.targets}
    samples = _samples(request)
    tasks: list[LineTask] = []
    for ordinal, (segment, window) in enumerate(zip(transcript.lines, line_windows, strict=True)):
        if only not in (None, segment.index):
            continue
        profile = request.speakers.get(segment.speaker) or SpeakerProfile(segment.speaker)
        sample = samples.get(segment.index) or (request.refs.get(segment.speaker), None)
        profile, sample = (narrator, (None, None)) if narrator else (profile, sample)
        for rank, (name, language) in enumerate(languages.items()):
            place = (ordinal, ordinal * len(request.targets) + rank)
            dealt = request.cast.get(name, {}).get(profile.speaker)
            voice = Voice(profile.speaker, profile, *sample, dealt.voice if dealt else None)
            tasks.append(_task(request, language, place, window, voice))
    return tuple(tasks)


def _windows(request: SegmentsRequest) -> tuple[Window, ...]:
    """Return the windows of all lines; a line that nobody cut or moved keeps the machine's."""
    script, narrator = request.transcript, request.narrator
    film = Span(0, script.samples)

    def found(segments: Sequence[Segment]) -> tuple[Window, ...]:
        if narrator:
            # One voice never says two lines at once, whoever said them in the original.
            segments = [replace(segment, speaker=narrator.speaker) for segment in segments]
        return windows(segments, film, script.rate, request.options.window)

    now = found(script.segments)
    if request.machine is None or request.machine.segments == script.segments:
        return now
    before = {window.index: window for window in found(request.machine.segments)}
    return tuple(
        replace(known, speaker=window.speaker)
        if (known := before.get(window.index)) and known.span == window.span
        else window
        for window in now
    )


def _samples(request: SegmentsRequest) -> Mapping[int, tuple[Path, str]]:
    """Return the sample that each line's voice follows, and its words, where lines have their own.

    The speaker's last good one is nearest in mood and place. Whose it is the machine says: a line
    that a person gives to another speaker changes no later one.
    """
    if not request.line_refs:
        return {}
    machine = request.machine or request.transcript
    texts = {s.index: s.text for s in machine.segments}
    speakers = {s.index: s.speaker for s in machine.segments}
    latest: dict[str, tuple[Path, str]] = {}
    found: dict[int, tuple[Path, str]] = {}
    for line in request.transcript.lines:
        index, own = line.index, request.line_refs.get(line.index)
        if own is not None and index in texts:
            latest[speakers[index]] = found[index] = (own, texts[index])
        elif line.speaker in latest:
            found[index] = latest[line.speaker]
    return found


@dataclass(frozen=True, slots=True)
class _Language:
    """Facts of one target language: its glossary as a person wants it, and its voices by name."""

    name: str
    context: Context
    terms: tuple[Term, ...] | None
    voices: frozenset[str]
    own_voices: frozenset[str]

    @classmethod
    def of(cls, request: SegmentsRequest, name: str) -> _Language:
        context, terms = request.context_in(name), None
        if said := request.pronunciations.get(name):
            terms = with_pronunciations(context.glossary, name, said)
        wanted = any(each.voice for each in request.edits.get(name, {}).values())
        voices = request.synthesizer.voices(name) if wanted else ()
        known = frozenset(voice.name for voice in voices)
        return cls(name, context, terms, known, frozenset(request.synthesizer.own_voices))


def _task(
    request: SegmentsRequest,
    language: _Language,
    place: tuple[int, int],
    window: Window,
    voice: Voice,
) -> LineTask:
    (ordinal, _), name = place, language.name
    rate = request.transcript.rate
    lines, reach = request.transcript.lines, request.options.neighbours
    segment = lines[ordinal]
    wanted = request.edits.get(name, {}).get(segment.index, LineEdits())
    edits, refused = checked(wanted, name, window, rate, language.voices or language.own_voices)
    if edits.voice and language.voices:
        voice = replace(voice, name=edits.voice)
    elif edits.voice:
        # A voice that nobody deals takes the speaker's pitch.
        voices = {**voice.profile.voices, name: edits.voice}
        voice = replace(voice, profile=replace(voice.profile, voices=voices))
    to_draft = LineToDraft(
        segment=segment,
        budget_s=window.budget_s(rate),
        previous=tuple(line.text for line in lines[max(0, ordinal - reach) : ordinal]),
        following=tuple(line.text for line in lines[ordinal + 1 : ordinal + 1 + reach]),
        existing=request.existing.get(name, {}).get(segment.index),
    )
    draft_key = (
        digest("edit", edits.text)
        if edits.text
        else draft_digest(request, language.context, name, to_draft)
    )
    keys = _line_keys(request, name, draft_key, window, voice)
    return LineTask(
        name,
        *place,
        window,
        to_draft,
        voice,
        draft_key,
        *keys,
        edits,
        refused,
        language.context.glossary,
        language.terms,
        id=request.ids.get(segment.index, ""),
    )


def _line_keys(
    request: SegmentsRequest, language: str, draft_key: str, window: Window, voice: Voice
) -> tuple[str, str | None]:
    """Return the digest of all that a line's takes depend on, now and as version 0.1.0 wrote it."""
    rate, listener, verifier = request.transcript.rate, request.listener, list[object]()
    if listener is not None and listener.hears(language):
        verifier = [listener.identity(), request.options.word_error]

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
    return line_key(request.options.tempo), line_key(old_verdict) if old_verdict else None


def draft_digest(
    request: SegmentsRequest, context: Context, language: str, line: LineToDraft
) -> str:
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
            for t in terms_in(line.segment.text, context)
        ],
        context.style_guides.get(language),
        [
            [address.to, address.form]
            for address in context.addresses.get(language, ())
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
