"""Facts that people state about a film, and what each of them may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from dubarr_pipeline.errors import RequestRefused
from dubarr_pipeline.script.model import Segment, Transcript

Target = Literal["line", "speaker", "term", "film"]
TARGETS: tuple[Target, ...] = ("line", "speaker", "term", "film")
Json = Any
"""A value as JSON has it."""

LONGEST_TEXT = 4000
"""Letters of a text: what subtitles may have."""
MOST_POSTED = 500
"""Facts in one request."""

_ANY = r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*"
_WORDS = rf"^{_ANY}[^\s\x00-\x1f\x7f]{_ANY}$"
"""Something to read, without control characters but tabs and ends of lines."""
Words = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_TEXT, pattern=_WORDS, strict=True)
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_WORDS, strict=True)]
TakeId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8,64}$", strict=True)]
Clock = Annotated[float, Field(ge=0, le=864_000, allow_inf_nan=False, strict=True)]
"""Seconds on the clock of the film's sound."""
Tempo = Annotated[float, Field(ge=0.5, le=2, allow_inf_nan=False, strict=True)]
GainDb = Annotated[float, Field(ge=-12, le=12, allow_inf_nan=False, strict=True)]
Yes = Annotated[bool, Field(strict=True)]


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LockValue(_Value):
    """A line as it is to stay: its wording and take, by which it survives reruns."""

    text: Words | None = None
    take: TakeId | None = None


class SplitValue(_Value):
    """Cut of a line in two: where on the clock, and the words of either piece."""

    at_s: Clock
    texts: Annotated[list[Words], Field(min_length=2, max_length=2)]


class MergeValue(_Value):
    """Others (ids of lines, or of speakers) that become one with the target."""

    others: Annotated[list[Name], Field(alias="with", min_length=1, max_length=8)]
    text: Words | None = None


class AddValue(_Value):
    """A line where the script has none."""

    start_s: Clock
    end_s: Clock
    text: Words
    speaker: Name


@dataclass(frozen=True, slots=True)
class FieldRule:
    """Rule of a field.

    Attributes:
        targets: what it may be said of.
        value: type of its value; null, the machine's own again, always goes.
        where: which language's file holds it: that of the ``source``, of a ``dub``, or ``any``.
        heard: whether it changes what is heard; else it changes the report alone.
    """

    targets: tuple[Target, ...]
    value: TypeAdapter[Any]
    where: Literal["source", "dub", "any"]
    heard: bool = True


FIELDS: Mapping[str, FieldRule] = {
    "text": FieldRule(("line",), TypeAdapter(Words), "any"),
    "take": FieldRule(("line",), TypeAdapter(TakeId), "dub"),
    "voice": FieldRule(("line", "speaker"), TypeAdapter(Name), "dub"),
    "speaker": FieldRule(("line",), TypeAdapter(Name), "source"),
    "name": FieldRule(("speaker",), TypeAdapter(Name), "source", heard=False),
    "start_s": FieldRule(("line",), TypeAdapter(Clock), "dub"),
    "tempo": FieldRule(("line",), TypeAdapter(Tempo), "dub"),
    "gain_db": FieldRule(("line",), TypeAdapter(GainDb), "dub"),
    "keep_original": FieldRule(("line",), TypeAdapter(Yes), "dub"),
    "locked": FieldRule(("line",), TypeAdapter(Yes | LockValue), "any", heard=False),
    "comment": FieldRule(TARGETS, TypeAdapter(Words), "any", heard=False),
    "split": FieldRule(("line",), TypeAdapter(SplitValue), "source"),
    "merge": FieldRule(("line", "speaker"), TypeAdapter(MergeValue), "source"),
    "add": FieldRule(("film",), TypeAdapter(AddValue), "source"),
    "remove": FieldRule(("line",), TypeAdapter(Yes), "source"),
    "rendering": FieldRule(("term",), TypeAdapter(Words), "dub"),
    "pronunciation": FieldRule(("term",), TypeAdapter(Words), "dub"),
}
"""Every field, with what it may be said of and the type and bounds of its value."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A line as it was when a fact was stated about it; times in seconds.

    Attributes:
        before, after: words of the lines on either side; empty at the ends of the film.
    """

    start_s: Clock
    end_s: Clock
    text: str
    speaker: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class ProposedFact:
    """A fact before it is accepted.

    Attributes:
        id: a UUID of the client's: sent twice, it counts once.
        target_id: id of a line or a speaker, or the term itself; empty for the film.
        value: as the field's rule has it; None: the machine's own again.
        undoes: id of the fact that it takes back; one that takes back an undo is a redo.
    """

    id: str
    target: str
    target_id: str
    field: str
    value: Json = None
    undoes: str | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that a person has stated; it is never changed, only followed by others.

    Attributes:
        revision: of the document from which on it counts; facts stated together share one.
        at: when, ISO 8601 in UTC.
        by: who.
        anchor: the line that it is about, as it was then; None for other targets.
    """

    id: str
    revision: int
    at: str
    by: str
    target: Target
    target_id: str
    field: str
    value: Json = None
    anchor: Anchor | None = None
    undoes: str | None = None


@dataclass(frozen=True, slots=True)
class EditsDocument:
    """All facts of one language, in order of their revisions."""

    language: str
    revision: int = 0
    facts: tuple[Fact, ...] = ()

    def since(self, revision: int) -> tuple[Fact, ...]:
        """Return the facts that came after a revision."""
        return tuple(fact for fact in self.facts if fact.revision > revision)


@dataclass(frozen=True, slots=True)
class LineEdits:
    """Wishes of people for one line in one language; None and False: as the machine has it.

    Attributes:
        take: digest of the take that is placed.
        start_s: start on the clock of the film's sound, in seconds.
    """

    text: str | None = None
    take: str | None = None
    voice: str | None = None
    start_s: float | None = None
    tempo: float | None = None
    gain_db: float | None = None
    keep_original: bool = False
    locked: bool = False
    comment: str | None = None


OrphanReason = Literal["gone", "recut", "ambiguous"]


@dataclass(frozen=True, slots=True)
class Orphan:
    """Facts whose line (or speaker) was not found again: applied nowhere, and never dropped.

    Attributes:
        target_id: the id that they name.
        facts: ids of those that were in effect, in their order.
        reason: ``gone``: its words are not said any more; ``recut``: they are divided otherwise;
            ``ambiguous``: several places may be meant.
        candidate: id of the line that it most probably is, if one is well ahead.
    """

    target: Target
    target_id: str
    facts: tuple[str, ...]
    reason: OrphanReason
    anchor: Anchor | None = None
    candidate: str | None = None


@dataclass(frozen=True, slots=True)
class FilmEdits:
    """All edits of a film, put into its script.

    Attributes:
        script: source texts, speakers, splits, merges, additions and removals applied; a line that
            is left as it was keeps its index, a new piece has one above all of the machine's.
        ids: index of a line -> its lasting id.
        lines: language -> index of a line -> its edits; only lines that have any.
        renderings, pronunciations: language -> term -> words.
        voices: language -> speaker -> name of the voice.
        names: speaker -> name.
        merged: speaker -> the one whose lines theirs are now.
        removed: id -> the line that was taken out.
        orphans: language -> what was not found again.
    """

    script: Transcript
    ids: Mapping[int, str]
    lines: Mapping[str, Mapping[int, LineEdits]] = field(
        default_factory=dict[str, Mapping[int, LineEdits]]
    )
    renderings: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict[str, Mapping[str, str]]
    )
    pronunciations: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict[str, Mapping[str, str]]
    )
    voices: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    merged: Mapping[str, str] = field(default_factory=dict[str, str])
    removed: Mapping[str, Segment] = field(default_factory=dict[str, Segment])
    orphans: Mapping[str, tuple[Orphan, ...]] = field(default_factory=dict[str, tuple[Orphan, ...]])


class StaleRevision(RequestRefused):
    """Facts were stated on a revision that is no longer the newest.

    Attributes:
        revision, source_revision: of the documents as they are.
        facts: those that came since, of the language and then of the source.
    """

    def __init__(
        self, language: str, revision: int, source_revision: int, facts: tuple[Fact, ...]
    ) -> None:
        super().__init__(
            409,
            "stale_revision",
            f"the edits of {language!r} are at revision {revision} (source: {source_revision}): "
            f"see the {len(facts)} facts since, then state yours again",
        )
        self.revision, self.source_revision, self.facts = revision, source_revision, facts


@dataclass(frozen=True, slots=True)
class FactError:
    """Reason why a proposed fact is refused; `row` is that of a sheet, from 1 with its header."""

    id: str
    message: str
    row: int | None = None


class EditsRefused(RequestRefused):
    """Facts that cannot be: none of those stated with them is stored."""

    def __init__(self, errors: tuple[FactError, ...]) -> None:
        first = errors[0]
        place = f"row {first.row}: " if first.row else ""
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(422, "edits_refused", f"{place}{first.message}{more}")
        self.errors = errors
