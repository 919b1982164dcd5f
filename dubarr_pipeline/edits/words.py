"""Lines found again in another script of the same film, by the words that are said in it.

Neither the index nor the clock of a line tells it: a rerun divides lines otherwise, another release
runs at another speed or lacks scenes. The streams of words are aligned: triples of words that occur
once in either script, as far as they stand in the same order, and what lies between them.
"""

import re
import statistics
import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from operator import attrgetter

from dubarr_pipeline.edits.model import Anchor, OrphanReason

LEAST_SHARED = 0.6
"""Share of the words of either line that a pair has in common."""
HALF = 0.5
"""Share of an old line's words in new lines from which on it is not gone but divided otherwise."""
NEIGHBOURS = 8
"""Pairs by whose shifts in time a pair is believed, half of them on either side."""
FURTHEST_S = 1.0
"""Distance from the clock of the neighbours beyond which no line is the same."""
SHORT = 2
"""Words of a line that may as well be another's: its shift must be twice as near."""
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""Letters of scripts that write no space between words: each counts as a word."""
_LARGEST_GAP = 4_000_000
"""Product of the words on both sides of a gap up to which it is aligned."""


@dataclass(frozen=True, slots=True)
class FoundLines:
    """Lines of an old script in a new one, by their positions.

    Attributes:
        pairs: position in the old script -> position in the new one.
        lost: position in the old script -> why it has none in the new one.
        shifts: start of a found line in the old script, and its way to the new one, in seconds.
    """

    pairs: Mapping[int, int]
    lost: Mapping[int, OrphanReason]
    shifts: tuple[tuple[float, float], ...]

    def shift_at(self, start_s: float) -> float | None:
        """Return the way from the old to the new clock at a time; None where nothing was found."""
        if not self.shifts:
            return None if self.lost else 0.0
        at = bisect_left(self.shifts, (start_s,))
        first = max(0, min(at - NEIGHBOURS // 2, len(self.shifts) - NEIGHBOURS))
        return statistics.median(shift for _, shift in self.shifts[first : first + NEIGHBOURS])


@lru_cache(maxsize=16)
def find_lines(old: tuple[Anchor, ...], new: tuple[Anchor, ...]) -> FoundLines:
    """Return the lines of an old script, in order of their starts, that a new one has too."""
    if [(a.start_s, a.text) for a in old] == [(a.start_s, a.text) for a in new]:
        return FoundLines(
            {at: at for at in range(len(old))}, {}, tuple((a.start_s, 0.0) for a in old)
        )
    old_words, new_words = _stream(old), _stream(new)
    shared: dict[int, Counter[int]] = defaultdict(Counter)
    for here, there in _same_words([w for w, _ in old_words], [w for w, _ in new_words]):
        shared[old_words[here][1]][new_words[there][1]] += 1
    sizes = Counter(line for _, line in old_words), Counter(line for _, line in new_words)
    alike = _alike(shared, *sizes)
    believed = _believed(old, new, alike, sizes[0])
    lost: dict[int, OrphanReason] = {}
    for at in range(len(old)):
        if at not in believed:
            said = shared[at].total() >= HALF * sizes[0][at]
            lost[at] = "ambiguous" if at in alike else "recut" if said else "gone"
    shifts = sorted((old[a].start_s, new[b].start_s - old[a].start_s) for a, b in believed.items())
    return FoundLines(believed, lost, tuple(shifts))


def words_of(text: str) -> list[str]:
    """Return the words of a text as they are compared; the text itself where it has none."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    found = _WORD.findall(_UNSPACED.sub(r" \g<0> ", plain))
    return found or [plain.strip()]


def _stream(lines: Sequence[Anchor]) -> list[tuple[str, int]]:
    return [(word, at) for at, line in enumerate(lines) for word in words_of(line.text)]


def _same_words(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the positions of words that are the same in both, in order."""
    fixed = _in_order(_unique_triples(old, new))
    here = there = 0
    for at, over in [*fixed, (len(old), len(new))]:
        if at > here or over > there:
            yield from _between(old, new, (here, at), (there, over))
        if at < len(old):
            yield at, over
        here, there = at + 1, over + 1


def _between(
    old: Sequence[str], new: Sequence[str], here: tuple[int, int], there: tuple[int, int]
) -> Iterator[tuple[int, int]]:
    """Yield the same words of two gaps."""
    one, other = old[slice(*here)], new[slice(*there)]
    if not 0 < len(one) * len(other) <= _LARGEST_GAP:
        return
    for block in SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks():
        for step in range(block.size):
            yield here[0] + block.a + step, there[0] + block.b + step


def _unique_triples(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return the words of triples that occur once in each: pairs of positions, old in order."""
    pairs: dict[int, int] = {}
    places = _places(new)
    for triple, at in _places(old).items():
        over = places.get(triple, -1)
        if at >= 0 and over >= 0:
            for step in range(3):
                pairs.setdefault(at + step, over + step)
    return sorted(pairs.items())


def _places(words: Sequence[str]) -> dict[tuple[str, str, str], int]:
    """Return the position of each triple of words, -1 for one that occurs again."""
    found: dict[tuple[str, str, str], int] = {}
    for at, triple in enumerate(zip(words, words[1:], words[2:], strict=False)):
        found[triple] = -1 if triple in found else at
    return found


def _in_order(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest row of pairs that stand in the same order in both (patience sorting)."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for number, (_, over) in enumerate(pairs):
        at = bisect_left(ends, over)
        before.append(last[at - 1] if at else -1)
        if at == len(ends):
            ends.append(over)
            last.append(number)
        else:
            ends[at], last[at] = over, number
    row: list[tuple[int, int]] = []
    number = last[-1] if last else -1
    while number >= 0:
        row.append(pairs[number])
        number = before[number]
    return row[::-1]


def _alike(
    shared: Mapping[int, Counter[int]], old_sizes: Mapping[int, int], new_sizes: Mapping[int, int]
) -> dict[int, int]:
    """Return pairs with enough words in common, none of whose words stand in another line.

    A line of which a part went to a neighbour would have that part said twice.
    """
    taken = Counter[int]()
    for counts in shared.values():
        taken.update(counts)
    found: dict[int, int] = {}
    for at, counts in shared.items():
        (there, count), *elsewhere = counts.most_common(2)
        least = LEAST_SHARED * max(old_sizes[at], new_sizes[there])
        if count >= least and not elsewhere and taken[there] == count:
            found[at] = there
    return found


def _believed(
    old: Sequence[Anchor], new: Sequence[Anchor], alike: Mapping[int, int], sizes: Mapping[int, int]
) -> dict[int, int]:
    """Return the pairs whose shift in time is that of their neighbours."""
    pairs = sorted(alike.items())
    shifts = [new[there].start_s - old[at].start_s for at, there in pairs]
    found: dict[int, int] = {}
    for number, (at, there) in enumerate(pairs):
        first = max(0, min(number - NEIGHBOURS // 2, len(pairs) - NEIGHBOURS - 1))
        near = shifts[first:number] + shifts[number + 1 : first + NEIGHBOURS + 1]
        furthest_s = FURTHEST_S if sizes[at] > SHORT else FURTHEST_S / 2
        if not near or abs(shifts[number] - statistics.median(near)) <= furthest_s:
            found[at] = there
    return found


CANDIDATE_SCORE = 0.6
"""Score from which on a line may be what an orphaned fact was about."""
AHEAD = 0.1
"""Lead over the next best line without which there is no candidate."""


def candidate(line: Anchor, clock_s: float, new: Sequence[Anchor]) -> int | None:
    """Return the position of the line that most probably is the lost one, if one is well ahead.

    `new` is in order of its starts; `clock_s` is where the lost line would start there. The score:
    letters in common 0.55, nearness in time 0.30, the same speaker 0.15.
    """
    scores: list[tuple[float, int]] = []
    first = bisect_left(new, clock_s - FURTHEST_S, key=attrgetter("start_s"))
    last = bisect_right(new, clock_s + FURTHEST_S, key=attrgetter("start_s"))
    for at in range(first, last):
        away = abs(new[at].start_s - clock_s)
        score = 0.55 * _trigram_dice(line.text, new[at].text) + 0.3 * (1 - away / FURTHEST_S)
        scores.append((score + 0.15 * (line.speaker == new[at].speaker), at))
    scores.sort(reverse=True)
    if not scores or scores[0][0] < CANDIDATE_SCORE:
        return None
    return None if len(scores) > 1 and scores[0][0] - scores[1][0] < AHEAD else scores[0][1]


def _trigram_dice(one: str, other: str) -> float:
    """Return the likeness of two texts (Dice 1945) by their groups of three letters, 0 to 1."""
    both = [f"  {' '.join(words_of(text))} " for text in (one, other)]
    left, right = (Counter(text[at : at + 3] for at in range(len(text) - 2)) for text in both)
    return 2 * (left & right).total() / max(1, left.total() + right.total())
