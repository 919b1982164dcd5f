"""How fast languages are spoken, from the literature: what a voice never heard starts from."""

from __future__ import annotations

from collections.abc import Mapping

PUBLISHED_RATES: Mapping[str, float] = {
    "en": 6.19,
    "fr": 7.18,
    "de": 5.97,
    "it": 6.99,
    "ja": 7.84,
    "zh": 5.18,
    "es": 7.82,
    "vi": 5.22,
}
"""Syllables per second, pauses left out, of people who read aloud (in Japanese: morae).

After Pellegrino, Coupé and Marsico, "A cross-language perspective on speech information rate",
Language 87(3), 2011. English, Spanish, Japanese and Mandarin were checked against accounts of that
paper; French, German, Italian and Vietnamese could not be: take them as approximations.
"""

DEFAULT_RATE = 6.63
"""Syllables per second where `PUBLISHED_RATES` has no value: an approximation of the middle of 17
languages, which lie between about 5 and 8 (Coupé, Oh, Dediu and Pellegrino, "Different languages,
similar encoding efficiency", Science Advances 5(9), 2019). A voice's own takes soon correct it."""


def syllable_rate(language: str) -> float:
    """Return syllables per second of a BCP-47 language; `DEFAULT_RATE` where none is published."""
    return PUBLISHED_RATES.get(language.split("-")[0].lower(), DEFAULT_RATE)
