"""The forms in which a language model must answer what it read: checked, bounded, closed sets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from dubarr_pipeline.timeline.script import Manner

_Label = Annotated[str, Field(max_length=120)]
_Phrase = Annotated[str, Field(max_length=500)]
_Paragraph = Annotated[str, Field(max_length=4000)]

Gender = Literal["male", "female", "unknown"]
AgeGroup = Literal["child", "teenager", "adult", "elderly", "unknown"]
TermKind = Literal["name", "place", "organisation", "term"]


class _Form(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class PersonNote(_Form):
    """A speaker, as far as the text shows who they are."""

    speaker: _Label
    name: _Label | None = None
    gender: Gender = "unknown"
    age_group: AgeGroup = "unknown"
    role: _Phrase | None = None
    style: _Phrase | None = None


class RelationNote(_Form):
    """What one speaker is to another, and how the first addresses the second."""

    speaker: _Label
    to: _Label
    relation: _Phrase
    manner: Manner = "unclear"


class TermNote(_Form):
    """A name or term that must always be rendered alike."""

    source: Annotated[str, Field(min_length=1, max_length=120)]
    kind: TermKind = "term"


class EditNote(_Form):
    """A line that was misheard, and what was probably said."""

    id: int
    text: _Paragraph
    reason: _Phrase = ""
    confidence: Literal["high", "low"] = "low"


class PartNotes(_Form):
    """What the model notes of one part of the script."""

    synopsis: Annotated[str, Field(min_length=1, max_length=4000)]
    tone: Annotated[str, Field(min_length=1, max_length=500)]
    people: list[PersonNote] = []
    relations: list[RelationNote] = []
    terms: list[TermNote] = []
    edits: list[EditNote] = []


class Digest(_Form):
    """What several parts come to: one synopsis, one tone, every speaker once."""

    synopsis: Annotated[str, Field(min_length=1, max_length=4000)]
    tone: Annotated[str, Field(min_length=1, max_length=500)]
    people: list[PersonNote] = []


class AddressNote(_Form):
    """How one speaker addresses another in the target language."""

    speaker: _Label
    to: _Label
    form: Annotated[str, Field(min_length=1, max_length=60)]


class StyleNotes(_Form):
    """How to translate into one language."""

    style_guide: Annotated[str, Field(min_length=1, max_length=2000)]
    addresses: list[AddressNote] = []


class RenderedTerm(_Form):
    """A glossary entry in the target language; `say` where a voice would read it wrong."""

    source: Annotated[str, Field(min_length=1, max_length=120)]
    rendering: Annotated[str, Field(min_length=1, max_length=120)]
    say: Annotated[str, Field(max_length=120)] = ""


class RenderedTerms(_Form):
    """Glossary entries in the target language."""

    terms: list[RenderedTerm]
