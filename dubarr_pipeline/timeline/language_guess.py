"""Which language a script is in, from its letters and its commonest words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

_COMMON = {
    "en": "the and you to of is it that what not i'm don't this have are for with was we my your "
    "he she me be on no yes but",
    "es": "que de no la el es y en lo un por qué una te los se con para mi está si bien pero yo "
    "eso las su tu como está",
    "ca": "que de no la el és i en una els per què amb això aquest és meu molt si però jo tot "
    "les han vull estic són ho hi",
    "fr": "je de est pas le vous la tu que un il et à ne les ce en on ça une moi des qui dans "
    "elle mais c'est j'ai pour",
    "de": "ich sie das ist du nicht die und es der was wir zu ein er in mir mit ja wie den auf "
    "mich dass aber eine hat",
    "it": "che non di la il è e un per sono mi una ho lo ti ma cosa si con le da no se ha come "
    "questo della io bene",
    "pt": "que não de o a e é um se para eu com uma os está me você do isso em por mas da ele "
    "ela muito bem no na são",
    "nl": "ik je het de dat is een niet en van wat we in ze hij op te zijn er maar die met voor "
    "ben naar mijn heb",
    "pl": "nie to się w na i z co jest że do tak jak mnie za ja ale ty jestem go tym dla mam czy "
    "jej",
    "sv": "jag det är du inte att en och har vi på i för han vad med som till de den kan om ett "
    "min men",
    "da": "jeg det er du ikke at en og har vi på i for han hvad med som til de den kan om et min "
    "men af",
    "nb": "jeg det er du ikke å en og har vi på i for han hva med som til de den kan om et min "
    "men av",
    "fi": "on ja ei se en hän mitä että minä sinä olen ole mutta niin kun hyvä nyt tämä mutta jos",
    "cs": "se to je na že a v jsem si ne co mi tak by do jak ale za pro jsi jako vám ho",
    "ro": "nu să de că o în a și ce te la e un pe mă am cu mai este da sunt din asta",
    "hu": "a az nem hogy és egy van ez is mit meg de csak én mi jó igen ha el te azt vagy",
    "tr": "bir bu ne ve mi için ben sen evet hayır çok de da var ama o değil gibi benim",
    "id": "yang aku tidak dan kau ini itu di ke untuk dengan apa kita ada dia akan saya bisa",
}
_SCRIPTS = (
    ("HIRAGANA", "ja"),
    ("KATAKANA", "ja"),
    ("HANGUL", "ko"),
    ("CJK", "zh"),
    ("CYRILLIC", "ru"),
    ("GREEK", "el"),
    ("ARABIC", "ar"),
    ("HEBREW", "he"),
    ("DEVANAGARI", "hi"),
    ("THAI", "th"),
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
UNKNOWN = "und"


@dataclass(frozen=True, slots=True)
class LanguageGuess:
    """A BCP-47 language (``und`` where nothing fits) and how sure it is, 0 to 1."""

    language: str
    confidence: float


def guess_language(texts: Iterable[str], longest_words: int = 4000) -> LanguageGuess:
    """Guess the language of a script from its first words.

    Other scripts than Latin are told by their letters: Cyrillic is called Russian, which is the
    commonest but not the only one, so its confidence is low.
    """
    words: list[str] = []
    for text in texts:
        words += (w.casefold().replace("’", "'") for w in _WORD.findall(text))
        if len(words) >= longest_words:
            break
    if not words:
        return LanguageGuess(UNKNOWN, 0.0)
    return _by_script("".join(words)) or _by_words(words)


def _by_script(letters: str) -> LanguageGuess | None:
    found: Counter[str] = Counter()
    for letter, count in Counter(letters).items():
        script = unicodedata.name(letter, "?").split(" ")[0].split("-")[0]
        found[script] += count
    for script, language in _SCRIPTS:
        # Japanese is told by its kana although most of its letters may be CJK.
        needed = 0.1 if language == "ja" else 0.5
        if found[script] / len(letters) >= needed:
            return LanguageGuess(language, 0.5 if language in ("ru", "ar") else 0.9)
    return None


def _by_words(words: list[str]) -> LanguageGuess:
    counts = Counter(words)
    shares = sorted(
        (
            (sum(counts[w] for w in set(common.split())) / len(words), language)
            for language, common in _COMMON.items()
        ),
        reverse=True,
    )
    (best, language), (second, _) = shares[0], shares[1]
    if best < 0.1:
        return LanguageGuess(UNKNOWN, 0.0)
    sure = min(1.0, len(words) / 30) * min(1.0, 0.4 + (best - second) / best)
    return LanguageGuess(language, round(sure, 3))
