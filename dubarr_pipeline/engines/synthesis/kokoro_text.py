"""Text as Kokoro reads it: phonemes in the spelling that the model was trained on.

espeak-ng's for most languages, misaki's for Japanese and Mandarin.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from dubarr_pipeline.engines.interfaces import Need
from dubarr_pipeline.engines.synthesis.espeak import phoneme_clauses
from dubarr_pipeline.engines.synthesis.kokoro_readers import read_aloud, reader_needs
from dubarr_pipeline.text.languages import closeness, same_language
from dubarr_pipeline.text.tables import read_table

MOST_TOKENS = 510
"""Of one rendering: the model's context of 512, less the silence before and behind."""
_SAME_ACCENT = 2
"""Least `closeness` of languages that are not parted by their regions."""
_MARK = re.compile(r'([;:,!?¡¿—–…"“”„«»()।。、，！？]|\.(?!\w))')
_WITHIN = re.compile(r"(?<=[^\s_ˈˌ])(?![\u02b0-\u036f])(?=[^\W_])")
"""Before the second letter of a phoneme, where espeak would write a tie; not before a diacritic."""


@dataclass(frozen=True, slots=True)
class Accent:
    """A language that Kokoro speaks, as one country does.

    Attributes:
        tag: its BCP-47 tag.
        phonemes: espeak's name of it; empty: the language that is asked for.
        spelling: table by which its phonemes are spelled.
        unlike: tags that count as the same language, and are spoken otherwise.
    """

    tag: str
    phonemes: str = ""
    spelling: str = "general"
    unlike: tuple[str, ...] = ()


@cache
def accents() -> Mapping[str, Accent]:
    """Return the accent of every voice, by the first letter of the voice's name."""
    table = read_table("dubarr_pipeline.engines.synthesis", "kokoro")["accents"]
    return {letter: Accent(**facts) for letter, facts in table.items()}


def find_accent(language: str, voice: str = "") -> Accent | None:
    """Return the accent in which a voice speaks a BCP-47 language here; None if Kokoro does not.

    It is the voice's own where it has the language, else the nearest. Portuguese of Portugal is
    none of Kokoro's, though Brazil's is; Cantonese is none, though Mandarin is.
    """
    found = _nearest_accent(language, voice)
    return found if found and all(n.present for n in reader_needs(found.tag)) else None


def missing_for(language: str) -> tuple[Need, ...]:
    """Return the packages by whose absence alone Kokoro does not speak a BCP-47 language."""
    found = _nearest_accent(language)
    return tuple(n for n in reader_needs(found.tag) if not n.present) if found else ()


def _nearest_accent(language: str, voice: str = "") -> Accent | None:
    own = accents().get(voice[:1])
    found = max(accents().values(), key=lambda accent: closeness(accent.tag, language))
    if closeness(found.tag, language) < _SAME_ACCENT or language.split("-")[0] in found.unlike:
        found = None
    return own if own and same_language(own.tag, language) else found


def spell(text: str, language: str, accent: Accent) -> str:
    """Return the phonemes of a text with stress and punctuation, in Kokoro's vocabulary.

    Raises:
        MissingRequirement: if espeak-ng is not here.
        LineError: ``unspeakable``, of Japanese and Mandarin that cannot be read.
    """
    text = " ".join(text.replace("...", "…").split())
    table = read_table("dubarr_pipeline.engines.synthesis", "kokoro")
    if reader_needs(accent.tag):
        read = read_aloud(text, accent.tag, lambda words: spell(words, "en", accents()["a"]))
        return "".join(table["marks"].get(sign, sign) for sign in read.replace("...", "…"))
    spelled, spoken = list[str](), accent.phonemes or language
    for part in _MARK.split(text):
        if _MARK.fullmatch(part):
            spelled.append(table["marks"].get(part, part))
            continue
        sounds = " ".join(phoneme_clauses(part, spoken)) if part.strip() else ""
        sounds = _WITHIN.sub("^", sounds).replace("_", "")
        for written, said in (*table["spellings"][accent.spelling], ("^", "")):
            sounds = sounds.replace(written, said)
        before, behind = part[:1].isspace(), part[-1:].isspace()
        spelled.append(f"{' ' * before}{sounds}{' ' * (behind and bool(sounds))}")
    return "".join(spelled).strip()


def tokens(spelled: str, vocabulary: Mapping[str, int]) -> list[int]:
    """Return the numbers of a spelling's signs; those that the model does not know are left out."""
    known = [
        unicodedata.normalize("NFD", sign) if sign not in vocabulary else sign for sign in spelled
    ]
    return [vocabulary[sign] for sign in "".join(known) if sign in vocabulary]
