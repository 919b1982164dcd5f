"""Documents on the cast of a film and of a series, as `answers`."""

from __future__ import annotations

from dataclasses import dataclass, field

from dubarr_pipeline.library.series.corrections import CastCorrection


@dataclass(frozen=True, slots=True)
class CastMember:
    """A character with a few lines, and the voices in which they may speak."""

    id: str
    name: str | None
    gender: str | None
    lines: int
    spoken_s: float
    voices: dict[str, str]
    sample_lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CastAnswer:
    """Cast of a film: its characters, and the voices to choose from, by language."""

    speakers: tuple[CastMember, ...]
    voices: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class CastChange:
    """Name and voices that a character is to have; an empty one is the machine's again."""

    id: str
    name: str | None = None
    voices: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class CastWish:
    """Changes of the cast, and their author."""

    by: str
    speakers: tuple[CastChange, ...]


@dataclass(frozen=True, slots=True)
class SeriesCharacter:
    """A character of a series: `voices` by language, and the number of films that they are in."""

    id: str
    name: str | None
    gender: str | None
    voices: dict[str, str]
    films: int


@dataclass(frozen=True, slots=True)
class UnsureAnswer:
    """A speaker of a film who is kept apart until a person says who they are.

    Attributes:
        proposed: id of the character that they may be.
    """

    film: str
    speaker: str
    proposed: str | None
    why: str


@dataclass(frozen=True, slots=True)
class SeriesAnswer:
    """Memory of a series' cast.

    Attributes:
        revision: number of its last correction.
        films: key -> title.
        to_respeak: keys of the films in which corrections do not count yet.
    """

    key: str
    title: str
    revision: int
    characters: tuple[SeriesCharacter, ...]
    unsure: tuple[UnsureAnswer, ...]
    films: dict[str, str]
    to_respeak: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SeriesWish:
    """Corrections of a series' cast, all or none, and their author."""

    by: str
    corrections: tuple[CastCorrection, ...]
