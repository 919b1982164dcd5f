"""Changes of speaker, moved to the word at which one ends and the next begins."""

from collections.abc import Sequence
from itertools import pairwise

from dubarr_pipeline.script.model import Word
from dubarr_pipeline.spans import to_samples
from dubarr_pipeline.text.sentences import ends_sentence

_REACH = 2
"""Words by which the times of turns and words may disagree."""
_REACH_S = 1.5
_CLEAR_GAP_S = 0.2
"""A change in such a silence stays, although a sentence ends nearby."""


def settle_changes(words: Sequence[Word], speakers: Sequence[str], rate: int) -> list[str]:
    """Return the speakers, each change moved to the end of a sentence or to the largest gap.

    A change moves over at most two words. Times of turns and of words are both rough, so that the
    first word of an answer would stick to the question.

    Args:
        words: in order, none running into the next.
        speakers: of the words, by their times.
        rate: Hz of the words.
    """
    settled = list(speakers)
    at = 1
    while at < len(settled):
        if settled[at] == settled[at - 1]:
            at += 1
            continue
        cut = _best_cut(words, settled, at, rate)
        before, after = settled[at - 1], settled[at]
        settled[cut:at] = [after] * max(0, at - cut)
        settled[at:cut] = [before] * max(0, cut - at)
        at = max(at, cut) + 1
    for first, last in _islands(settled):
        if not any(_is_border(words, cut, rate) for cut in (first, last)):
            settled[first:last] = [settled[first - 1]] * (last - first)
    return settled


def _islands(speakers: Sequence[str]) -> list[tuple[int, int]]:
    """Return the runs of at most two words amid another speaker's."""
    edges = [i for i in range(1, len(speakers)) if speakers[i] != speakers[i - 1]]
    return [
        (first, last)
        for first, last in pairwise(edges)
        if last - first <= _REACH and speakers[first - 1] == speakers[last]
    ]


def _is_border(words: Sequence[Word], cut: int, rate: int) -> bool:
    clear = words[cut - 1].span.gap(words[cut].span) >= to_samples(_CLEAR_GAP_S, rate)
    return clear or _ends(words[cut - 1])


def _ends(word: Word) -> bool:
    # "No." is an abbreviation elsewhere; who answers so has ended the sentence.
    text = word.text.strip()
    return ends_sentence(text) or text.casefold() == "no."


def _best_cut(words: Sequence[Word], speakers: Sequence[str], at: int, rate: int) -> int:
    """Return the number of the word with which the speaker of word `at` begins."""
    first, last = at, at
    while first - 1 > 0 and at - first < _REACH and speakers[first - 1] == speakers[at - 1]:
        first -= 1
    while last + 1 < len(words) and last - at < _REACH and speakers[last] == speakers[at]:
        last += 1
    reach = to_samples(_REACH_S, rate)
    here = words[at].span.start
    cuts = [c for c in range(first, last + 1) if abs(words[c].span.start - here) <= reach]

    def gap(cut: int) -> int:
        return words[cut - 1].span.gap(words[cut].span)

    ends = [cut for cut in cuts if _ends(words[cut - 1])]
    if at in ends or (gap(at) >= to_samples(_CLEAR_GAP_S, rate) and gap(at) == max(map(gap, cuts))):
        return at
    return min(ends or cuts, key=lambda cut: (-gap(cut), abs(cut - at)))
