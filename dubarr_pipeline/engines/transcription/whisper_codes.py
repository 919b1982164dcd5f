"""Whisper's codes of languages, which are not all of them BCP-47."""

from dubarr_pipeline.text.languages import base_language
from dubarr_pipeline.text.tables import read_table

_OWN_CODES = {"jv": "jw", "fil": "tl", "nb": "no", "iw": "he", "in": "id", "cmn": "zh"}
_STANDARD = {"jw": "jv", "tl": "fil"}


def whisper_code(language: str) -> str | None:
    """Return Whisper's code for a BCP-47 language; None if it does not know it."""
    known = read_table("dubarr_pipeline.engines", "languages")["whisper"].split()
    for tag in (language.partition("-")[0].lower(), base_language(language) or ""):
        code = _OWN_CODES.get(tag, tag)
        if code in known:
            return code
    return None


def language_of(code: str) -> str:
    """Return the BCP-47 language that a code of Whisper's stands for."""
    return _STANDARD.get(code, code)
