"""Documents that the review server sends and takes; `openapi` publishes them as schemas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from dubarr_pipeline.library.gate import GateState

PictureKind = Literal["source", "proxy", "none"]
Badge = Literal["edited", "stale", "locked", "orphaned"]


@dataclass(frozen=True, slots=True)
class ListedFilm:
    """A film in the list; `state` is its status in the task table."""

    key: str
    title: str
    state: str
    languages: tuple[str, ...]
    held: bool = False


@dataclass(frozen=True, slots=True)
class FilmList:
    """All films of the work folder, by key."""

    films: tuple[ListedFilm, ...]


@dataclass(frozen=True, slots=True)
class LineTally:
    """Lines of a language by outcome, and by what a person did to them."""

    lines: int = 0
    placed: int = 0
    failed: int = 0
    kept_original: int = 0
    flagged: int = 0
    edited: int = 0
    locked: int = 0
    orphaned: int = 0


@dataclass(frozen=True, slots=True)
class OrphanAnswer:
    """Edits whose line was not found again: applied nowhere until a person says where they go.

    Attributes:
        facts: ids of the facts.
        anchor: the line as it was when they were made.
        candidate: id of the line that they may belong to, or None.
    """

    facts: tuple[str, ...]
    reason: str
    anchor: dict[str, Any] | None
    candidate: str | None


@dataclass(frozen=True, slots=True)
class LanguageAnswer:
    """A target language of a film.

    Attributes:
        revision: of its edits.
        output_revision: of the edits that the finished track was made from.
        stale: whether the track is older than the edits, those of the source's script included.
    """

    language: str
    revision: int
    output_revision: int
    stale: bool
    counts: LineTally
    orphans: tuple[OrphanAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class SpeakerAnswer:
    """A speaker: `colour` is a number from 0, `voices` are those of the cast, by language."""

    id: str
    name: str | None
    colour: int
    gender: str | None
    voices: dict[str, str]
    lines: int


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """State of the gate before publishing, why, and who decided what, when and why.

    Attributes:
        result: a mark of the finished result that was judged.
    """

    state: GateState = "unknown"
    reasons: tuple[str, ...] = ()
    note: str = ""
    result: str = ""


@dataclass(frozen=True, slots=True)
class PictureAnswer:
    """The picture that is served.

    Attributes:
        kind: the source itself, a proxy (made at the first request), or none.
        offset_s: time in the picture of the sound's second 0.
    """

    kind: PictureKind
    offset_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FilmAnswer:
    """A film: its languages, speakers, gate and picture; what is not made yet is empty.

    Attributes:
        series: key of the series whose memory has its cast, or None.
    """

    key: str
    title: str
    duration_s: float
    source_language: str | None
    languages: tuple[LanguageAnswer, ...]
    source_revision: int
    speakers: tuple[SpeakerAnswer, ...]
    gate: GateAnswer
    running: bool
    picture: PictureAnswer
    series: str | None = None


@dataclass(frozen=True, slots=True)
class FitAnswer:
    """A line's length: what it may last, and what its chosen take lasts.

    Attributes:
        budget_s, predicted_s, measured_s: seconds of speech: wished, expected, and of the take.
        tempo: playback ratio of the placed take.
        start, length: place of the take on the clock, in seconds; None unless placed.
    """

    budget_s: float
    predicted_s: float
    measured_s: float | None
    tempo: float | None
    start: float | None
    length: float | None


@dataclass(frozen=True, slots=True)
class TakeRow:
    """A rendering of a line; `id` is the digest of its sound."""

    id: str
    text: str
    duration_s: float
    verdict: str
    chosen: bool
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LineRow:
    """A line in one language.

    Attributes:
        id: lasting id, by which edits name it.
        index: its number in the script.
        start, end: of the original, in seconds of the clock.
        kind: ``speech``, or what is not dubbed: ``song``, ``foreign``, ``nonverbal``.
        original: the words in the film's language, corrected.
        text: the dubbed words as they were last made; a newer wish stands in `edits`.
        outcome: ``placed``, ``kept_original``, ``failed:NAME``; empty: not made yet.
        why: reason in words; empty where there is none.
        edits: what a person wishes, by field.
    """

    id: str
    index: int
    start: float
    end: float
    speaker: str
    kind: str
    original: str
    text: str
    outcome: str
    why: str
    flags: tuple[str, ...]
    fit: FitAnswer | None
    takes: tuple[TakeRow, ...]
    edits: dict[str, Any]
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class LinesAnswer:
    """Lines of a language, by start; `total` counts all that pass the filter."""

    total: int
    revision: int
    source_revision: int
    lines: tuple[LineRow, ...]


@dataclass(frozen=True, slots=True)
class EditsAnswer:
    """Edits of a language: every fact, in the order in which they were added."""

    revision: int
    facts: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class ProposedEdits:
    """Facts to add, all or none.

    Attributes:
        revision, source_revision: of the edits that the person saw.
        by: the author's name.
        facts: each with id, target, target_id, field, value, and undoes where it undoes one.
    """

    revision: int
    by: str
    facts: tuple[dict[str, Any], ...]
    source_revision: int | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """Revision after the facts were added."""

    revision: int


@dataclass(frozen=True, slots=True)
class NamedError:
    """Fault of one fact or row: its id, and the reason."""

    id: str
    message: str


@dataclass(frozen=True, slots=True)
class NamedErrors:
    """Faults for which nothing was taken."""

    errors: tuple[NamedError, ...]


@dataclass(frozen=True, slots=True)
class TryWish:
    """A line to speak at once: in a language, with a person's wishes in place of the edits'."""

    lang: str
    text: str | None = None
    voice: str | None = None
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class TryAnswer:
    """A line that was spoken to be heard.

    Attributes:
        sound: address of the line among its neighbours.
        failure: name of the reason why it would not be placed; empty if it would.
        refused: edits that cannot be had, and why.
    """

    take: TakeRow
    sound: str
    failure: str = ""
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GateWish:
    """A person's decision on publishing, with a note, and their name.

    Attributes:
        result: the mark of what they have seen; an approval of another result is refused.
    """

    action: Literal["approve", "hold"]
    note: str = ""
    by: str = ""
    result: str = ""


@dataclass(frozen=True, slots=True)
class ImportAnswer:
    """Facts that a sheet holds.

    Attributes:
        facts: their number.
        revision: of the edits with them.
        locked: ids of lines that it would change, and that stay as they are.
    """

    facts: int
    revision: int
    locked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Making:
    """Progress of what is being made, from 0 to 1."""

    progress: float


@dataclass(frozen=True, slots=True)
class RefusalAnswer:
    """Reason why a request was refused, for people."""

    error: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """Something that was accepted, and goes on by itself."""

    accepted: bool = field(default=True)
