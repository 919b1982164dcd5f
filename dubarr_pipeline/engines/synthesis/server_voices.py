"""Voices of a speech server: from its own list, or from the settings; and what names tell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from dubarr_pipeline.engines.synthesis.kokoro_text import accents
from dubarr_pipeline.script.model import Sex, StockVoice
from dubarr_pipeline.services.speech_client import ServedVoice
from dubarr_pipeline.text.languages import same_language
from dubarr_pipeline.text.tables import read_table

_PACKAGE = "dubarr_pipeline.engines.synthesis"
_OF_KOKORO = re.compile(r"(?P<accent>[a-z])(?P<sex>[fm])_\w+")
_SEXES: Mapping[str, Sex] = {"f": "female", "m": "male"}


def named_voice(written: str) -> ServedVoice:
    """Return the voice of a setting, ``"name"`` or ``"name:sex"``.

    Raises:
        ValueError: if the sex is none; it lists the choices.
    """
    name, colon, sex = written.rpartition(":")
    if not colon:
        return ServedVoice(written)
    for known in get_args(Sex):
        if name and sex == known:
            return ServedVoice(name, known)
    raise ValueError(
        f"voice {written!r}: write its name, or name:sex with {', '.join(get_args(Sex))}"
    )


def stock_voices(served: Sequence[ServedVoice], language: str) -> tuple[StockVoice, ...]:
    """Return a server's voices for a language, those that were made for it first."""
    found = [_stock_voice(each, language) for each in served]
    return tuple(sorted(found, key=lambda voice: not voice.native))


def _stock_voice(served: ServedVoice, language: str) -> StockVoice:
    facts: Mapping[str, Any] = read_table(_PACKAGE, "kokoro_voices")["voices"].get(served.name, {})
    table = read_table(_PACKAGE, "server_voices")
    sex: Sex | None = facts.get("sex") or table["openai"].get(served.name.lower())
    spoken = served.languages
    # Names of Kokoro's voices begin with their language and sex, also those of later versions.
    tags = {**table["kokoro"], **{letter: each.tag for letter, each in accents().items()}}
    if (like := _OF_KOKORO.fullmatch(served.name)) and like["accent"] in tags:
        sex = sex or _SEXES[like["sex"]]
        spoken = spoken or (tags[like["accent"]],)
    native = not spoken or any(same_language(each, language) for each in spoken)
    known = served.sex or sex
    return StockVoice(served.name, known, facts.get("age"), facts.get("pitch_hz"), native)
