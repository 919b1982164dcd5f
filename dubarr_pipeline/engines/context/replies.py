"""Reply forms of the script analysis, with bounds and closed sets, and their merging by rule.

Merging loses no fact that a part's notes hold.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from dubarr_pipeline.script.model import Manner, Relation, Term

_Label = Annotated[str, Field(max_length=120)]
_Phrase = Annotated[str, Field(max_length=500)]
_Paragraph = Annotated[str, Field(max_length=4000)]

Gender = Literal["male", "female", "unknown"]
AgeGroup = Literal["child", "teenager", "adult", "elderly", "unknown"]
TermKind = Literal["name", "place", "organisation", "term"]
_LONGEST = 4000
_SILENT = ("unknown", "unclear")
_Vote = TypeVar("_Vote")


class _Form(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class PersonNote(_Form):
    """A speaker's identity, as far as the text shows it."""

    speaker: _Label
    name: _Label | None = None
    gender: Gender = "unknown"
    age_group: AgeGroup = "unknown"
    role: _Phrase | None = None
    style: _Phrase | None = None


class RelationNote(_Form):
    """Relation of one speaker to another, and the manner of address."""

    speaker: _Label
    to: _Label
    relation: _Phrase
    manner: Manner = "unclear"


class TermNote(_Form):
    """A name or term that must always be translated alike."""

    source: Annotated[str, Field(min_length=1, max_length=120)]
    kind: TermKind = "term"


class EditNote(_Form):
    """A misheard line, and its probable words."""

    id: int
    text: _Paragraph
    reason: _Phrase = ""
    confidence: Literal["high", "low"] = "low"


class PartNotes(_Form):
    """Notes of the model on one part of the script."""

    model_config = ConfigDict(title="PartNotes")
    synopsis: Annotated[str, Field(min_length=1, max_length=4000)]
    tone: Annotated[str, Field(min_length=1, max_length=500)]
    people: list[PersonNote] = []
    relations: list[RelationNote] = []
    terms: list[TermNote] = []
    edits: list[EditNote] = []


class Digest(_Form):
    """Summary of several parts: one synopsis, one tone, every speaker once."""

    model_config = ConfigDict(title="Digest")
    synopsis: Annotated[str, Field(min_length=1, max_length=4000)]
    tone: Annotated[str, Field(min_length=1, max_length=500)]
    people: list[PersonNote] = []


class AddressNote(_Form):
    """Form of address between two speakers in the target language."""

    speaker: _Label
    to: _Label
    form: Annotated[str, Field(min_length=1, max_length=60)]


class StyleNotes(_Form):
    """Style guide and forms of address for one language."""

    model_config = ConfigDict(title="StyleNotes")
    style_guide: Annotated[str, Field(min_length=1, max_length=2000)]
    addresses: list[AddressNote] = []


class RenderedTerm(_Form):
    """A glossary entry in the target language; `say` where a voice would read it wrong."""

    source: Annotated[str, Field(min_length=1, max_length=120)]
    rendering: Annotated[str, Field(min_length=1, max_length=120)]
    say: Annotated[str, Field(max_length=120)] = ""


class RenderedTerms(_Form):
    """Glossary entries in the target language."""

    model_config = ConfigDict(title="RenderedTerms")
    terms: list[RenderedTerm]


def digest_of(notes: PartNotes, speakers: frozenset[str]) -> Digest:
    """Return a part's notes on the film as a whole, without people who do not speak."""
    return Digest(
        synopsis=notes.synopsis, tone=notes.tone, people=merged_people([notes.people], speakers)
    )


def joined(parts: Sequence[Digest]) -> Digest:
    """Join several digests in their order, uncondensed."""
    synopsis = " ".join(part.synopsis for part in parts)
    tones = "; ".join(dict.fromkeys(part.tone for part in parts))
    people = merged_people([part.people for part in parts])
    return Digest(synopsis=synopsis[:_LONGEST], tone=tones[:500], people=people)


def completed(digest: Digest, parts: Sequence[Digest]) -> Digest:
    """Return a model's digest, with people's missing facts put back from the parts."""
    known = merged_people([part.people for part in parts])
    speakers = frozenset(person.speaker for person in known)
    named = [person for person in digest.people if person.speaker in speakers]
    return digest.model_copy(update={"people": merged_people([named, known])})


def merged_people(
    parts: Iterable[Sequence[PersonNote]], speakers: frozenset[str] | None = None
) -> list[PersonNote]:
    """Merge notes, the most trusted first, into one for each of the speakers (None: all).

    The first known text counts, and the majority of the votes.
    """
    notes: dict[str, list[PersonNote]] = {}
    for part in parts:
        for person in part:
            if speakers is None or person.speaker in speakers:
                notes.setdefault(person.speaker, []).append(person)
    merged: list[PersonNote] = []
    for speaker, own in sorted(notes.items()):
        genders: list[Gender] = [note.gender for note in own]
        ages: list[AgeGroup] = [note.age_group for note in own]
        merged.append(
            PersonNote(
                speaker=speaker,
                name=_first(note.name for note in own),
                gender=_most(genders) or "unknown",
                age_group=_most(ages) or "unknown",
                role=_first(note.role for note in own),
                style=_first(note.style for note in own),
            )
        )
    return merged


def _first(texts: Iterable[str | None]) -> str | None:
    return next((text.strip() for text in texts if text and text.strip()), None)


def _most(votes: Sequence[_Vote]) -> _Vote | None:
    """Return the majority among the known votes; of equals the first."""
    known = [vote for vote in votes if vote not in _SILENT]
    return max(known, key=known.count, default=None)


def merged_relations(parts: Iterable[PartNotes], speakers: frozenset[str]) -> tuple[Relation, ...]:
    """Merge the relations of each pair, in the order of the film, and their manner of address.

    The manner is that of most parts, the later of equals: people grow closer.
    """
    noted_pairs: dict[tuple[str, str], list[tuple[str, Manner]]] = {}
    for part in parts:
        for note in part.relations:
            pair = (note.speaker, note.to)
            if speakers.issuperset(pair) and note.speaker != note.to:
                noted_pairs.setdefault(pair, []).append((note.relation.strip(), note.manner))
    merged: list[Relation] = []
    for pair, noted in sorted(noted_pairs.items()):
        relation = "; later: ".join(dict.fromkeys(text for text, _ in noted if text))
        manners: list[Manner] = [manner for _, manner in reversed(noted)]
        merged.append(Relation(*pair, relation, _most(manners) or "unclear"))
    return tuple(merged)


def merged_terms(
    parts: Iterable[PartNotes], names: Mapping[str, str], script: str
) -> tuple[tuple[Term, ...], tuple[str, ...]]:
    """Return each noted term and known name once, and the noted terms that the script lacks."""
    kinds: dict[str, Counter[str]] = {}
    spelled: dict[str, str] = {}
    for part in parts:
        for note in part.terms:
            source = " ".join(note.source.split())
            kinds.setdefault(source.casefold(), Counter())[note.kind] += 1
            spelled.setdefault(source.casefold(), source)
    text = " ".join(script.split()).casefold()
    terms = {name: Term(name, "name") for name in names.values()}
    known = {name.casefold() for name in terms}
    stray: list[str] = []
    for key, votes in kinds.items():
        if not key or key not in text:
            stray.append(spelled[key])
        elif key not in known:
            terms[spelled[key]] = Term(spelled[key], votes.most_common(1)[0][0])
    return tuple(terms.values()), tuple(stray)
