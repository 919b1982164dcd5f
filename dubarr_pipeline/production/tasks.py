"""The order for a production, and the one task list that it becomes: all lines, all languages."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dubarr_pipeline.engines.interfaces import (
    LineToDraft,
    Synthesizer,
    TakeListener,
    Translator,
    Voice,
)
from dubarr_pipeline.engines.translation.reply_faults import terms_in
from dubarr_pipeline.production.casting import RefShelf, cast
from dubarr_pipeline.production.journal import digest
from dubarr_pipeline.timeline.length_model import PhonemeCount
from dubarr_pipeline.timeline.placement import PlacementOptions
from dubarr_pipeline.timeline.script import Context, Segment, SpeakerProfile, Transcript
from dubarr_pipeline.timeline.spans import Span, to_seconds
from dubarr_pipeline.timeline.verdicts import VerdictOptions
from dubarr_pipeline.timeline.windows import Window, WindowOptions, windows
from dubarr_pipeline.workdir import WorkDir

CODE_VERSION = "2"
"""Raised whenever this floor would make another take from the same order."""


@dataclass(frozen=True, slots=True)
class ProductionOptions:
    """How lines are drafted, spoken and fitted.

    Attributes:
        max_takes: renderings per line at most; the best of them is placed.
        batch_lines: lines that are translated in one call.
        neighbours: lines before and after that the translator sees for sense.
        ready_lines: drafted lines of a language that may wait to be spoken; then drafting pauses.
        llm_concurrency, tts_concurrency: calls at once; 0: as many as the engine says.
        threads: lines in hand at once; 0: enough to keep both services busy.
        dead_after: failures in a row after which a service counts as dead for this run.
        max_characters: longest text for one synthesis call; 0: as the engine says.
        hopeless: a wording predicted to need a tempo beyond this, or below one over it, is reworded
            before it costs a take; 1: every wording that is predicted to need any.
        unlearned: the same bound while no take of the voice has been heard.
        word_error: share of a take's words (or letters) that may be heard otherwise; beyond it, it
            is spoken again, and at last the line fails by name. 0: nobody listens. It takes a
            transcription engine that can.
        slowest_speech, fastest_speech: rates that an engine may be asked for, over its natural one.
    """

    max_takes: int = 3
    batch_lines: int = 10
    neighbours: int = 2
    ready_lines: int = 240
    llm_concurrency: int = 0
    tts_concurrency: int = 0
    threads: int = 0
    dead_after: int = 6
    max_characters: int = 0
    hopeless: float = 1.0
    unlearned: float = 1.6
    word_error: float = 0.6
    slowest_speech: float = 0.8
    fastest_speech: float = 1.25
    window: WindowOptions = field(default_factory=WindowOptions)
    verdict: VerdictOptions = field(default_factory=VerdictOptions)
    placement: PlacementOptions = field(default_factory=PlacementOptions)

    def __post_init__(self) -> None:
        if self.max_takes < 1 or self.batch_lines < 1:
            raise ValueError("max_takes and batch_lines must be at least 1")


@dataclass(frozen=True, slots=True)
class ProductionOrder:
    """All that a production works from.

    Attributes:
        refs: speaker -> their golden voice reference.
        line_refs: index -> a clean sample of that very line, where it is long and clean enough.
        existing: target language -> index -> the line in a subtitle that already exists.
        edits: target language -> index -> a person's wording, spoken as it is.
        lengths: what the length model learned from earlier films, or None.
        phonemes: counts phonemes, where something can: lengths are predicted better.
        listener: writes down what takes say, where an engine can: a voice that says other words is
            found out. Loaded, like the other engines.
        force: make everything anew, whatever the journal holds.
        cancel: set by another thread to stop; what is finished is kept.
    """

    transcript: Transcript
    speakers: Mapping[str, SpeakerProfile]
    context: Context
    refs: Mapping[str, Path]
    targets: tuple[str, ...]
    work: WorkDir
    translator: Translator
    synthesizer: Synthesizer
    options: ProductionOptions = field(default_factory=ProductionOptions)
    line_refs: Mapping[int, Path] = field(default_factory=dict[int, Path])
    existing: Mapping[str, Mapping[int, str]] = field(default_factory=dict[str, Mapping[int, str]])
    edits: Mapping[str, Mapping[int, str]] = field(default_factory=dict[str, Mapping[int, str]])
    lengths: Mapping[str, Any] | None = None
    phonemes: PhonemeCount | None = None
    listener: TakeListener | None = None
    force: bool = False
    cancel: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class LineTask:
    """One line in one language.

    Attributes:
        ordinal: its place among the dubbed lines of the video.
        position: its place in the list of all lines of all languages.
        window: what it may fill, in samples of the clock.
        budget_s: seconds that its spoken translation should take.
        edit: a person's wording, or None.
        draft_key: digest of all that its translation depends on.
        line_key: digest of all that its takes depend on.
    """

    language: str
    ordinal: int
    position: int
    segment: Segment
    window: Window
    budget_s: float
    to_draft: LineToDraft
    voice: Voice
    edit: str | None
    draft_key: str
    line_key: str

    @property
    def index(self) -> int:
        """The segment's index."""
        return self.segment.index

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"line {self.index} ({self.language})"


def line_tasks(order: ProductionOrder) -> tuple[LineTask, ...]:
    """Unify all lines of all languages into one list, by position in the film, then by language."""
    transcript = order.transcript
    film = Span(0, transcript.samples)
    found = windows(transcript.segments, film, transcript.rate, order.options.window)
    shelf = RefShelf(order.refs, order.line_refs)
    tasks: list[LineTask] = []
    for ordinal, (segment, window) in enumerate(zip(transcript.lines, found, strict=True)):
        for rank, language in enumerate(order.targets):
            place = (ordinal, ordinal * len(order.targets) + rank)
            voice = cast(segment, order.speakers, shelf)
            tasks.append(_task(order, language, place, window, voice))
        shelf.pass_line(segment)
    return tuple(tasks)


def _task(
    order: ProductionOrder,
    language: str,
    place: tuple[int, int],
    window: Window,
    voice: Voice,
) -> LineTask:
    ordinal, position = place
    rate = order.transcript.rate
    segment = order.transcript.lines[ordinal]
    to_draft = _to_draft(order, language, ordinal, window.budget_s(rate))
    edit = order.edits.get(language, {}).get(segment.index)
    draft_key = digest("edit", edit) if edit else draft_digest(order, language, to_draft)
    return LineTask(
        language=language,
        ordinal=ordinal,
        position=position,
        segment=segment,
        window=window,
        budget_s=to_draft.budget_s,
        to_draft=to_draft,
        voice=voice,
        edit=edit,
        draft_key=draft_key,
        line_key=digest(
            CODE_VERSION,
            draft_key,
            [to_seconds(at, rate) for at in (window.reach.start, window.reach.end, window.budget)],
            voice_digest(voice, language),
            order.synthesizer.identity(),
            [order.options.max_takes, order.options.max_characters, repr(order.options.verdict)],
            _ears(order, language),
        ),
    )


def _ears(order: ProductionOrder, language: str) -> list[object]:
    """Who listens to takes of the language, and how strictly; nothing where nobody does."""
    listener = order.listener
    if listener is None or not listener.hears(language):
        return []
    return [listener.identity(), order.options.word_error]


def _to_draft(order: ProductionOrder, language: str, ordinal: int, budget_s: float) -> LineToDraft:
    lines, reach = order.transcript.lines, order.options.neighbours
    return LineToDraft(
        segment=lines[ordinal],
        budget_s=budget_s,
        previous=tuple(line.text for line in lines[max(0, ordinal - reach) : ordinal]),
        following=tuple(line.text for line in lines[ordinal + 1 : ordinal + 1 + reach]),
        existing=order.existing.get(language, {}).get(lines[ordinal].index),
    )


def draft_digest(order: ProductionOrder, language: str, line: LineToDraft) -> str:
    """Digest of all that a line's translation depends on and that somebody would redo it for.

    Its neighbours and the synopsis only lend it sense: a change in them does not redo it, or one
    edited line would redo the whole film.
    """
    return digest(
        order.translator.identity(),
        [order.transcript.language, language],
        [line.segment.text, line.segment.speaker, round(line.budget_s, 2), line.existing],
        [
            [t.source, t.translations.get(language), t.pronunciations.get(language)]
            for t in terms_in(line.segment.text, order.context)
        ],
        order.context.style_guides.get(language),
        [
            [told.to, told.form]
            for told in order.context.addresses.get(language, ())
            if told.speaker == line.segment.speaker
        ],
    )


def voice_digest(voice: Voice, language: str) -> str:
    """Digest of who speaks: the profile's voice and what shapes it, and the reference's content."""
    profile = voice.profile
    ref = _content(voice.ref, voice.ref.stat().st_mtime_ns) if voice.ref else None
    return digest(
        [voice.speaker, profile.voices.get(language), profile.gender, profile.age_group],
        [profile.style, profile.pitch_hz and round(profile.pitch_hz, 1), ref, voice.ref_text],
    )


@functools.lru_cache(maxsize=256)
def _content(path: Path, _mtime_ns: int) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
