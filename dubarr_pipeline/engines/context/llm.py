"""A language model reads the whole script: what it is about, who its people are, how they talk.

What a model cannot tell or would guess (pitch, level, pace) is measured as `plain` does it; where
the model gives no answer, plain's own facts stand, and the context says so under `gaps`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from dubarr_pipeline.engines.context.asking import Answers, Interview
from dubarr_pipeline.engines.context.briefs import BriefWriter
from dubarr_pipeline.engines.context.forms import Digest, PersonNote
from dubarr_pipeline.engines.context.map_reduce import MapReduce, PartRead
from dubarr_pipeline.engines.context.merging import merged_relations, merged_terms
from dubarr_pipeline.engines.context.plain import PlainScriptReader
from dubarr_pipeline.engines.context.prompts import VERSION
from dubarr_pipeline.engines.interfaces import (
    AudioReader,
    OnProgress,
    Progress,
    Reading,
    ScriptReader,
    ignore_progress,
)
from dubarr_pipeline.engines.language_model import LanguageModelEngine
from dubarr_pipeline.services.llm_process import LanguageModelOptions
from dubarr_pipeline.services.server import Host
from dubarr_pipeline.timeline.script import (
    Context,
    Diarization,
    LanguageBrief,
    ScriptEdit,
    SpeakerProfile,
    Term,
    Transcript,
)
from dubarr_pipeline.timeline.script_edits import judge_edit
from dubarr_pipeline.timeline.script_reading import find_terms

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LLMReaderOptions(LanguageModelOptions):
    """Which language model reads the script: that of section ``[llm]``, but for what is set here.

    Attributes:
        temperature: 0: always the likeliest answer.
        part_tokens: longest question; shorter parts are read more closely. The model's window
            (`context_tokens` less `max_tokens`) limits it in any case.
        answers: replies to ask for until one is right.
    """

    inherits: ClassVar[str] = "llm"
    """The settings section that fills what is not set."""
    temperature: float = 0.0
    part_tokens: int = 6000
    answers: int = 3

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        LanguageModelOptions.__post_init__(self)
        if self.part_tokens < 1 or self.answers < 1:
            raise ValueError("part_tokens and answers must be at least 1")

    @property
    def question_tokens(self) -> int:
        """What a question may hold at most: the window, less the longest answer."""
        return self.context_tokens - self.max_tokens


class LLMScriptReader(LanguageModelEngine[LLMReaderOptions], ScriptReader):
    """Reads through a language model; measures voices as `plain` does."""

    name: ClassVar[str] = "llm"
    briefs: ClassVar[bool] = True

    def __init__(
        self,
        options: LLMReaderOptions | None = None,
        logs: Path | None = None,
        host: Host | None = None,
    ) -> None:
        super().__init__(options or LLMReaderOptions(), logs, host)
        self._plain = PlainScriptReader()

    def identity(self) -> str:
        """Name, prompts, model and what steers it."""
        options = self.options
        cut = f"{min(options.part_tokens, options.question_tokens)} tokens"
        return f"{self.name}/{VERSION} {options.identity()} in {cut}, {self._plain.identity()}"

    def read(
        self,
        transcript: Transcript,
        diarization: Diarization,
        vocals: AudioReader,
        on_progress: OnProgress = ignore_progress,
        memory: Path | None = None,
    ) -> Reading:
        """Return the context, and a profile of every speaker of the diarization.

        Raises:
            ServiceTimeout, ServiceUnavailable: if the model's server does not answer; what was
                read until then is kept in `memory`.
        """
        plain = self._plain.read(transcript, diarization, vocals)
        answers = Answers(memory, self.identity())
        reader = self._map_reduce(answers)

        def tick(done: int, parts: int) -> None:
            on_progress(Progress(done, parts + 1, f"part {done} of {parts} read"))

        parts = reader.read(transcript.segments, tick)
        speakers = frozenset(profile.speaker for profile in plain.speakers)
        digest = reader.reduce(parts, speakers)
        gaps = (*(gap for part in parts for gap in part.gaps), *reader.gaps)
        context = _context(transcript, diarization, plain, (parts, digest, gaps))
        answers.sweep()
        people = {note.speaker: note for note in digest.people} if digest else {}
        profiles = tuple(_profile(p, people.get(p.speaker)) for p in plain.speakers)
        on_progress(Progress(1, 1, f"{len(parts)} parts read"))
        _log.info(
            "%d parts, %d terms, %d corrections, %d gaps",
            len(parts),
            len(context.glossary),
            len(context.edits),
            len(context.gaps),
        )
        return Reading(context, profiles, self.usage())

    def brief(
        self, reading: Reading, source: str, target: str, memory: Path | None = None
    ) -> LanguageBrief:
        """Say how to translate into one language: style, forms of address, glossary.

        Raises:
            ServiceTimeout, ServiceUnavailable: if the model's server does not answer.
        """
        answers = Answers(memory, self.identity())
        interview = Interview(self._llm, answers, self.options.answers)
        brief = BriefWriter(interview, self.options.question_tokens, (source, target)).write(
            reading
        )
        answers.sweep()
        return brief

    def _map_reduce(self, answers: Answers) -> MapReduce:
        options = self.options
        interview = Interview(self._llm, answers, options.answers)
        most = min(options.part_tokens, options.question_tokens)
        return MapReduce(interview, most, options.concurrency)


def _context(
    transcript: Transcript,
    diarization: Diarization,
    plain: Reading,
    found: tuple[Sequence[PartRead], Digest | None, tuple[str, ...]],
) -> Context:
    """What was read, with plain's facts wherever nothing was."""
    parts, digest, gaps = found
    if digest is None:
        gaps = gaps or ("there is nothing to read",)
        return replace(plain.context, gaps=gaps if transcript.segments else ())
    notes = [part.notes for part in parts if part.notes]
    script = " ".join(segment.text for segment in transcript.segments)
    terms, stray = merged_terms(notes, diarization.names, script)
    relations = merged_relations(notes, frozenset(s.speaker for s in plain.speakers))
    if stray:
        _log.info("noted as terms, but not in the script: %s", ", ".join(stray))
    return replace(
        plain.context,
        synopsis=digest.synopsis,
        tone=digest.tone,
        relationships=tuple(f"{r.speaker} to {r.to}: {r.relation}" for r in relations)
        or plain.context.relationships,
        relations=relations,
        glossary=_with_unread(terms, transcript, parts),
        edits=_edits(parts),
        gaps=gaps,
    )


def _with_unread(
    terms: tuple[Term, ...], transcript: Transcript, parts: Sequence[PartRead]
) -> tuple[Term, ...]:
    """The glossary, and what plain finds in the parts that the model did not read."""
    unread = tuple(s for part in parts if part.notes is None for s in part.segments)
    found = {term.source: term for term in find_terms(replace(transcript, segments=unread))}
    return tuple({**found, **{term.source: term for term in terms}}.values())


def _edits(parts: Sequence[PartRead]) -> tuple[ScriptEdit, ...]:
    """All proposed corrections that name a line of their part and change it."""
    found: list[ScriptEdit] = []
    for part in parts:
        lines = {segment.index: segment for segment in part.segments}
        for note in part.notes.edits if part.notes else ():
            segment = lines.get(note.id)
            if segment is None:
                _log.warning("a correction of line %d, which is not in its part", note.id)
            elif " ".join(note.text.split()) != " ".join(segment.text.split()):
                sure = note.confidence == "high"
                found.append(judge_edit(segment, note.text, note.reason, sure=sure))
    return tuple(found)


def _profile(plain: SpeakerProfile, note: PersonNote | None) -> SpeakerProfile:
    """What was measured of a speaker, with what the model read of them on top."""
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
