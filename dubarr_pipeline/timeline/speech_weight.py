"""How much time a piece of text takes beside another: a weight in syllables, for any script."""

from __future__ import annotations

import re
import unicodedata

_VOWELS = re.compile(r"[aeiouyàáâãäåæèéêëìíîïòóôõöøœùúûüýÿ]+", re.I)
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_PAUSE_SYLLABLES = {",": 0.5, ";": 0.8, ":": 0.8, ".": 1.0, "!": 1.0, "?": 1.0, "…": 1.5}
SYLLABLES_PER_S = 4.5
"""Everyday speech; 3 is slow, 7 about the fastest that people understand with ease."""


def word_weight(word: str) -> float:
    """Syllables that a word takes, at least one if anything of it is spoken; no pause counted."""
    wide = len(_WIDE.findall(word))
    digits = sum(character.isdigit() for character in word)
    vowels = len(_VOWELS.findall(word))
    letters = sum(unicodedata.category(c)[0] == "L" for c in word) - wide
    if letters and not vowels:
        # Scripts whose vowels the table does not list, and abbreviations.
        vowels = max(1, round(letters / 2.5))
    weight = float(wide + 2 * digits + vowels)
    return max(weight, 1.0) if any(c.isalnum() for c in word) else 0.0


def pause_weight(word: str) -> float:
    """Syllables of silence that the punctuation at a word's end stands for."""
    bare = word.rstrip("\"'”’»)]")
    return _PAUSE_SYLLABLES.get(bare[-1:], 0.0) if bare else 0.0


def text_weight(text: str) -> float:
    """Syllables of a whole text with its inner pauses; never zero."""
    words = text.split()
    spoken = sum(word_weight(word) for word in words)
    return max(1.0, spoken + sum(pause_weight(word) for word in words[:-1]))
