"""The language of a text, guessed from its letters by the model in py3langid's package."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from dubarr_pipeline.text.languages import base_language, same_language

UNKNOWN = "und"
_PIECE_WORDS = 60
_LEAST_SHARE = 0.4
_FULL_BYTES = 60
"""Length in UTF-8 from which a text is believed as far as the model believes it."""
_SURE = 0.9
_ALIKE = tuple(map(frozenset, (("hr", "sr", "bs", "sh", "cnr"), ("no", "nn"), ("id", "ms"))))
"""Languages that a text does not tell apart for certain."""


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


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """Return the model, restricted to languages with a two-letter code: others are dialects."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([label for label in identifier.labels if len(label) == 2])
    return identifier
