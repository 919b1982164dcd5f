"""Notes on the parts of a script put together by rule: nothing that a part says gets lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from dubarr_pipeline.engines.context.forms import AgeGroup, Digest, Gender, PartNotes, PersonNote
from dubarr_pipeline.timeline.script import Manner, Relation, Term

_LONGEST = 4000
_SILENT = ("unknown", "unclear")
_Vote = TypeVar("_Vote")


def digest_of(notes: PartNotes, speakers: frozenset[str]) -> Digest:
    """What a part's notes say of the film as a whole; people who do not speak are left out."""
    return Digest(
        synopsis=notes.synopsis, tone=notes.tone, people=merged_people([notes.people], speakers)
    )


def joined(parts: Sequence[Digest]) -> Digest:
    """Several digests one after the other, uncondensed."""
    synopsis = " ".join(part.synopsis for part in parts)
    tones = "; ".join(dict.fromkeys(part.tone for part in parts))
    people = merged_people([part.people for part in parts])
    return Digest(synopsis=synopsis[:_LONGEST], tone=tones[:500], people=people)


def completed(digest: Digest, parts: Sequence[Digest]) -> Digest:
    """A model's digest with every fact on people that it left out put back from the parts."""
    known = merged_people([part.people for part in parts])
    speakers = frozenset(person.speaker for person in known)
    told = [person for person in digest.people if person.speaker in speakers]
    return digest.model_copy(update={"people": merged_people([told, known])})


def merged_people(
    parts: Iterable[Sequence[PersonNote]], speakers: frozenset[str] | None = None
) -> list[PersonNote]:
    """Every speaker once: of what is known, what comes first, and what most say where they vote.

    Args:
        parts: notes, the most trusted first.
        speakers: who speaks; None: all of them.
    """
    found: dict[str, list[PersonNote]] = {}
    for part in parts:
        for person in part:
            if speakers is None or person.speaker in speakers:
                found.setdefault(person.speaker, []).append(person)
    return [_merged(found[speaker]) for speaker in sorted(found)]


def _merged(notes: Sequence[PersonNote]) -> PersonNote:
    genders: list[Gender] = [note.gender for note in notes]
    ages: list[AgeGroup] = [note.age_group for note in notes]
    return PersonNote(
        speaker=notes[0].speaker,
        name=_first(note.name for note in notes),
        gender=_most(genders) or "unknown",
        age_group=_most(ages) or "unknown",
        role=_first(note.role for note in notes),
        style=_first(note.style for note in notes),
    )


def _first(texts: Iterable[str | None]) -> str | None:
    return next((text.strip() for text in texts if text and text.strip()), None)


def _most(votes: Sequence[_Vote]) -> _Vote | None:
    """What most say who say anything; of equals the first."""
    known = [vote for vote in votes if vote not in _SILENT]
    return max(known, key=known.count, default=None)


def merged_relations(parts: Iterable[PartNotes], speakers: frozenset[str]) -> tuple[Relation, ...]:
    """Every pair once: what they are to each other in the order of the film, and how they talk.

    The manner is the one that most parts tell, the later of equals: people grow closer.
    """
    found: dict[tuple[str, str], list[tuple[str, Manner]]] = {}
    for part in parts:
        for note in part.relations:
            pair = (note.speaker, note.to)
            if speakers.issuperset(pair) and note.speaker != note.to:
                found.setdefault(pair, []).append((note.relation.strip(), note.manner))
    return tuple(_relation(pair, told) for pair, told in sorted(found.items()))


def _relation(pair: tuple[str, str], told: Sequence[tuple[str, Manner]]) -> Relation:
    manners: list[Manner] = [manner for _, manner in reversed(told)]
    relation = "; later: ".join(dict.fromkeys(text for text, _ in told if text))
    return Relation(*pair, relation, _most(manners) or "unclear")


def merged_terms(
    parts: Iterable[PartNotes], names: Mapping[str, str], script: str
) -> tuple[tuple[Term, ...], tuple[str, ...]]:
    """The glossary, each term once, and what was noted as a term but never stands in the script.

    Args:
        parts: notes in the order of the film.
        names: speaker -> the name that is known anyway.
        script: the text of all lines.
    """
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
