"""The languages that Whisper knows, by its own codes and as BCP-47."""

from __future__ import annotations

from dubarr_pipeline.media.languages import base_language

CODES = frozenset(
    (
        "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no "
        "th ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw "
        "gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl "
        "mg as tt haw ln ha ba jw su yue"
    ).split()
)
"""The 99 of the first models, and Cantonese, which the third knows."""
_OWN_CODES = {"jv": "jw", "fil": "tl", "nb": "no", "iw": "he", "in": "id", "cmn": "zh"}
_STANDARD = {"jw": "jv", "tl": "fil"}


def whisper_code(language: str) -> str | None:
    """Return Whisper's code for a BCP-47 language; None if it does not know it."""
    for tag in (language.partition("-")[0].lower(), base_language(language) or ""):
        code = _OWN_CODES.get(tag, tag)
        if code in CODES:
            return code
    return None


def language_of(code: str) -> str:
    """Return the BCP-47 language that a code of Whisper's stands for."""
    return _STANDARD.get(code, code)
