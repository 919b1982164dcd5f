"""Values of the script that travel from stage to stage: segments, speakers, context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from dubarr_pipeline.spans import Span

Kind = Literal["speech", "song", "foreign", "nonverbal"]
"""Only ``speech`` is dubbed; the others stay as in the original, and are counted."""
WordSource = Literal["asr", "subtitles"]


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
class ScriptLine:
    """Words of one person in the subtitles, on the clock, before they become a segment.

    Attributes:
        cue: index of the cue, as they were given.
        name: the speaker's name as the subtitle writes it, or None.
        new_speaker: True if a dash, a chevron or a name marks a change of speaker.
        supported: True if there is speech under it; if not, the times are the subtitle's own.
        speaker: id of the speaker; empty until it is attributed, and for descriptions.
        confidence: of the speaker and the times, 0 to 1.
    """

    cue: int
    span: Span
    text: str
    kind: Kind = "speech"
    name: str | None = None
    new_speaker: bool = False
    supported: bool = True
    speaker: str = ""
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class WordEdit:
    """Words that were put right against what the recogniser heard, and by what."""

    span: Span
    heard: str
    written: str
    source: WordSource = "subtitles"


@dataclass(frozen=True, slots=True)
class DroppedCue:
    """A cue of the script that is not spoken, and why, in words; it may lie outside the film."""

    span: Span
    text: str
    reason: str


_CERTAIN = 0.5
"""Certainty of a language from which it is no guess: English was once Greek at 0.24."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """All segments of a video in order of their starts, on the clock of `rate` Hz.

    Attributes:
        edits: what the segments' words were before they were put right.
        dropped: words that were heard but not believed, by reason.
        left_out: the script's cues that became no segment.
        language_certainty: share (0-1) of the votes for the language, by a recogniser that nobody
            told it; None where it was told.
        channel_languages: BCP-47 of the left and of the right channel, where each speaks at once in
            a language of its own (dual mono) and a recogniser heard which.
    """

    rate: int
    samples: int
    language: str
    segments: tuple[Segment, ...]
    edits: tuple[WordEdit, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    left_out: tuple[DroppedCue, ...] = ()
    channel_languages: tuple[str, ...] = ()
    language_certainty: float | None = None

    @property
    def language_doubt(self) -> str:
        """That the language was hardly more than guessed, with the cure; else empty."""
        if self.language_certainty is None or self.language_certainty >= _CERTAIN:
            return ""
        return (
            f"taken for {self.language} with a certainty of {self.language_certainty:.0%}: if it "
            f'is another, say so with audio.language = "xx" and dub the film again'
        )

    @property
    def lines(self) -> tuple[Segment, ...]:
        """The segments that are dubbed."""
        return tuple(s for s in self.segments if s.kind == "speech")


@dataclass(frozen=True, slots=True)
class Diarization:
    """Turns of all speakers, and the names that the subtitles give them.

    Attributes:
        embeddings: speaker -> embedding of length 1, by which the same voice is known again in
            another episode; empty where the engine has none. Only those of one engine compare.
    """

    rate: int
    turns: tuple[Turn, ...]
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    embeddings: Mapping[str, tuple[float, ...]] = field(
        default_factory=dict[str, tuple[float, ...]]
    )

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers in order of their ids."""
        return tuple(sorted({turn.speaker for turn in self.turns}))

    def spans(self) -> dict[str, list[Span]]:
        """Return speaker -> their turns, in the order of `turns`."""
        found: dict[str, list[Span]] = {}
        for turn in self.turns:
            found.setdefault(turn.speaker, []).append(turn.span)
        return found


@dataclass(frozen=True, slots=True)
class SpeakerProfile:
    """Facts of a speaker. A guess (gender from pitch) carries its basis.

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


Sex = Literal["male", "female", "neutral"]
"""Sex of a voice as it is heard; neutral: it passes for either."""
Age = Literal["child", "adult", "old"]


@dataclass(frozen=True, slots=True)
class StockVoice:
    """A voice that an engine has by itself.

    Attributes:
        name: as the engine calls it.
        sex, age: as it is heard; None where nobody has said.
        pitch_hz: median fundamental frequency of its speech, or None if unmeasured.
        native: whether it was made for the language that was asked for; a voice made for another
            speaks with an accent.
    """

    name: str
    sex: Sex | None = None
    age: Age | None = None
    pitch_hz: float | None = None
    native: bool = True


@dataclass(frozen=True, slots=True)
class Term:
    """A glossary entry. Without a translation for a language, the term stays as it is.

    Attributes:
        pronunciations: target language -> how the translation is spelled for a voice that would
            say it wrong.
    """

    source: str
    kind: str
    translations: Mapping[str, str] = field(default_factory=dict[str, str])
    pronunciations: Mapping[str, str] = field(default_factory=dict[str, str])


Manner = Literal["familiar", "polite", "unclear"]
"""Form of address: as intimates do, with respect, or unknown from the text."""


@dataclass(frozen=True, slots=True)
class Relation:
    """Relation of `to` to `speaker`, and the form of address, whatever the language."""

    speaker: str
    to: str
    relation: str
    manner: Manner = "unclear"


@dataclass(frozen=True, slots=True)
class Address:
    """The form in which one speaker addresses another in a target language, e.g. ``usted``."""

    speaker: str
    to: str
    form: str


@dataclass(frozen=True, slots=True)
class ScriptEdit:
    """A mishearing that the reader of the script would put right.

    Attributes:
        index: of the segment.
        before, after: its whole text as heard, and as proposed.
        reason: the reader's own words.
        applied: whether the translation works from `after`.
        note: why it was not applied; empty if it was.
    """

    index: int
    before: str
    after: str
    reason: str
    applied: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class LanguageBrief:
    """Facts for translators into one language, beyond the context.

    Attributes:
        terms: glossary entries with their rendering in this language.
        gaps: what could not be had, in words.
    """

    language: str
    style_guide: str
    addresses: tuple[Address, ...] = ()
    terms: tuple[Term, ...] = ()
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """Summary of the whole script.

    Attributes:
        relationships: who is what to whom, in words.
        relations: the same by pairs of speakers, where the reader can tell.
        addresses: target language -> who addresses whom how.
        edits: proposed corrections of mishearings, applied or not.
        gaps: what the reading lacks, in words; empty if the whole script was read.
    """

    synopsis: str
    tone: str
    relationships: tuple[str, ...] = ()
    glossary: tuple[Term, ...] = ()
    style_guides: Mapping[str, str] = field(default_factory=dict[str, str])
    relations: tuple[Relation, ...] = ()
    addresses: Mapping[str, tuple[Address, ...]] = field(
        default_factory=dict[str, tuple[Address, ...]]
    )
    edits: tuple[ScriptEdit, ...] = ()
    gaps: tuple[str, ...] = ()

    def with_brief(self, brief: LanguageBrief) -> Context:
        """Return this context with a brief's facts of its language added."""
        rendered = {term.source: term for term in brief.terms}
        glossary: list[Term] = []
        for term in self.glossary:
            more = rendered.get(term.source, term)
            translations = {**term.translations, **more.translations}
            spoken = {**term.pronunciations, **more.pronunciations}
            glossary.append(replace(term, translations=translations, pronunciations=spoken))
        guides = {**self.style_guides, brief.language: brief.style_guide}
        addresses = {**self.addresses, brief.language: brief.addresses}
        return replace(self, glossary=tuple(glossary), style_guides=guides, addresses=addresses)
