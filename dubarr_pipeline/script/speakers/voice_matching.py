"""Speakers that were separated within windows, matched across the film.

A long film is heard in overlapping windows, because memory and time of the clustering grow with
the square of the length. In each window the speakers get new numbers; their speaker embeddings
and their words in the overlaps show who is who.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.script.model import Turn
from dubarr_pipeline.spans import Span, intersect, merge, total

Embedding = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LocalSpeaker:
    """A speaker as one window knows them.

    Attributes:
        window: stretch that was heard at once; two speakers of one window are two people.
        turns: on the film's clock; speakers of other windows may share their time.
        embedding: speaker embedding ``(dimensions,)``; all zeros or not finite if there is none.
    """

    window: Span
    turns: tuple[Span, ...]
    embedding: Embedding

    @property
    def length(self) -> int:
        """Samples spoken."""
        return total(self.turns)


@dataclass(frozen=True, slots=True)
class VoiceMatchOptions:
    """Limits from which two voices are one.

    Attributes:
        furthest: cosine distance (0 to 2) of two embeddings up to which they are one voice.
        same_time: of what is said in an overlap, the share (0 to 1) that both windows must give to
            the same two speakers for these to be one, whatever their embeddings.
        most: speakers in the film at most; 0: no limit.
    """

    furthest: float = 0.5
    same_time: float = 0.5
    most: int = 0


def match_voices(
    speakers: Sequence[LocalSpeaker], options: VoiceMatchOptions | None = None
) -> list[int]:
    """Return the group of every local speaker, numbered from 0; two of one window never share one.

    Groups are joined two by two, the nearest first (average linkage), as long as they are near
    enough; who speaks the same words in an overlap of two windows is nearest of all. With a limit
    on speakers, groups of different windows are joined further, until there are no more.
    """
    options = options or VoiceMatchOptions()
    groups = [[i] for i in range(len(speakers))]
    far = _distances(speakers, options)
    while True:
        pair, distance = _nearest(groups, far, speakers)
        crowded = bool(options.most) and len(groups) > options.most
        if pair is None or (distance > options.furthest and not crowded):
            break
        groups[pair[0]] += groups.pop(pair[1])
    group_of = [0] * len(speakers)
    for number, group in enumerate(groups):
        for member in group:
            group_of[member] = number
    return group_of


def _distances(speakers: Sequence[LocalSpeaker], options: VoiceMatchOptions) -> NDArray[np.float64]:
    """Return cosine distances ``(n, n)``; -1 where the same words prove that two are one."""
    count = len(speakers)
    far = np.full((count, count), 2.0)
    units = [_unit(speaker.embedding) for speaker in speakers]
    for i in range(count):
        for j in range(i + 1, count):
            one, other = units[i], units[j]
            distance = 2.0 if one is None or other is None else 1.0 - float(one @ other)
            # Speech at one time in the common part of two windows is the same words.
            common = speakers[i].window.clip(speakers[j].window)
            if speakers[i].window != speakers[j].window and common is not None:
                left, right = (intersect(speakers[k].turns, [common]) for k in (i, j))
                same = total(intersect(left, right)) / max(1, total([*left, *right]))
                if same >= options.same_time:
                    distance = -1.0
            far[i, j] = far[j, i] = distance
    return far


def _unit(embedding: Embedding) -> Embedding | None:
    size = float(np.linalg.norm(embedding)) if np.isfinite(embedding).all() else 0.0
    return embedding / size if size > 0 else None


def _nearest(
    groups: Sequence[Sequence[int]], far: NDArray[np.float64], speakers: Sequence[LocalSpeaker]
) -> tuple[tuple[int, int] | None, float]:
    """Return the two groups without a common window whose members are nearest on the average."""
    best: tuple[int, int] | None = None
    least = np.inf
    windows = [{speakers[i].window for i in group} for group in groups]
    for a in range(len(groups)):
        for b in range(a + 1, len(groups)):
            # Two speakers of one window are two people, however alike they sound.
            if windows[a] & windows[b]:
                continue
            block = far[np.ix_(groups[a], groups[b])]
            distance = -1.0 if (block < 0).any() else float(block.mean())
            if distance < least:
                best, least = (a, b), distance
    return best, float(least)


def film_embeddings(
    speakers: Sequence[LocalSpeaker], groups: Sequence[int]
) -> dict[int, tuple[float, ...]]:
    """Return every group's embedding: the mean of its windows', by time spoken, of length 1."""
    sums: dict[int, Embedding] = {}
    for speaker, group in zip(speakers, groups, strict=True):
        unit = _unit(speaker.embedding)
        if unit is not None:
            sums[group] = sums.get(group, np.zeros(len(unit))) + unit * max(1, speaker.length)
    units = {group: _unit(mean) for group, mean in sums.items()}
    return {
        g: tuple(round(float(x), 6) for x in unit) for g, unit in units.items() if unit is not None
    }


def film_turns(turns: Sequence[tuple[Span, int]], film: Span, bridge: int = 0) -> list[Turn]:
    """Return turns of numbered groups as the film's, ids ``SPEAKER_00``... by first appearance.

    What one group says in touching spans, or with at most `bridge` samples of silence between,
    becomes one turn, clipped to the film.
    """
    of_group: dict[int, list[Span]] = {}
    for span, group in turns:
        clipped = span.clip(film)
        if clipped:
            of_group.setdefault(group, []).append(clipped)
    joined = sorted((s, group) for group, spans in of_group.items() for s in merge(spans, bridge))
    ids = speaker_ids([group for _, group in joined])
    return [Turn(span, ids[group]) for span, group in joined]


def speaker_ids(groups: Sequence[int]) -> dict[int, str]:
    """Return ids by first appearance."""
    return {group: f"SPEAKER_{i:02d}" for i, group in enumerate(dict.fromkeys(groups))}
