"""Checks of machine translations: pure functions on texts that name a fault.

They name gross faults only, those of a language model that has lost the thread: the source
repeated, another language, another script, an empty string, a glossary term ignored.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal

from dubarr_pipeline.script.model import Context, Term
from dubarr_pipeline.text.syllables import text_weight

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
    "zh": "CJK",
    "yue": "CJK",
    "ja": "CJK HIRAGANA KATAKANA",
}
"""Languages that are not written in Latin letters -> their scripts."""

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
"""Commonest small words: enough of them distinguish languages of one script."""

_TITLES = re.compile(
    r"(?i)^(?:(?:captain|capt|doctor|dr|miss|mister|mr|mrs|ms|sir|dame|lady|lord|colonel|major|general"
    r"|admiral|commander|lieutenant|lt|sergeant|sgt|corporal|private|officer|detective|inspector"
    r"|agent|judge|professor|prof|president|senator|mayor|king|queen|prince|princess|duke|duchess"
    r"|count|countess|father|mother|brother|sister|uncle|aunt|reverend|saint|madam|master)\b\.?\s*)+"
)
"""Ranks and titles before a name: these are translated, the name stays."""
_ENOUGH_WORDS = 6
_ENOUGH_WORDS_WITHOUT_OURS = 8
_RUNAWAY = 5.0
"""A translation is a runaway if it takes so many times longer to say than its source..."""
_LONG_SYLLABLES = 60
"""... and has at least so many syllables."""


def base(language: str) -> str:
    """Return a language without its region: ``pt`` of ``pt-BR``."""
    return language.split("-")[0].lower()


def find_fault(
    text: str, source_text: str, languages: tuple[str, str], terms: tuple[Term, ...] = ()
) -> Fault | None:
    """Return the fault of a translation, or None.

    Args:
        text: the translation.
        source_text: of the translation.
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
    theirs, ours = (_SMALL_WORDS.get(base(language), frozenset[str]()) for language in languages)
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
    scripts = tuple(_SCRIPTS.get(base(language), "LATIN").split())
    wanted = sum(unicodedata.name(letter, "").startswith(scripts) for letter in letters)
    return 2 * wanted >= len(letters)


def sounds_like(text: str, source: str, target: str) -> bool:
    """Return whether a text has many small words of the source, and few of the target.

    Close languages share most of theirs: there, few are enough if none is the target's.
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
    """Return whether a text has the glossary's word for a term; endings may be inflected."""
    wanted = term.translations.get(target) or term.translations.get(base(target))
    if wanted is None:
        if term.kind != "name" or not in_script(term.source, target):
            return True
        wanted = _TITLES.sub("", term.source)
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
