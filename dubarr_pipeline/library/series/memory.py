"""The memory of a series' cast: ``cast.json``, replaced whole under a lock, and its references.

It lies in ``.cast/{series}`` of the work folder. What the machine found stands in `episodes` and
`characters`; what people said is a list of facts that is only added to (`corrections`). A
character's voice print is no fact of its own: it is the mean of the speakers that are theirs, so
that a correction puts both characters right.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from dubarr_pipeline.files import named_disk_errors, write_json
from dubarr_pipeline.library.series.names import CAST_FILE, CASTS
from dubarr_pipeline.library.videos import read_record
from dubarr_pipeline.script.model import Term
from dubarr_pipeline.script.speakers.characters import Outcome
from dubarr_pipeline.script.speakers.series_prints import VoicePrint

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Appearance:
    """A speaker in one episode.

    Attributes:
        outcome, distance, next_distance, why: of the match, as in `CharacterMatch`.
        character: whose they are by the machine; None if that is not sure.
        proposed: whose they may be.
        name, gender: as that film has them.
        sample_score: how good that film's sample of them is, 0 to 3; None without one.
        spoken_with: file of the reference that a cloning engine followed for them; empty: none.
    """

    outcome: Outcome
    character: str | None = None
    proposed: str | None = None
    distance: float | None = None
    next_distance: float | None = None
    why: str = ""
    name: str | None = None
    gender: str | None = None
    prints: Mapping[str, VoicePrint] = field(default_factory=dict[str, VoicePrint])
    sample_score: float | None = None
    spoken_with: str = ""


@dataclass(frozen=True, slots=True)
class Episode:
    """A film of the series.

    Attributes:
        title: stem of its file.
        heard: digest of the diarization that its speakers are of.
        since: number of the last correction that was known when it was entered; those count in it.
        asked: number of the last correction that a person wants in it.
        terms: of the series' glossary, as they were when it was entered.
        was_finished: it had voices of its own when it was entered, which stay.
    """

    title: str
    heard: str
    since: int
    asked: int
    speakers: Mapping[str, Appearance]
    terms: tuple[Term, ...] = ()
    was_finished: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """A character's best sample.

    Attributes:
        file: its name in the folder ``refs``, by its content.
        episode, speaker: where they were heard.
    """

    file: str
    episode: str
    speaker: str
    score: float


@dataclass(frozen=True, slots=True)
class Character:
    """A person of the series.

    Attributes:
        name, gender, age_group, pitch_hz: as the first film that they are in has them.
        voices: engine -> target language -> the voice that speaks for them.
    """

    name: str | None = None
    gender: str | None = None
    age_group: str | None = None
    pitch_hz: float | None = None
    voices: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    reference: Reference | None = None


CastField = Literal["character", "name", "voice", "rendering", "pronunciation"]


@dataclass(frozen=True, slots=True)
class CastFact:
    """A person's correction.

    Attributes:
        revision: its number, from 1.
        at: ISO 8601, UTC.
        target: ``{episode}/{speaker}`` for `character`, a character for `name` and `voice`, else a
            term of the glossary.
        value: None: as the machine has it, again.
        language: of a voice, a rendering or a pronunciation; else empty.
        engine: whose voice it is; else empty.
    """

    revision: int
    at: str
    by: str
    target: str
    field: CastField
    value: str | None
    language: str = ""
    engine: str = ""


@dataclass(frozen=True, slots=True)
class CastMemory:
    """All that is known of a series' cast."""

    series: str
    title: str
    characters: Mapping[str, Character] = field(default_factory=dict[str, Character])
    episodes: Mapping[str, Episode] = field(default_factory=dict[str, Episode])
    glossary: tuple[Term, ...] = ()
    facts: tuple[CastFact, ...] = ()

    @property
    def revision(self) -> int:
        """Number of the last correction; 0 without any."""
        return self.facts[-1].revision if self.facts else 0


_MEMORY = TypeAdapter(CastMemory)


@dataclass(frozen=True, slots=True)
class SeriesFolder:
    """The folder of a series' memory."""

    root: Path

    @classmethod
    def of(cls, series: str, work_dir: Path) -> SeriesFolder:
        """Return a series' folder, which need not exist."""
        return cls(work_dir / CASTS / series)

    @property
    def cast(self) -> Path:
        """The file of the memory."""
        return self.root / CAST_FILE

    @property
    def references(self) -> Path:
        """The folder of the references."""
        return self.root / "refs"

    def read(self) -> CastMemory | None:
        """Return the memory; None if there is none. Raises `ArtifactError` if it is damaged."""
        return read_record(self.cast, _MEMORY) if self.cast.is_file() else None

    def write(self, memory: CastMemory) -> None:
        """Write the memory whole. The caller holds the lock."""
        if memory != self.read():
            write_json(self.cast, asdict(memory), SCHEMA)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Lock the memory; another process or thread waits. The lock ends with the process.

        Within `taking_turns` other machines wait as well.
        """
        with named_disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            handle = (self.root / ".lock").open("w")
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            with _turn.get()():
                yield


Turn = Callable[[], contextlib.AbstractContextManager[None]]
_turn: ContextVar[Turn] = ContextVar("dubarr_turn", default=contextlib.nullcontext)


@contextlib.contextmanager
def taking_turns(turn: Turn) -> Iterator[None]:
    """Have every change of a memory in this context made within a `turn` among machines."""
    token = _turn.set(turn)
    try:
        yield
    finally:
        _turn.reset(token)


def remembered(work_dir: Path) -> list[str]:
    """Return the keys of all series that have a memory, in order."""
    return sorted(path.parent.name for path in (work_dir / CASTS).glob(f"*/{CAST_FILE}"))
