"""Language tags as people write them, checked and in one form (BCP-47)."""

from __future__ import annotations

import langcodes
from langcodes.tag_parser import LanguageTagError

from dubarr_pipeline.errors import LanguageError


def parse_languages(text: str) -> tuple[str, ...]:
    """Return the target languages of ``"es,ca"``, in their order and without repeats.

    Raises:
        LanguageError: if there is none, or one that does not exist.
    """
    tags = [standard_tag(part) for part in text.split(",") if part.strip()]
    if not tags:
        raise LanguageError("no target language: name one or more, e.g. --to es,ca")
    return tuple(dict.fromkeys(tags))


def standard_tag(text: str) -> str:
    """Return a language as a BCP-47 tag: ``spa`` → ``es``, ``pt_br`` → ``pt-BR``.

    Raises:
        LanguageError: if there is no such language.
    """
    try:
        tag = langcodes.standardize_tag(text.strip().replace("_", "-"))
    except LanguageTagError:
        tag = ""
    if not tag or tag == "und" or not langcodes.tag_is_valid(tag):
        raise LanguageError(
            f"unknown language {text.strip()!r}: use a BCP-47 tag such as es, ca, pt-BR or zh-Hans"
        )
    return tag


def display_name(tag: str) -> str:
    """The language's name in English, for messages: ``es`` → ``Spanish``."""
    return langcodes.Language.get(tag).display_name()
