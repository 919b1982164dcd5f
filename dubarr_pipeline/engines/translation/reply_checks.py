"""Checks of machine translations: pure functions on texts that name a fault.

They name gross faults only, those of a language model that has lost the thread: the source
repeated, another language, another script, an empty string, a glossary term ignored. The words by
which they know a language are in `reply_checks.toml`.
"""

import re
import unicodedata
from functools import cache
from typing import Any, Literal

from dubarr_pipeline.script.model import Context, Term
from dubarr_pipeline.text.syllables import text_weight
from dubarr_pipeline.text.tables import read_table

Fault = Literal["empty", "echo", "wrong_script", "wrong_language", "broken_term", "runaway"]

_ENOUGH_WORDS = 6
_ENOUGH_WORDS_WITHOUT_OURS = 8
_RUNAWAY = 5.0
"""A translation is a runaway if it takes so many times longer to say than its source..."""
_LONG_SYLLABLES = 60
"""... and has at least so many syllables."""


def base(language: str) -> str:
    """Return a language without its region: ``pt`` of ``pt-BR``."""
    return language.split("-")[0].lower()


def _table(name: str) -> Any:
    return read_table("dubarr_pipeline.engines.translation", "reply_checks")[name]


@cache
def _small_words(language: str) -> frozenset[str]:
    return frozenset(_table("small_words").get(base(language), "").split())


def find_fault(
    text: str, source_text: str, languages: tuple[str, str], terms: tuple[Term, ...] = ()
) -> Fault | None:
    """Return the fault of a translation, or None.

    `languages` are the source's and its own, `terms` the glossary's in the source text.
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
    """Return the glossary terms that occur in a text as whole words, in any case."""
    return tuple(
        term
        for term in context.glossary
        if re.search(rf"(?i)(?<!\w){re.escape(term.source)}(?!\w)", text)
    )


def is_echo(text: str, source_text: str, languages: tuple[str, str]) -> bool:
    """Return whether the source came back untranslated. A name or an exclamation may rightly stay.

    Equal texts are an echo if they have four different words, or a small word that only the source
    language has.
    """
    words = _words(source_text)
    if _words(text) != words:
        return False
    theirs, ours = map(_small_words, languages)
    return len({word for word in words if not word.isdigit()}) >= 4 or not theirs.isdisjoint(
        word for word in words if word not in ours
    )


def in_script(text: str, language: str, source_text: str = "") -> bool:
    """Return whether at least half of the letters are of the language's script.

    Names and acronyms with a capital in the source ("FBI", "James Bond") do not count: they may
    rightly stay as they are.
    """
    names = {word for word in re.findall(r"[^\W_]+", source_text) if word[:1].isupper()}
    own = [word for word in re.findall(r"[^\W_]+", text) if word not in names]
    letters = [character for word in own for character in word if character.isalpha()]
    scripts = tuple(_table("scripts").get(base(language), "LATIN").split())
    wanted = sum(unicodedata.name(letter, "").startswith(scripts) for letter in letters)
    return 2 * wanted >= len(letters)


def sounds_like(text: str, source: str, target: str) -> bool:
    """Return whether a text has many small words of the source, and few of the target.

    Close languages share most of theirs: there, few are enough if none is the target's.
    """
    words = _words(text)
    theirs, ours = _small_words(source), _small_words(target)
    if not (theirs and ours) or theirs == ours or len(words) < _ENOUGH_WORDS:
        return False
    wrong = sum(1 for word in words if word in theirs - ours)
    right = sum(1 for word in words if word in ours - theirs)
    if not right and wrong >= 2 and len(words) >= _ENOUGH_WORDS_WITHOUT_OURS:
        return True
    return 4 * wrong >= len(words) and wrong > 2 * right


def keeps_term(text: str, term: Term, target: str) -> bool:
    """Return whether a text has the glossary's word for a term; endings may be inflected."""
    wanted = term.translations.get(target) or term.translations.get(base(target))
    if wanted is None:
        if term.kind != "name" or not in_script(term.source, target):
            return True
        # Ranks and titles before a name are translated, the name stays.
        titles = "|".join(_table("titles"))
        wanted = re.sub(rf"(?i)^(?:(?:{titles})\b\.?\s*)+", "", term.source)
    if wanted.casefold() in text.casefold():
        return True
    words = _words(_bare(text))
    # Words of four letters or more may differ in their last two: an inflected ending.
    return all(
        any(
            o == word or (len(word) > 3 and o.startswith(word[: max(4, len(word) - 2)]))
            for o in words
        )
        for word in _words(_bare(wanted))
    )


def _bare(text: str) -> str:
    """Return a text without accents: a plural may change them (Haus, Häuser; dragón, dragones)."""
    signs = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in signs if unicodedata.category(sign) != "Mn")


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text).casefold())
