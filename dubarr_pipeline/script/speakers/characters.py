"""Characters of a series: the speakers of one film, known again by their voices in another.

A voice is known again for sure, may be the one, or is new. Who is who is one decision for the whole
film (optimal assignment): two speakers of a film are never one character, and a character that two
speakers could be, or a speaker who could be two characters, is sure of nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.script.speakers.series_prints import Prints, voice_distance

LEAST_S = 3.0
"""Seconds of speech from which a voice is known again or remembered."""
Outcome = Literal["same", "proposed", "new", "unheard"]


@dataclass(frozen=True, slots=True)
class KnownVoice:
    """A speaker of a film, or a character of a series.

    Attributes:
        id: ``SPEAKER_00``, or the character's.
        name: as subtitles or people write it, or None.
        gender: ``male``, ``female`` or None.
    """

    id: str
    prints: Prints
    name: str | None = None
    gender: str | None = None


@dataclass(frozen=True, slots=True)
class CharacterMatch:
    """A speaker's place among the characters of a series.

    Attributes:
        outcome: ``same`` is sure; ``proposed`` may be, and is kept apart until a person has said;
            ``new`` is nobody known; ``unheard`` said too little to tell.
        character: the same, or the proposed one.
        distance, next_distance: of the prints, to that character and to the nearest other.
        why: in words.
    """

    speaker: str
    outcome: Outcome
    character: str | None = None
    distance: float | None = None
    next_distance: float | None = None
    why: str = ""


def match_characters(
    speakers: Sequence[KnownVoice], characters: Sequence[KnownVoice]
) -> dict[str, CharacterMatch]:
    """Return the match of every speaker of a film with the characters of its series."""
    heard = [each for each in speakers if _seconds(each.prints) >= LEAST_S]
    found = {
        each.id: CharacterMatch(each.id, "unheard", why=f"less than {LEAST_S:g} s of speech")
        for each in speakers
        if each not in heard
    }
    table = _Table.of(heard, characters)
    assigned = table.assigned()
    doubts = [c is None or table.doubt(row, c) for row, c in enumerate(assigned)]
    taken = {c for c, doubt in zip(assigned, doubts, strict=True) if c is not None and not doubt}
    for row, column in enumerate(assigned):
        found[heard[row].id] = (
            table.unsure(row, taken)
            if column is None or doubts[row]
            else table.match(row, column, "same", "one voice")
        )
    return {each.id: found[each.id] for each in speakers}


def _seconds(prints: Prints) -> float:
    return max((each.seconds for each in prints.values()), default=0.0)


@dataclass(frozen=True, slots=True)
class _Table:
    """Distances of speakers (rows) and characters (columns).

    Attributes:
        scaled: 0 where two are surely one, 1 from where they are two; ``(rows, columns)``.
        ahead: by how much, on that scale, all others must be further.
    """

    speakers: Sequence[KnownVoice]
    characters: Sequence[KnownVoice]
    distances: NDArray[np.float64]
    scaled: NDArray[np.float64]
    ahead: NDArray[np.float64]

    @classmethod
    def of(cls, speakers: Sequence[KnownVoice], characters: Sequence[KnownVoice]) -> _Table:
        shape = (len(speakers), len(characters))
        distances, scaled, ahead = np.full(shape, np.inf), np.full(shape, np.inf), np.zeros(shape)
        for row, speaker in enumerate(speakers):
            for column, character in enumerate(characters):
                measured = voice_distance(speaker.prints, character.prints)
                if measured:
                    distance, limits = measured
                    width = limits.other - limits.sure
                    distances[row, column] = distance
                    scaled[row, column] = (distance - limits.sure) / width
                    ahead[row, column] = limits.ahead / width
        return cls(speakers, characters, distances, scaled, ahead)

    def assigned(self) -> list[int | None]:
        """Return each speaker's character (column) at the least sum of distances, or None."""
        rows, columns = self.scaled.shape
        if not rows or not columns:
            return [None] * rows
        from scipy.optimize import linear_sum_assignment

        # To be nobody known costs as much as the furthest voice that may be the same.
        costs = np.hstack([np.minimum(self.scaled, 1.0), np.ones((rows, rows))])
        _, chosen = linear_sum_assignment(costs)
        of_row = [int(column) for column in chosen]
        return [c if c < columns and self.scaled[r, c] < 1 else None for r, c in enumerate(of_row)]

    def match(self, row: int, column: int, outcome: Outcome, why: str) -> CharacterMatch:
        """Return a speaker's match with a character, or as nobody, with its distances."""
        own = float(self.distances[row, column])
        following = float(np.delete(self.distances[row], column).min(initial=np.inf))
        return CharacterMatch(
            self.speakers[row].id,
            outcome,
            None if outcome == "new" else self.characters[column].id,
            round(own, 3) if np.isfinite(own) else None,
            round(following, 3) if np.isfinite(following) else None,
            why,
        )

    def unsure(self, row: int, taken: set[int]) -> CharacterMatch:
        """Return the match of a speaker who is surely nobody of the known: may be, or new.

        Two speakers of a film are two people: `taken` are the characters that others surely are.
        """
        scaled = self.scaled[row].copy()
        # A voice that is not told from a taken one may be a person whom the film holds twice.
        scaled[[column for column in taken if scaled[column] > 0]] = np.inf
        if not len(self.characters):
            return CharacterMatch(self.speakers[row].id, "new", why="the first of the series")
        column = int(scaled.argmin())
        if scaled[column] >= 1:
            return self.match(row, int(self.scaled[row].argmin()), "new", "like nobody known")
        return self.match(row, column, "proposed", self.doubt(row, column) or "not sure")

    def doubt(self, row: int, column: int) -> str:
        """Return why a match is not sure, in words; empty if it is."""
        one, other = self.speakers[row], self.characters[column]
        own, needed = self.scaled[row, column], self.ahead[row, column]
        if own > 0:
            return "the voices are alike, not the same"
        rivals = [
            (each.id, float(self.scaled[row, at]))
            for at, each in enumerate(self.characters)
            if at != column
        ] + [
            (each.id, float(self.scaled[at, column]))
            for at, each in enumerate(self.speakers)
            if at != row
        ]
        close = [rival for rival, scaled in rivals if scaled - own < needed]
        if close:
            return f"{', '.join(close)} is nearly as near"
        if one.gender and other.gender and one.gender != other.gender:
            return f"{one.gender} here, {other.gender} before"
        if one.name and other.name and not _same_name(one.name, other.name):
            return f"named {one.name} here, {other.name} before"
        return ""


def _same_name(one: str, other: str) -> bool:
    """Return whether two names may be one person's: all words of the shorter are in the other."""
    first, second = ({*name.casefold().split()} for name in (one, other))
    return first <= second or second <= first
