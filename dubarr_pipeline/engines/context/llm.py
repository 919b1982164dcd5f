"""Script analysis by a language model: story, people, and their manner of speaking.

The script is read part by part, and the notes on its parts are condensed into digests of digests.
Pitch, level and pace, which a model would have to guess, are measured as in `plain`; where the
model gives no answer, plain's facts are used, and the context says so under `gaps`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from dubarr_pipeline.engines.context import prompts
from dubarr_pipeline.engines.context.asking import Answers, Interview
from dubarr_pipeline.engines.context.briefs import BriefWriter
from dubarr_pipeline.engines.context.counting import find_terms
from dubarr_pipeline.engines.context.plain import PlainScriptAnalyzer
from dubarr_pipeline.engines.context.replies import (
    Digest,
    PartNotes,
    PersonNote,
    completed,
    digest_of,
    joined,
    merged_relations,
    merged_terms,
)
from dubarr_pipeline.engines.interfaces import AudioReader, ScriptAnalysis, ScriptAnalyzer
from dubarr_pipeline.engines.llm_engine import LanguageModelEngine
from dubarr_pipeline.errors import ContextTooLong
from dubarr_pipeline.progress import OnProgress, Progress, ignore_progress
from dubarr_pipeline.script.edits import judge_edit
from dubarr_pipeline.script.model import (
    Context,
    Diarization,
    LanguageBrief,
    ScriptEdit,
    Segment,
    SpeakerProfile,
    Transcript,
)
from dubarr_pipeline.services.http_client import ChatMessage, Host
from dubarr_pipeline.services.llm_client import LanguageModelOptions

_log = logging.getLogger(__name__)

_BEFORE = 3
"""Segments of the previous part that are shown for context."""
_MARGIN = 64
"""Tokens that a chat template puts around the messages."""


@dataclass(frozen=True, slots=True)
class LLMAnalyzerOptions(LanguageModelOptions):
    """Language model that analyzes the script: section ``[llm]``, with these exceptions.

    Attributes:
        temperature: 0: always the likeliest answer.
        part_tokens: longest question; shorter parts are read more closely. The model's window
            (`context_tokens` less `max_tokens`) limits it in any case.
        answers: replies to request until one is right.
    """

    inherits: ClassVar[str] = "llm"
    """Settings section for values that are not set."""
    temperature: float = 0.0
    part_tokens: int = 6000
    answers: int = 3

    @property
    def question_tokens(self) -> int:
        """Longest question: the window without the longest answer."""
        return self.context_tokens - self.max_tokens


class LLMScriptAnalyzer(LanguageModelEngine[LLMAnalyzerOptions], ScriptAnalyzer):
    """Analyzes the script with a language model, and measures voices as `plain` does."""

    name: ClassVar[str] = "llm"
    briefs: ClassVar[bool] = True

    def __init__(
        self,
        options: LLMAnalyzerOptions | None = None,
        logs: Path | None = None,
        host: Host | None = None,
    ) -> None:
        super().__init__(options or LLMAnalyzerOptions(), logs, host)
        self._plain = PlainScriptAnalyzer()

    def identity(self) -> str:
        options = self.options
        part = f"{options.identity()} in {min(options.part_tokens, options.question_tokens)} tokens"
        return f"{self.name}/{prompts.VERSION} {part}, {self._plain.identity()}"

    def read(
        self,
        transcript: Transcript,
        diarization: Diarization,
        vocals: AudioReader,
        on_progress: OnProgress = ignore_progress,
        memory: Path | None = None,
    ) -> ScriptAnalysis:
        plain = self._plain.read(transcript, diarization, vocals)
        answers = Answers(memory, self.identity())
        options = self.options
        interview = Interview(self._llm, answers, options.answers)
        most = min(options.part_tokens, options.question_tokens)
        reader = MapReduce(interview, most, options.concurrency)
        parts = reader.read(transcript.segments, on_progress)
        speakers = frozenset(profile.speaker for profile in plain.speakers)
        digest = reader.reduce(parts, speakers)
        gaps = (*(gap for part in parts for gap in part.gaps), *reader.gaps)
        context = _context(transcript, diarization, plain, (parts, digest, gaps))
        answers.sweep()
        people = {note.speaker: note for note in digest.people} if digest else {}
        profiles = tuple(_profile(p, people.get(p.speaker)) for p in plain.speakers)
        on_progress(Progress(1, 1, f"{len(parts)} parts read"))
        counts = (len(context.glossary), len(context.edits), len(context.gaps))
        _log.info("%d parts, %d terms, %d corrections, %d gaps", len(parts), *counts)
        return ScriptAnalysis(context, profiles, self.usage())

    def brief(
        self, reading: ScriptAnalysis, source: str, target: str, memory: Path | None = None
    ) -> LanguageBrief:
        answers = Answers(memory, self.identity())
        interview = Interview(self._llm, answers, self.options.answers)
        writer = BriefWriter(interview, self.options.question_tokens, (source, target))
        brief = writer.write(reading)
        answers.sweep()
        return brief


def _context(
    transcript: Transcript,
    diarization: Diarization,
    plain: ScriptAnalysis,
    analysis: tuple[Sequence[PartRead], Digest | None, tuple[str, ...]],
) -> Context:
    """Return the context from the model's notes, with plain's facts where there are none."""
    parts, digest, gaps = analysis
    if digest is None:
        gaps = gaps or ("there is nothing to read",)
        return replace(plain.context, gaps=gaps if transcript.segments else ())
    notes = [part.notes for part in parts if part.notes]
    script = " ".join(segment.text for segment in transcript.segments)
    terms, stray = merged_terms(notes, diarization.names, script)
    relations = merged_relations(notes, frozenset(s.speaker for s in plain.speakers))
    if stray:
        _log.info("noted as terms, but not in the script: %s", ", ".join(stray))
    unread = tuple(s for part in parts if part.notes is None for s in part.segments)
    counted = find_terms(replace(transcript, segments=unread))
    return replace(
        plain.context,
        synopsis=digest.synopsis,
        tone=digest.tone,
        relationships=tuple(f"{r.speaker} to {r.to}: {r.relation}" for r in relations)
        or plain.context.relationships,
        relations=relations,
        glossary=tuple({term.source: term for term in (*counted, *terms)}.values()),
        edits=_edits(parts),
        gaps=gaps,
    )


def _edits(parts: Sequence[PartRead]) -> tuple[ScriptEdit, ...]:
    """Return the proposed corrections that name a line of their part and change it."""
    edits: list[ScriptEdit] = []
    for part in parts:
        lines = {segment.index: segment for segment in part.segments}
        for note in part.notes.edits if part.notes else ():
            segment = lines.get(note.id)
            if segment is None:
                _log.warning("a correction of line %d, which is not in its part", note.id)
            elif " ".join(note.text.split()) != " ".join(segment.text.split()):
                sure = note.confidence == "high"
                edits.append(judge_edit(segment, note.text, note.reason, sure=sure))
    return tuple(edits)


def _profile(plain: SpeakerProfile, note: PersonNote | None) -> SpeakerProfile:
    """Return a speaker's measured profile, completed by the model's notes."""
    if note is None:
        return plain
    facts: Mapping[str, str | None] = {
        "name": plain.name or note.name,
        "age_group": plain.age_group if note.age_group == "unknown" else note.age_group,
        "role": note.role or plain.role,
        "style": "; ".join(text for text in (note.style, plain.style) if text) or None,
    }
    if note.gender != "unknown":
        heard = f"; {plain.gender_basis}: {plain.gender}" if plain.gender else ""
        facts = {**facts, "gender": note.gender, "gender_basis": f"read in the script{heard}"}
    return replace(plain, **facts)


@dataclass(frozen=True, slots=True)
class PartRead:
    """A part of the script with the model's notes, or the reason for their absence."""

    segments: tuple[Segment, ...]
    notes: PartNotes | None
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MapReduce:
    """Reads a script with a model of a smaller window, part by part."""

    interview: Interview
    question_tokens: int
    concurrency: int = 1
    gaps: list[str] = field(default_factory=list[str])

    def read(self, segments: Sequence[Segment], on_progress: OnProgress) -> tuple[PartRead, ...]:
        """Return notes on every part, in order; each segment is in exactly one of them."""
        parts = prompts.script_parts(segments, self._room())
        befores = [parts[at - 1][-_BEFORE:] if at else () for at in range(len(parts))]
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="reader")
        try:
            futures = [
                pool.submit(self._part, part, before, 1)
                for part, before in zip(parts, befores, strict=True)
            ]
            for done, part in enumerate(as_completed(futures), start=1):
                part.result()  # the first that fails ends the reading
                note = f"part {done} of {len(futures)} read"
                on_progress(Progress(done, len(futures) + 1, note))
            return tuple(read for part in futures for read in part.result())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _room(self) -> int:
        """Return the tokens that instructions and context leave to the lines of a part."""
        taken = _tokens(prompts.part_messages([], ())) + _MARGIN + _BEFORE * 140
        return max(1, self.question_tokens - taken)

    def _part(
        self, segments: tuple[Segment, ...], before: Sequence[Segment], splits: int
    ) -> tuple[PartRead, ...]:
        """Ask for notes on a part, or on its halves if there is no answer."""
        lines = [prompts.script_line(segment) for segment in segments]
        clipped = [prompts.clip_tokens(line, self._room()) for line in lines]
        gaps = tuple(
            f"line {s.index} is longer than the model's window: only its beginning was read"
            for s, line, short in zip(segments, lines, clipped, strict=True)
            if len(short) < len(line)
        )
        try:
            messages = prompts.part_messages(clipped, before)
            notes = self.interview.ask(messages, PartNotes, priority=segments[0].index)
        except ContextTooLong as error:
            notes, splits = str(error), max(splits, 1)
        if isinstance(notes, PartNotes):
            return (PartRead(segments, notes, gaps),)
        if len(segments) == 1 or not splits:
            return (PartRead(segments, None, (f"{_lines(segments)} not read: {notes}",)),)
        _log.warning("%s: %s; asked for in two halves", _lines(segments), notes)
        half = len(segments) // 2
        first = self._part(segments[:half], before, splits - 1)
        return (*first, *self._part(segments[half:], segments[:half][-_BEFORE:], splits - 1))

    def reduce(self, parts: Sequence[PartRead], speakers: frozenset[str]) -> Digest | None:
        """Condense the notes of all parts into one digest, level by level; None without notes.

        People whom a model leaves out are put back; without its answer the digests are joined.
        """
        digests = [digest_of(part.notes, speakers) for part in parts if part.notes]
        room = max(1, self.question_tokens - _tokens(prompts.reduce_messages([])) - _MARGIN)
        while len(digests) > 1:
            groups = list(prompts.cut(digests, prompts.digest_tokens, room))
            if len(groups) == len(digests):
                groups = list(prompts.cut(digests, lambda _: 1, 2))
            digests = [self._reduced(group) if group[1:] else group[0] for group in groups]
        return digests[0] if digests else None

    def _reduced(self, group: Sequence[Digest]) -> Digest:
        try:
            answer = self.interview.ask(prompts.reduce_messages(group), Digest)
        except ContextTooLong as error:
            answer = str(error)
        if isinstance(answer, Digest):
            return completed(answer, group)
        self.gaps.append(f"the synopses of {len(group)} parts are joined, not condensed: {answer}")
        return joined(group)


def _lines(segments: Sequence[Segment]) -> str:
    first, last = segments[0].index, segments[-1].index
    return f"line {first}" if first == last else f"lines {first}-{last}"


def _tokens(messages: Sequence[ChatMessage]) -> int:
    return sum(prompts.estimate_tokens(message.content) for message in messages)
