"""What can be wrong with a translation that a machine sent, by name: pure checks on texts.

They name gross faults only, those that a language model makes when it has lost the thread: the
source repeated, another language, another script, an empty string, a glossary term ignored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal

from dubarr_pipeline.timeline.script import Context, Term
from dubarr_pipeline.timeline.speech_weight import text_weight

Fault = Literal["empty", "echo", "wrong_script", "wrong_language", "broken_term", "runaway"]

_SCRIPTS: Mapping[str, str] = {
    **dict.fromkeys("ru uk be bg sr mk kk ky mn".split(), "CYRILLIC"),
    "el": "GREEK",
    **dict.fromkeys("ar fa ur ps".split(), "ARABIC"),
    **dict.fromkeys("he yi".split(), "HEBREW"),
    **dict.fromkeys("hi mr ne".split(), "DEVANAGARI"),
    "th": "THAI",
    "ko": "HANGUL",
    "ka": "GEORGIAN",
    "hy": "ARMENIAN",
    "bn": "BENGALI",
    "ta": "TAMIL",
}
"""Languages written in one script other than Latin. Chinese and Japanese are looked at apart."""

_SMALL_WORDS: Mapping[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the of and to is was you that it he she for are with his they this have not what",
        "es": "el la los las de que y en un una es por con para no se lo como pero está hay muy",
        "ca": "el la els les de que i en un una és per amb no es se por ho com però està això hi",
        "fr": "le la les de des que et en un une est pour avec ne pas ce il elle vous mais",
        "de": "der die das und ist nicht ein eine zu den mit sich auf ich du wir aber wie",
        "it": "il lo la gli le di che e un una è per con non si come ma questo sono",
        "pt": "o a os as de que e em um uma é por com para não se como mas isso você",
        "nl": "de het een en van is niet dat ik je zijn met voor maar op te",
        "pl": "i w nie na się z to jest że do jak ale czy po co",
        "sv": "och att det som en på är av för med inte den jag har",
    }.items()
}
"""The commonest small words: enough of them tell languages of one script apart."""

_ENOUGH_WORDS = 6
_ENOUGH_WORDS_WITHOUT_OURS = 8
_RUNAWAY = 5.0
"""A translation that takes so many times longer to say than its source is not one..."""
_LONG_SYLLABLES = 60
"""... if it is this long at all."""


def base(language: str) -> str:
    """The language without its region: ``pt`` of ``pt-BR``."""
    return language.split("-")[0].lower()


def find_fault(
    text: str, source_text: str, languages: tuple[str, str], terms: tuple[Term, ...] = ()
) -> Fault | None:
    """Name what is wrong with a translation, or None.

    Args:
        text: the translation.
        source_text: what was translated.
        languages: BCP-47 of the source and of the translation.
        terms: the glossary terms that occur in the source text.
    """
    source, target = languages
    if not any(character.isalnum() for character in text):
        return "empty"
    if is_echo(text, source_text, languages):
        return "echo"
    if not in_script(text, target, source_text):
        return "wrong_script"
    if sounds_like(text, source, target):
        return "wrong_language"
    if text_weight(text) > max(_LONG_SYLLABLES, _RUNAWAY * text_weight(source_text)):
        return "runaway"
    broken = any(not keeps_term(text, term, target) for term in terms)
    return "broken_term" if broken else None


def terms_in(text: str, context: Context) -> tuple[Term, ...]:
    """The glossary terms that occur in a text as whole words, upper and lower case alike."""
    return tuple(
        term
        for term in context.glossary
        if re.search(rf"(?i)(?<!\w){re.escape(term.source)}(?!\w)", text)
    )


def is_echo(text: str, source_text: str, languages: tuple[str, str]) -> bool:
    """Whether the source came back untranslated. A name or an exclamation may rightly stay.

    It did if it has four different words, or a small word that only its own language has.
    """
    words = _words(source_text)
    if _words(text) != words:
        return False
    theirs, ours = (_SMALL_WORDS.get(base(language), frozenset[str]()) for language in languages)
    return len({word for word in words if not word.isdigit()}) >= 4 or not theirs.isdisjoint(
        word for word in words if word not in ours
    )


def in_script(text: str, language: str, source_text: str = "") -> bool:
    """Whether at least half of the letters are of the script that the language is written in.

    Names and acronyms that stand in the source with a capital ("FBI", "James Bond") do not count:
    they may rightly stay as they are.
    """
    kept = {word for word in re.findall(r"[^\W_]+", source_text) if word[:1].isupper()}
    own = [word for word in re.findall(r"[^\W_]+", text) if word not in kept]
    letters = [character for word in own for character in word if character.isalpha()]
    wanted = sum(1 for letter in letters if _is_of(letter, base(language)))
    return 2 * wanted >= len(letters)


def _is_of(letter: str, language: str) -> bool:
    name = unicodedata.name(letter, "")
    if language in ("zh", "yue"):
        return name.startswith("CJK")
    if language == "ja":
        return name.startswith(("CJK", "HIRAGANA", "KATAKANA"))
    return name.startswith(_SCRIPTS.get(language, "LATIN"))


def sounds_like(text: str, source: str, target: str) -> bool:
    """Whether a text of some length has many small words of the source, and few of the target.

    Close languages share most of theirs: there, few are enough if none at all is the target's.
    """
    words = _words(text)
    theirs = _SMALL_WORDS.get(base(source))
    ours = _SMALL_WORDS.get(base(target))
    if theirs is None or ours is None or theirs is ours or len(words) < _ENOUGH_WORDS:
        return False
    wrong = sum(1 for word in words if word in theirs - ours)
    right = sum(1 for word in words if word in ours - theirs)
    if not right and wrong >= 2 and len(words) >= _ENOUGH_WORDS_WITHOUT_OURS:
        return True
    return 4 * wrong >= len(words) and wrong > 2 * right


def keeps_term(text: str, term: Term, target: str) -> bool:
    """Whether the glossary's word for the term stands in the text; endings may be inflected."""
    wanted = term.translations.get(target) or term.translations.get(base(target))
    if wanted is None:
        if term.kind != "name" or not in_script(term.source, target):
            return True
        wanted = term.source
    if wanted.casefold() in text.casefold():
        return True
    found = _words(_bare(text))
    return all(any(_same_stem(word, other) for other in found) for word in _words(_bare(wanted)))


def _bare(text: str) -> str:
    """Without accents: a plural may change them (Haus, Häuser; dragón, dragones)."""
    signs = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in signs if unicodedata.category(sign) != "Mn")


def _same_stem(word: str, other: str) -> bool:
    stem = word[: max(4, len(word) - 2)]
    return other == word or (len(word) > 3 and other.startswith(stem))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text).casefold())
