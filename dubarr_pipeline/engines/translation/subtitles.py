"""A translation that somebody has already made: the video's subtitles in the target language."""

from __future__ import annotations

import re
from typing import ClassVar

import langcodes
from langcodes.tag_parser import LanguageTagError

from dubarr_pipeline.engines.interfaces import Draft, DraftBatch, LineToDraft, Need, Translator
from dubarr_pipeline.errors import LanguageError

CLOSE_ENOUGH = 9
"""langcodes' distance up to which one tag's subtitles do for another: the same language, its region
apart (``es-MX`` for ``es``: 4 to 5); Brazilian and European Portuguese are 4 apart, too."""


class SubtitleTranslator(Translator):
    """Takes each line's translation from the subtitles that `LineToDraft.existing` holds.

    Args:
        languages: the languages that the video has subtitles in.
    """

    name: ClassVar[str] = "subtitles"

    def __init__(self, languages: tuple[str, ...] = ()) -> None:
        self._languages = languages

    def identity(self) -> str:
        """The engine; its texts are the lines' own."""
        return "subtitles cleaning=1"

    def needs(self) -> tuple[Need, ...]:
        """Nothing."""
        return ()

    def serves(self, source: str, target: str) -> bool:
        """Whether the video has subtitles in the target language."""
        return not same_language(source, target) and any(
            same_language(target, language) for language in self._languages
        )

    def targets(self, source: str) -> tuple[str, ...]:
        """The languages of the subtitles, without the source's own."""
        return tuple(
            language for language in self._languages if not same_language(source, language)
        )

    def draft(self, batch: DraftBatch) -> list[Draft]:
        """Return what the subtitles have; the other lines' fault is ``no_subtitle``.

        Raises:
            LanguageError: if the video has no subtitles in the target language.
        """
        if not self.serves(batch.source, batch.target):
            choices = ", ".join(self.targets(batch.source)) or "no other language"
            raise LanguageError(f"there are no subtitles in {batch.target}; there are in {choices}")
        return [_draft(line) for line in batch.lines]


def _draft(line: LineToDraft) -> Draft:
    text = spoken_text(line.existing or "")
    index = line.segment.index
    return Draft(index, (text,)) if text else Draft(index, (), "no_subtitle")


def same_language(one: str, other: str) -> bool:
    """Whether subtitles in one of these BCP-47 languages do for the other, too."""
    try:
        if langcodes.Language.get(one).language != langcodes.Language.get(other).language:
            return False
        return langcodes.tag_distance(one, other) <= CLOSE_ENOUGH
    except LanguageTagError:
        return False


def spoken_text(subtitle: str) -> str:
    """Return what a subtitle says, on one line: no dashes, music notes, or noises in brackets."""
    text = re.sub(r"[♪♫♬♩]|[\[(][^\])]*[\])]", " ", subtitle)
    text = " ".join(re.sub(r"^\s*[-–—]\s*", "", line) for line in text.splitlines())
    text = re.sub(r"\s+", " ", text).strip()
    return text if re.search(r"\w", text) else ""
