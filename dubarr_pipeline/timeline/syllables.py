"""Counts the syllables of a text in any script, closely enough to predict how long it is.

No dictionaries: vowel groups for alphabets, with the few rules per language that matter most; one
per character for scripts that write syllables; estimates for scripts that leave vowels out. The
remaining bias of a language is learned by `length_model` after a few lines.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

_LATIN = "aeiouyæœø\u0131əɛɔ"
_CYRILLIC = "аеёиоуыэюяіїєүұөәў"
_GREEK = "αεηιουω"
_VOWELS = frozenset(_LATIN + _CYRILLIC + _GREEK)

_DIGIT = 2.0
"""Syllables per written digit, in the languages at hand between 1 (zh) and 3 (de, ru)."""
_PER_LETTER: Mapping[str, float] = {
    "CJK": 1.0,
    "HANGUL": 1.0,
    "HIRAGANA": 1.0,
    "KATAKANA": 1.0,
    "THAI": 0.45,
    "LAO": 0.45,
    "KHMER": 0.5,
    "MYANMAR": 0.6,
    "TIBETAN": 0.5,
    "ARABIC": 0.55,
    "HEBREW": 0.55,
    "SYRIAC": 0.55,
    "DEVANAGARI": 0.8,
    "BENGALI": 0.8,
    "GURMUKHI": 0.8,
    "GUJARATI": 0.8,
    "ORIYA": 0.8,
    "TAMIL": 0.8,
    "TELUGU": 0.8,
    "KANNADA": 0.8,
    "MALAYALAM": 0.8,
    "SINHALA": 0.8,
    "ETHIOPIC": 0.85,
    "GEORGIAN": 0.45,
    "ARMENIAN": 0.4,
}
"""Syllables per letter where one cannot read them off: by the script's name in Unicode.

Han, kana and Hangul write about a syllable (in Japanese: a mora) each; Indic letters carry a vowel
unless a virama kills it; Arabic and Hebrew leave short vowels out; the rest are shares of vowels
among letters.
"""
_KANJI_MORAE = 1.8
_SMALL_KANA = frozenset("ゃゅょぁぃぅぇぉャュョァィゥェォ")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class _Rule:
    """How a language joins and drops written vowels.

    Attributes:
        together: vowel pairs said as one syllable; None: any group is one.
        silent: word endings whose vowel is not said, where the word has another.
        vowels: letters that count as vowels, where the script's own would mislead.
    """

    together: re.Pattern[str] | None = None
    silent: re.Pattern[str] | None = None
    vowels: frozenset[str] = _VOWELS


_RULES: Mapping[str, _Rule] = {
    "en": _Rule(silent=re.compile(r"(?:[^aeiouyl]e|[aeiou]le|[^aeiouydt]ed|[^aeiouysxzhcg]es)$")),
    "fr": _Rule(silent=re.compile(r"(?:e|es|[^aiou]ent)$")),
    "es": _Rule(re.compile(r"[iuy][aeoáéó]|[aeoáéó][iuy]|[iu][uiúí]|qu[eiéí]|gu[eiéí]")),
    "pt": _Rule(re.compile(r"[iu][aeoáéóâêôãõ]|[aeoáéóâêôãõ][iu]|ão|ãe|õe|[iu][uiúí]")),
    "it": _Rule(re.compile(r"[iu][aeoàèéòó]|[aeoàèéòó][iu]|[iu][uiùì]")),
    "ca": _Rule(re.compile(r"[aeoàèéòó][iuï]|qu[eiéèí]|gu[eiéèí]|[iu][uiúí]")),
    "ro": _Rule(re.compile(r"[iu][aeoăâî]|[aeoăâî][iu]|ea|oa|[iu][ui]")),
    "fi": _Rule(re.compile(r"([aeiouyäö])\1|[aeouyäö]i|[aeio]u|[äöie]y|ie|uo|yö")),
    "et": _Rule(re.compile(r"([aeiouõäöü])\1|[aeouõäöü][iu]|[aeo]e|[aeu]o")),
    "ru": _Rule(re.compile(r"$^")),
    "uk": _Rule(re.compile(r"$^")),
    "be": _Rule(re.compile(r"$^")),
    "bg": _Rule(re.compile(r"$^")),
    "pl": _Rule(re.compile(r"i[aeouóąę]"), vowels=frozenset("aeiouyóąę")),
    "cs": _Rule(re.compile(r"ou|au|eu")),
    "tr": _Rule(re.compile(r"$^")),
    "hu": _Rule(re.compile(r"$^"), vowels=frozenset("aeiouáéíóöőúüű")),
}


def syllables(text: str, language: str) -> float:
    """Return about how many syllables the text has when spoken; 0 for one with nothing to say.

    Args:
        text: any script, also mixed.
        language: BCP-47; unknown ones are counted by the script alone.
    """
    base = language.split("-")[0].lower()
    count = sum(_word(word, base) for word in _WORD.findall(text))
    return count + _DIGIT * sum(1 for character in text if character.isdigit())


def _word(word: str, base: str) -> float:
    script = _script(word)
    if script in _PER_LETTER:
        return _lettered(word, base)
    if len(word) > 1 and word.isupper() and not set(_plain(word.lower())) & _VOWELS:
        return float(len(word))
    return float(max(1, _vowel_groups(word.lower(), _RULES.get(base, _Rule()))))


def _vowel_groups(word: str, rule: _Rule) -> int:
    groups = 0
    run = ""
    for character in [*word, " "]:
        if character in rule.vowels or _plain(character) in rule.vowels:
            run += character
            continue
        groups += _in_run(run, rule)
        run = ""
    silent = rule.silent is not None and groups > 1 and rule.silent.search(word) is not None
    return groups - silent


def _in_run(run: str, rule: _Rule) -> int:
    if not run:
        return 0
    if rule.together is None:
        return 1
    return len(rule.together.sub("a", run))


def _lettered(word: str, base: str) -> float:
    return sum(_letter(character, base) for character in word)


def _letter(character: str, base: str) -> float:
    if character in _SMALL_KANA:
        return 0.0
    script = _script(character)
    if unicodedata.combining(character) == 9:  # a virama: the letter before it has no vowel
        return -_PER_LETTER.get(script, 0.0)
    if not character.isalpha():
        return 0.0
    if script == "CJK" and base == "ja":
        return _KANJI_MORAE
    return _PER_LETTER.get(script, 0.4)


def _script(text: str) -> str:
    return unicodedata.name(text[0], "").split(" ")[0].split("-")[0]


def _plain(text: str) -> str:
    """The letters without their accents."""
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
