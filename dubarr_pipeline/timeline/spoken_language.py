"""Which language a film is spoken in, from what was heard in several of its passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LanguageVote:
    """What one passage sounds like.

    Attributes:
        language: BCP-47, without region.
        probability: the recogniser's own, 0 to 1.
        seconds: length of the passage.
    """

    language: str
    probability: float
    seconds: float


@dataclass(frozen=True, slots=True)
class LanguageOptions:
    """How languages are decided.

    Attributes:
        windows: passages, spread over the film, that vote on its language.
        sure: probability (0 to 1) from which a passage is believed to be in another language than
            the film,
        shortest_s: if it is at least this long; short calls sound like many languages.
        overrule: share (0 to 1) of the votes from which the film is in another language than its
            file says.
    """

    windows: int = 8
    sure: float = 0.85
    shortest_s: float = 1.5
    overrule: float = 0.8

    def __post_init__(self) -> None:
        if self.windows < 1:
            raise ValueError(f"windows must be at least 1, not {self.windows}")
        if not (0 < self.sure <= 1 and 0.5 < self.overrule <= 1):
            raise ValueError("sure must lie in (0, 1], overrule in (0.5, 1]")


DEFAULT = LanguageOptions()


def film_language(
    votes: Sequence[LanguageVote], told: str | None, options: LanguageOptions = DEFAULT
) -> str | None:
    """Return the language of a film, or None where nothing tells.

    What the file says counts, unless nearly all that is heard is clearly something else.

    Args:
        votes: of passages over the whole film.
        told: BCP-47 without region, as the file or a person says; None where nobody does.
        options: how languages are decided.
    """
    weights: dict[str, float] = {}
    for vote in votes:
        weight = vote.probability * vote.seconds
        weights[vote.language] = weights.get(vote.language, 0.0) + weight
    whole = sum(weights.values())
    if not whole:
        return told
    best = max(weights, key=lambda language: (weights[language], language))
    if told is None:
        return best
    seconds = sum(vote.seconds for vote in votes)
    return best if weights[best] >= options.overrule * seconds else told


def passage_language(vote: LanguageVote, film: str, options: LanguageOptions = DEFAULT) -> str:
    """Return the language of a passage: the film's, unless it clearly is another."""
    clear = vote.probability >= options.sure and vote.seconds >= options.shortest_s
    return vote.language if clear else film


def spread(count: int, windows: int) -> list[int]:
    """Numbers of at most `windows` passages of `count`, evenly over all of them."""
    chosen = min(count, windows)
    return [(2 * i + 1) * count // (2 * chosen) for i in range(chosen)] if chosen else []
