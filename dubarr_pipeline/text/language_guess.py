"""The language of a text, guessed from its letters by the model in py3langid's package."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from dubarr_pipeline.text.language_model import language_identifier
from dubarr_pipeline.text.languages import base_language, same_language

UNKNOWN = "und"
_PIECE_WORDS = 60
_LEAST_SHARE = 0.4
_FULL_BYTES = 60
"""Length in UTF-8 from which a text is believed as far as the model believes it."""
_SURE = 0.9
_ALIKE = tuple(map(frozenset, (("hr", "sr", "bs", "sh", "cnr"), ("no", "nn"), ("id", "ms"))))
"""Languages that a text does not tell apart for certain."""
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_TELLING_WORDS, _TELLING_LETTERS = 3, 12
"""A line of fewer words in small letters ("OK, Maria!", "Hotel Ritz") tells no language."""
_CASELESS_LETTERS = 5
_SOURCE_MARGIN, _OTHER_MARGIN = 4.0, 5.0
"""Logarithms of how many times likelier a line is in the source's language than in its own, and
the same for a third language (docs/decisions/0030-the-gate.md)."""


@dataclass(frozen=True, slots=True)
class LanguageGuess:
    """A BCP-47 language (``und`` where nothing fits) and how sure it is, 0 to 1."""

    language: str
    confidence: float

    def contradicts(self, tag: str | None) -> bool:
        """Return whether a text is surely not in the language that its label names."""
        labelled, guessed = base_language(tag), base_language(self.language)
        if self.confidence < _SURE or labelled is None or same_language(tag, self.language):
            return False
        alike = any({labelled, guessed} <= group for group in _ALIKE)
        return not alike and any(same_language(tag, known) for known in _identifier().labels)


def guess_language(texts: Iterable[str], longest_words: int = 4000) -> LanguageGuess:
    """Guess the language of a script from its first words.

    It is guessed piece by piece, so that a script in two languages is in neither for certain.
    """
    words = list(islice((word for text in texts for word in text.split()), longest_words))
    found: Counter[str] = Counter()
    size = 0
    for start in range(0, len(words), _PIECE_WORDS):
        piece = " ".join(words[start : start + _PIECE_WORDS])
        length = len(piece.encode("utf-8", "replace")) if any(map(str.isalpha, piece)) else 0
        size += length
        for language, share in _identifier().rank(piece)[:5] if length else ():
            found[language] += share * length
    language = max(found, key=lambda each: found[each], default=UNKNOWN)
    alike = next((group for group in _ALIKE if language in group), frozenset((language,)))
    weight = sum(found[each] for each in alike)
    if weight < _LEAST_SHARE * size or not size:
        return LanguageGuess(UNKNOWN, 0.0)
    return LanguageGuess(language, round(weight / size * min(1.0, size / _FULL_BYTES), 3))


def foreign_language(text: str, expected: str, source: str) -> str | None:
    """Return the language in which a line surely is instead of the expected one, or None.

    `source` is the language that it was translated from. Capitalised words are taken for names, and
    repeated ones count once; what is left decides only if it is long enough. Languages that are
    alike are not told apart.
    """
    words, own = _telling_words(text), _labels_of(expected)
    if not (words and own):
        return None
    letters, theirs = sum(map(len, words)), _labels_of(source)
    shares = dict(_identifier().rank(" ".join(words)))
    bound = _log_share(shares, own)
    if theirs.isdisjoint(own) and _log_share(shares, theirs) - bound > _SOURCE_MARGIN:
        return base_language(source)
    best = max(shares, key=lambda each: shares[each])
    sure = math.log(shares[best]) - bound > _OTHER_MARGIN
    return best if letters >= 2 * _TELLING_LETTERS and sure and best not in own else None


def is_copy(text: str, original: str, expected: str) -> bool:
    """Return whether a line is its original's text, in a language that the model does not know.

    Of a language that it knows, the text itself tells more: like languages share whole lines.
    """
    same = text.split() == original.split() and bool(_telling_words(text))
    return same and not _labels_of(expected)


def common_words(text: str) -> list[str]:
    """Return the words of a line in small letters: capitalised ones may be names."""
    words = _WORD.findall(text)
    if text.isupper():
        return [word.lower() for word in words]
    return [word for word in words if not word[0].isupper()]


def _telling_words(text: str) -> list[str]:
    """Return the words of a line that are no names, each once; none if they are too few to tell."""
    words = list(dict.fromkeys(common_words(text)))
    cased = any(word.upper() != word.lower() for word in words)
    enough = sum(map(len, words)) >= (_TELLING_LETTERS if cased else _CASELESS_LETTERS)
    return words if enough and (len(words) >= _TELLING_WORDS or not cased) else []


def _log_share(shares: Mapping[str, float], labels: Iterable[str]) -> float:
    return math.log(max(sum(shares[label] for label in labels), 1e-300))


@lru_cache(maxsize=64)
def _labels_of(tag: str) -> frozenset[str]:
    """Return the model's labels for a language and for those that a text does not tell from it."""
    base = base_language(tag)
    alike = next((group for group in _ALIKE if base in group), frozenset((base,)))
    return frozenset(each for each in _identifier().labels if base_language(each) in alike)


@lru_cache(maxsize=1)
def _identifier() -> Any:
    return language_identifier()
