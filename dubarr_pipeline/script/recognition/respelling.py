"""Names and words as the subtitles spell them, at the times at which they were heard.

A recogniser hears "Jon Snow" and writes "John's no"; the subtitles know better, but shorten what is
said and are off in time. So words are taken from them only where a subtitle agrees closely with the
words heard, and only for words that look alike. Everything else stays as it was heard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby

from dubarr_pipeline.script.cues.lines import time_words
from dubarr_pipeline.script.model import ScriptLine, Word, WordEdit
from dubarr_pipeline.script.recognition.hallucinations import plain
from dubarr_pipeline.script.recognition.word_alignment import Pair, likeness, pair_words
from dubarr_pipeline.spans import Span, to_samples

_CAPITALS = 0.8
"""Share of capital letters from which a script shouts, and its capitals mean nothing."""

_SINGLE_ALIKE = 0.7
"""Likeness for one word whose neighbours were heard otherwise than they are written."""


@dataclass(frozen=True, slots=True)
class SpellingOptions:
    """Limits from which a subtitle's spelling is used.

    Attributes:
        agreement: share (0 to 1) of a subtitle's words, and of the words heard with it, that must
            be the same before any of its spelling is taken.
        alike: likeness (0 to 1, matching letters over all letters) from which two spellings are
            one word.
        alike_between: the same for words between words that were heard as written.
        reach_s: furthest from its subtitle's time that a word may be heard, in seconds.
        longest_words: no more words than this are exchanged for others at once.
    """

    agreement: float = 0.5
    alike: float = 0.6
    alike_between: float = 0.4
    reach_s: float = 2.0
    longest_words: int = 3


DEFAULT = SpellingOptions()


@dataclass(frozen=True, slots=True)
class Spelled:
    """Words with the best spelling known, and the changes.

    Attributes:
        taken: for each word, whether its letters are the subtitles' rather than those heard.
        origins: for each word, the number of the heard word that it replaces.
        edits: every word or group of words whose letters changed.
    """

    words: tuple[Word, ...]
    taken: tuple[bool, ...]
    origins: tuple[int, ...]
    edits: tuple[WordEdit, ...] = ()


@dataclass(frozen=True, slots=True)
class _WrittenWord:
    """A word of a subtitle: its estimated time, and the piece of script that it is part of."""

    word: Word
    piece: int


def spell(
    words: Sequence[Word],
    pieces: Sequence[ScriptLine],
    rate: int,
    options: SpellingOptions = DEFAULT,
) -> Spelled:
    """Return the words with the subtitles' spelling where both agree; times are those heard.

    Words are in order and carry the blank before them; `pieces` are the subtitles' script.
    """
    written = _written(pieces)
    if not words or not written:
        return Spelled(tuple(words), (False,) * len(words), tuple(range(len(words))))
    pairs = pair_words(
        words, [w.word for w in written], to_samples(options.reach_s, rate), options.alike
    )
    agreeing = _agreeing(pairs, written, options)
    letters = [c for piece in pieces for c in piece.text if c.isalpha()]
    shouted = bool(letters) and sum(c.isupper() for c in letters) >= _CAPITALS * len(letters)
    speller = _Speller(words, written, shouted)
    for block in _blocks(pairs, words, written, agreeing):
        speller.take(block, options)
    return speller.spelled()


def _written(pieces: Sequence[ScriptLine]) -> list[_WrittenWord]:
    written = [
        _WrittenWord(word, number)
        for number, piece in enumerate(pieces)
        if piece.kind == "speech"
        for word in time_words(piece.text, piece.span, ())
        if plain(word.text)
    ]
    return sorted(written, key=lambda w: w.word.span.start)


def _agreeing(
    pairs: Sequence[Pair], written: Sequence[_WrittenWord], options: SpellingOptions
) -> set[int]:
    """Return the pieces of script of which enough was heard as it is written."""
    same, heard, size = Counter[int](), Counter[int](), Counter[int]()
    current = None
    for pair in pairs:
        if pair.written is not None:
            current = written[pair.written].piece
            size[current] += 1
        if current is not None:
            heard[current] += pair.heard is not None
            same[current] += pair.alike
    return {
        piece
        for piece, count in same.items()
        if count
        and count >= options.agreement * max(size[piece], min(heard[piece], 2 * size[piece]))
    }


@dataclass(frozen=True, slots=True)
class _Block:
    """Words that correspond; `between`: those on both sides are the same in both."""

    pairs: tuple[Pair, ...]
    between: bool

    @property
    def heard(self) -> tuple[int, ...]:
        return tuple(pair.heard for pair in self.pairs if pair.heard is not None)

    @property
    def written(self) -> tuple[int, ...]:
        return tuple(pair.written for pair in self.pairs if pair.written is not None)

    def singly(self) -> list[_Block]:
        """Return each pair that looks alike, alone; not next to a written word without a partner.

        Of "gonna" and "going to", "going" alone would be no spelling of it.
        """
        singles: list[_Block] = []
        for at, pair in enumerate(self.pairs):
            around = [self.pairs[i] for i in (at - 1, at + 1) if 0 <= i < len(self.pairs)]
            if pair.alike and all(other.heard is not None for other in around):
                singles.append(_Block((pair,), between=False))
        return singles


def _blocks(
    pairs: Sequence[Pair],
    words: Sequence[Word],
    written: Sequence[_WrittenWord],
    agreeing: set[int],
) -> list[_Block]:
    """Return the differences between words that are the same, by piece; each same word alone."""
    piece: int | None = None
    keyed: list[tuple[tuple[bool, int | None], Pair]] = []
    for pair in pairs:
        if pair.written is not None:
            piece = written[pair.written].piece
        is_same = (
            pair.heard is not None
            and pair.written is not None
            and plain(words[pair.heard].text) == plain(written[pair.written].word.text)
        )
        keyed.append(((is_same, piece), pair))
    runs = [(key, [p for _, p in group]) for key, group in groupby(keyed, key=lambda k: k[0])]
    blocks: list[_Block] = []
    for number, ((is_same, whose), run) in enumerate(runs):
        if whose in agreeing:
            sides = [runs[i][0][0] for i in (number - 1, number + 1) if 0 <= i < len(runs)]
            parts = [[pair] for pair in run] if is_same else [run]
            blocks += [_Block(tuple(part), len(sides) == 2 and all(sides)) for part in parts]
    return blocks


class _Speller:
    """The words, as they are being corrected."""

    def __init__(
        self, words: Sequence[Word], written: Sequence[_WrittenWord], shouted: bool
    ) -> None:
        self._words = words
        self._written = written
        self._shouted = shouted
        self._instead: dict[int, list[Word]] = {}
        self._taken: set[int] = set()
        self._edits: list[WordEdit] = []

    def take(self, block: _Block, options: SpellingOptions) -> None:
        """Take the subtitle's spelling of a block, or of what is alike in it."""
        heard = [self._words[i] for i in block.heard]
        written = [self._written[i].word for i in block.written]
        if [plain(w.text) for w in heard] == [plain(w.text) for w in written]:
            # The same letters: the subtitle's capitals and marks, unless it shouts.
            for number, theirs in zip(block.heard, written, strict=True):
                if not self._shouted:
                    word = self._words[number]
                    self._instead[number] = [replace(word, text=_blank(word) + theirs.text)]
        elif _stand_for(heard, written, block.between, options):
            self._exchange(block, heard, [w.text for w in written])
        # The block as a whole differs too much, but single words of it may be the same.
        elif len(block.pairs) > 1:
            closer = replace(options, alike=max(options.alike, _SINGLE_ALIKE))
            for single in block.singly():
                self.take(single, closer)

    def _exchange(self, block: _Block, heard: Sequence[Word], texts: Sequence[str]) -> None:
        if self._shouted:
            like = [heard[min(i, len(heard) - 1)].text.strip() for i in range(len(texts))]
            texts = [
                text.capitalize() if word[:1].isupper() else text.lower()
                for text, word in zip(texts, like, strict=True)
            ]
        blank = _blank(heard[0])
        span = Span(heard[0].span.start, heard[-1].span.end)
        sure = sum(word.probability for word in heard) / len(heard)
        timed = heard
        if len(texts) != len(heard):
            timed = time_words(" ".join(texts), span, (), sure)
            texts = [word.text for word in timed]
        new = [replace(w, text=blank + text) for w, text in zip(timed, texts, strict=True)]
        for number in block.heard:
            self._instead[number] = []
        self._instead[block.heard[0]] = new
        self._taken.add(block.heard[0])
        before = "".join(word.text for word in heard).strip()
        self._edits.append(WordEdit(span, before, " ".join(texts), "subtitles"))

    def spelled(self) -> Spelled:
        """Return all words in order, with the better spelling where there is one."""
        instead = [self._instead.get(at, [word]) for at, word in enumerate(self._words)]
        origins = tuple(at for at, new in enumerate(instead) for _ in new)
        taken = tuple(at in self._taken for at in origins)
        edits = sorted(self._edits, key=lambda edit: edit.span)
        return Spelled(tuple(chain(*instead)), taken, origins, tuple(edits))


def _stand_for(
    heard: Sequence[Word], written: Sequence[Word], between: bool, options: SpellingOptions
) -> bool:
    """Return whether a few heard words are the written ones, spelled otherwise."""
    if not heard or not written or max(len(heard), len(written)) > options.longest_words:
        return False
    if len(heard) == len(written):
        limit = options.alike_between if between else options.alike
        pairs = zip(heard, written, strict=True)
        return all(likeness(plain(a.text), plain(b.text)) >= limit for a, b in pairs)
    # "New York" and "Newyork": blanks do not count.
    letters = [plain("".join(w.text for w in side)).replace(" ", "") for side in (heard, written)]
    return likeness(letters[0], letters[1]) >= options.alike


def _blank(word: Word) -> str:
    return " " if word.text[:1].isspace() else ""
