"""Languages that espeak-ng speaks, and voices built for the speakers of a film.

A voice is espeak's own definition of the language, and after it our lines: the pitch, which follows
the speaker's; the timbre (where the formants lie), which tells apart speakers of nearly the same
pitch; and no flutter, so that the same request gives the same samples.
"""

import hashlib
import importlib.util
import re
from functools import cache
from pathlib import Path

import langcodes
import numpy as np
from langcodes.tag_parser import LanguageTagError

from dubarr_pipeline.errors import LanguageError, MissingRequirement, SettingsError
from dubarr_pipeline.script.model import SpeakerProfile

ALIASES = {"ca-valencia": "ca-va", "zh-hk": "yue", "zh-mo": "yue", "no": "nb", "es-mx": "es-419"}
"""BCP-47 tags that espeak calls by another name. Hong Kong and Macau speak Cantonese."""
LATIN_AMERICA = "es-419"
BASES_HZ = (50, 60, 70, 82, 100, 120, 150, 180, 220, 260, 300, 340)
MEASURED_HZ = (57.8, 70.7, 84.6, 100.7, 124.4, 151.2, 190.7, 229.7, 282.3, 334.0, 387.6, 440.1)
"""Median F0 of speech at each base pitch asked for (autocorrelation over 20 s, the median of eight
languages; a single one lies within a semitone of it, see LANGUAGE_SHIFT)."""
LANGUAGE_SHIFT = {"es": 1.045, "es-419": 1.045, "cmn": 0.885, "ru": 1.015, "de": 0.983, "fr": 0.99}
"""Languages whose intonation moves the median above or below the table's (measured)."""
RANGE_RATIO = 1.44
"""Highest to base pitch: that of espeak's own default voice (82 to 118)."""
LOWEST_HZ, HIGHEST_HZ = 65.0, 400.0
NEUTRAL_HZ = {"male": 120.0, "female": 205.0, "child": 260.0}
UNKNOWN_HZ = (110.0, 200.0, 145.0, 230.0, 95.0, 170.0)
"""For speakers of whom no pitch is known: far apart, in turn."""


TIMBRES = {
    "plain": (100, 100, 100, 100),
    "deep": (90, 91, 90, 85),
    "clear": (108, 108, 107, 150),
    "dark": (97, 93, 96, 35),
    "narrow": (88, 108, 104, 120),
    "open": (116, 95, 97, 75),
    "thin": (100, 113, 112, 60),
    "full": (94, 97, 106, 140),
}
"""Per cent of the language's own frequencies of formants 1, 2 and those above, and of the strength
of formants 3 and above; in the order in which speakers get them: neighbours differ most."""


@cache
def package_folder() -> Path:
    """Find the package that carries espeak-ng, or raise `MissingRequirement`."""
    spec = importlib.util.find_spec("espeakng_loader")
    if spec is None or spec.origin is None:
        raise MissingRequirement("espeak-ng is not here: pip install espeakng-loader")
    return Path(spec.origin).parent


def library_file() -> Path:
    """Return the shared library."""
    names = ("libespeak-ng.so", "libespeak-ng.dylib", "espeak-ng.dll")
    found = [package_folder() / name for name in names if (package_folder() / name).exists()]
    if not found:
        raise MissingRequirement(f"no espeak-ng library in {package_folder()}")
    return found[0]


def data_folder() -> Path:
    """Return the folder of languages and dictionaries."""
    return package_folder() / "espeak-ng-data"


@cache
def language_files() -> dict[str, Path]:
    """Every language tag that espeak claims (lower case), with the definition that claims it most.

    One whose dictionary is not shipped (Faroese, for one) would be spelled out: it is left out.
    """
    claims: dict[str, tuple[int, str, Path]] = {}
    for path in sorted((data_folder() / "lang").rglob("*")):
        if not path.is_file():
            continue
        lines = [line.split() for line in path.read_text("utf-8", "replace").splitlines()]
        told = [words[1:] for words in lines if words[:1] == ["language"] and len(words) > 1]
        named = next((w[1] for w in lines if w[:1] == ["dictionary"] and len(w) > 1), None)
        name = named or (told[0][0].lower().partition("-")[0] if told else "")
        if not (data_folder() / f"{name}_dict").is_file():
            continue
        for rank, (tag, *given) in enumerate(told):
            tag, priority = tag.lower(), int(given[0]) if given else 5
            claim = (priority, f"{rank}{path.name}", path)
            claims[tag] = min(claims.get(tag, claim), claim)
    return {tag: path for tag, (_, _, path) in claims.items()}


@cache
def find_language(tag: str) -> str | None:
    """Return espeak's name for a BCP-47 language, or None where it has none; never another one.

    A region that espeak does not know is spoken with the language's general voice, American Spanish
    in Latin American regions.
    """
    try:
        language = langcodes.Language.get(tag)
    except LanguageTagError:
        return None
    if not language.language or not language.is_valid():
        return None
    known = language_files()
    return next((name for name in _wanted(language) if name in known), None)


def _wanted(language: langcodes.Language) -> list[str]:
    base, region = language.language or "", language.territory
    tags = [language.to_tag()]
    tags += [f"{base}-{variant}" for variant in language.variants or ()]
    tags += [f"{base}-{region}"] if region else []
    if base == "es" and region and region != "ES" and region != "GQ":
        tags.append(LATIN_AMERICA)
    tags = [tag.lower() for tag in (*tags, base)]
    if "zh-hk" in tags or "zh-mo" in tags:
        tags.remove(base)
    return [name for tag in tags for name in (tag, ALIASES.get(tag)) if name]


def served_languages() -> tuple[str, ...]:
    """List the languages that can be requested, for messages."""
    return tuple(sorted(language_files()))


def timbre_name(profile: SpeakerProfile, language: str) -> str:
    """Return the timbre chosen for the speaker by a person, else the one that their id gives.

    Numbered speakers take the timbres in turn, so that the first eight all differ.

    Raises:
        SettingsError: if the chosen one does not exist.
    """
    chosen = profile.voices.get(language)
    if chosen is not None:
        if chosen not in TIMBRES:
            raise SettingsError(
                f"{profile.speaker}: espeak has no voice {chosen!r} for {language}; "
                f"it has {', '.join(TIMBRES)}"
            )
        return chosen
    return list(TIMBRES)[speaker_number(profile.speaker) % len(TIMBRES)]


def speaker_number(speaker: str) -> int:
    """Return the number in ``SPEAKER_07``, or one derived from any other id, always the same."""
    numbered = re.search(r"(\d{1,9})$", speaker)
    if numbered:
        return int(numbered[1])
    return int.from_bytes(hashlib.sha256(speaker.encode("utf-8", "replace")).digest()[:4], "big")


def speaking_pitch_hz(profile: SpeakerProfile) -> float:
    """Return the median F0 for the speaker's voice, within espeak's clear range."""
    wanted = profile.pitch_hz
    if wanted is None and profile.age_group == "child":
        wanted = NEUTRAL_HZ["child"]
    if wanted is None:
        number = speaker_number(profile.speaker)
        wanted = NEUTRAL_HZ.get(profile.gender or "", UNKNOWN_HZ[number % len(UNKNOWN_HZ)])
    return min(max(wanted, LOWEST_HZ), HIGHEST_HZ)


def base_pitch_hz(median_hz: float, language: str) -> float:
    """Return espeak's base pitch whose speech has this median F0: the measured table, inverted."""
    median = median_hz / LANGUAGE_SHIFT.get(language_files()[language].name, 1.0)
    return float(np.interp(median, MEASURED_HZ, BASES_HZ))


def voice_definition(language: str, median_hz: float, timbre: str) -> bytes:
    """Write the voice that speaks espeak's `language` at this median F0 with this timbre.

    espeak raises all formants with the pitch, by a quarter of its rise; above a woman's voice that
    turns into a cartoon's, so what exceeds 20 per cent is taken back.
    """
    base = base_pitch_hz(median_hz, language)
    raised = max(1 + (base - 82) / 82 / 4, 0.9)
    correction = min(raised, 1.2) / raised
    *formants, upper = TIMBRES[timbre]
    first, second, others = (round(formant * correction) for formant in formants)
    lines = [
        f"pitch {round(base)} {round(base * RANGE_RATIO)}",
        "flutter 0",
        f"formant 1 {first} 100 100",
        f"formant 2 {second} 100 100",
        *(f"formant {n} {others} {upper} 100" for n in range(3, 7)),
    ]
    return language_files()[language].read_bytes() + ("\n" + "\n".join(lines) + "\n").encode()


def require_language(tag: str) -> str:
    """Return espeak's name for the language, or raise `LanguageError` with all that it speaks."""
    found = find_language(tag)
    if found is None:
        choices = ", ".join(served_languages())
        raise LanguageError(f"espeak-ng does not speak {tag!r}; it speaks {choices}")
    return found
