"""What is said, by whom and when: the values that travel from stage to stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dubarr_pipeline.timeline.spans import Span

Kind = Literal["speech", "song", "foreign", "nonverbal"]
"""Only ``speech`` is dubbed; the others stay as in the original, and are counted."""
WordSource = Literal["asr", "subtitles"]


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle as it stands in the file: times, text with its line breaks, no markup."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One speaker's unbroken stretch. Turns of different speakers may overlap."""

    span: Span
    speaker: str
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Word:
    """A timed token of the transcript; `probability` is the engine's own, 0 to 1."""

    span: Span
    text: str
    probability: float = 1.0


@dataclass(frozen=True, slots=True)
class Segment:
    """One line by one speaker: the unit that is translated, spoken and placed."""

    index: int
    span: Span
    speaker: str
    text: str
    kind: Kind = "speech"
    words: tuple[Word, ...] = ()
    confidence: float = 1.0
    source: WordSource = "subtitles"


@dataclass(frozen=True, slots=True)
class Transcript:
    """All segments of a video in order of their starts, on the clock of `rate` Hz."""

    rate: int
    samples: int
    language: str
    segments: tuple[Segment, ...]

    @property
    def lines(self) -> tuple[Segment, ...]:
        """The segments that are dubbed."""
        return tuple(s for s in self.segments if s.kind == "speech")


@dataclass(frozen=True, slots=True)
class Diarization:
    """Who speaks when, and the names by which the subtitles call them, where they do."""

    rate: int
    turns: tuple[Turn, ...]
    names: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers in order of their ids."""
        return tuple(sorted({turn.speaker for turn in self.turns}))


@dataclass(frozen=True, slots=True)
class SpeakerProfile:
    """What is known of a speaker. A guess (gender from pitch) carries how it was come by.

    Attributes:
        pitch_hz: median fundamental frequency of their speech, or None if unmeasured.
        voices: target language -> the name of the voice that speaks for them, chosen by a person.
    """

    speaker: str
    name: str | None = None
    gender: str | None = None
    gender_basis: str | None = None
    age_group: str | None = None
    role: str | None = None
    style: str | None = None
    pitch_hz: float | None = None
    level_lufs: float | None = None
    voices: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Term:
    """A glossary entry. Without a translation for a language, the term stays as it is."""

    source: str
    kind: str
    translations: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Context:
    """What the whole script is about."""

    synopsis: str
    tone: str
    relationships: tuple[str, ...] = ()
    glossary: tuple[Term, ...] = ()
    style_guides: Mapping[str, str] = field(default_factory=dict[str, str])
