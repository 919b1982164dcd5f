"""Syllables of a text in any script, counted closely enough to predict its length.

No dictionaries: vowel groups for alphabets, with the few rules per language that matter most; one
per character for scripts that write syllables; estimates for scripts that leave vowels out. The
remaining bias of a language is learned by `length_model` after a few lines. Where no language is
known, `text_weight` is a relative length.
"""

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
    script: share
    for scripts, share in (
        ("CJK HANGUL HIRAGANA KATAKANA", 1.0),
        ("ETHIOPIC", 0.85),
        ("DEVANAGARI BENGALI GURMUKHI GUJARATI ORIYA", 0.8),
        ("TAMIL TELUGU KANNADA MALAYALAM SINHALA", 0.8),
        ("MYANMAR", 0.6),
        ("ARABIC HEBREW SYRIAC", 0.55),
        ("KHMER TIBETAN", 0.5),
        ("THAI LAO GEORGIAN", 0.45),
        ("ARMENIAN", 0.4),
    )
    for script in scripts.split()
}
"""Syllables per letter where one cannot read them off: by the script's name in Unicode.

Han, kana and Hangul write about a syllable (in Japanese: a mora) each; Indic letters carry a vowel
unless a virama kills it; Arabic and Hebrew leave short vowels out; the rest are shares of vowels
among letters.
"""
_KANJI_MORAE = 1.8
_SMALL_KANA = frozenset("ゃゅょぁぃぅぇぉャュョァィゥェォ")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")

_VOWEL_RUN = re.compile(r"[aeiouyàáâãäåæèéêëìíîïòóôõöøœùúûüýÿ]+", re.I)
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_PAUSE_SYLLABLES = {",": 0.5, ";": 0.8, ":": 0.8, ".": 1.0, "!": 1.0, "?": 1.0, "…": 1.5}
SYLLABLES_PER_S = 4.5
"""Everyday speech; 3 is slow, 7 about the fastest that people understand with ease."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """Written vowels that a language joins or drops.

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
    **dict.fromkeys(("ru", "uk", "be", "bg", "tr"), _Rule(re.compile(r"$^"))),
    "pl": _Rule(re.compile(r"i[aeouóąę]"), vowels=frozenset("aeiouyóąę")),
    "cs": _Rule(re.compile(r"ou|au|eu")),
    "hu": _Rule(re.compile(r"$^"), vowels=frozenset("aeiouáéíóöőúüű")),
}


def syllables(text: str, language: str) -> float:
    """Return about how many syllables a text has when spoken; 0 for one with nothing to say.

    Of an unknown language, the script alone is counted.
    """
    base = language.split("-")[0].lower()
    count = 0.0
    for word in _WORD.findall(text):
        if _script(word) in _PER_LETTER:
            count += sum(_letter(character, base) for character in word)
        elif len(word) > 1 and word.isupper() and not set(_plain(word.lower())) & _VOWELS:
            count += len(word)
        else:
            count += max(1, _vowel_groups(word.lower(), _RULES.get(base, _Rule())))
    return count + _DIGIT * sum(1 for character in text if character.isdigit())


def _vowel_groups(word: str, rule: _Rule) -> int:
    groups, run = 0, ""
    for character in [*word, " "]:
        if character in rule.vowels or _plain(character) in rule.vowels:
            run += character
        elif run:
            groups += len(rule.together.sub("a", run)) if rule.together else 1
            run = ""
    silent = rule.silent is not None and groups > 1 and rule.silent.search(word) is not None
    return groups - silent


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
