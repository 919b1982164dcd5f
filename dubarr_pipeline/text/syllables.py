"""Syllables of a text in any script, counted closely enough to predict its length.

No dictionaries: vowel groups for alphabets, with the few rules per language that matter most; one
per character for scripts that write syllables; estimates for scripts that leave vowels out: the
rules and estimates are in `syllables.toml`. The remaining bias of a language is learned by
`length_model` after a few lines. Where no language is known, `text_weight` is a relative length.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from dubarr_pipeline.text.tables import read_table

_LATIN = "aeiouyæœø\u0131əɛɔ"
_CYRILLIC = "аеёиоуыэюяіїєүұөәў"
_GREEK = "αεηιουω"
_VOWELS = frozenset(_LATIN + _CYRILLIC + _GREEK)

_DIGIT = 2.0
"""Syllables per written digit, in the languages at hand between 1 (zh) and 3 (de, ru)."""
_KANJI_MORAE = 1.8
_SMALL_KANA = frozenset("ゃゅょぁぃぅぇぉャュョァィゥェォ")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")

_VOWEL_RUN = re.compile(r"[aeiouyàáâãäåæèéêëìíîïòóôõöøœùúûüýÿ]+", re.I)
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_PAUSE_SYLLABLES = {",": 0.5, ";": 0.8, ":": 0.8, ".": 1.0, "!": 1.0, "?": 1.0, "…": 1.5}
SYLLABLES_PER_S = 4.5
"""Everyday speech; 3 is slow, 7 about the fastest that people understand with ease."""


def _table(name: str) -> Mapping[str, Any]:
    return read_table("dubarr_pipeline.text", "syllables")[name]


@lru_cache(maxsize=4096)
def syllables(text: str, language: str) -> float:
    """Return about how many syllables a text has when spoken; 0 with nothing to say."""
    base = language.split("-")[0].lower()
    count = 0.0
    for word in _WORD.findall(text):
        if _script(word) in _table("per_letter"):
            count += sum(_letter(character, base) for character in word)
        elif len(word) > 1 and word.isupper() and not set(_plain(word.lower())) & _VOWELS:
            count += len(word)
        else:
            count += max(1, _vowel_groups(word.lower(), base))
    return count + _DIGIT * sum(1 for character in text if character.isdigit())


def _vowel_groups(word: str, language: str) -> int:
    rule = _table("rules").get(language, {})
    vowels, together = frozenset(rule.get("vowels", _VOWELS)), rule.get("together")
    groups, run = 0, ""
    for character in [*word, " "]:
        if character in vowels or _plain(character) in vowels:
            run += character
        elif run:
            groups += len(re.sub(together, "a", run)) if together else 1
            run = ""
    silent = "silent" in rule and groups > 1 and re.search(rule["silent"], word) is not None
    return groups - silent


def _letter(character: str, base: str) -> float:
    if character in _SMALL_KANA:
        return 0.0
    script = _script(character)
    if unicodedata.combining(character) == 9:  # a virama: the letter before it has no vowel
        return -_table("per_letter").get(script, 0.0)
    if not character.isalpha():
        return 0.0
    if script == "CJK" and base == "ja":
        return _KANJI_MORAE
    return _table("per_letter").get(script, 0.4)


def _script(text: str) -> str:
    return unicodedata.name(text[0], "").split(" ")[0].split("-")[0]


def _plain(text: str) -> str:
    """Return the letters without their accents."""
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def word_weight(word: str) -> float:
    """Syllables that a word takes, at least one if anything of it is spoken; no pause counted."""
    wide = len(_WIDE.findall(word))
    digits = sum(character.isdigit() for character in word)
    vowels = len(_VOWEL_RUN.findall(word))
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
