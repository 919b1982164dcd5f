"""Translators that take the target language's subtitles first; of them that of `lite`."""

import re
from dataclasses import replace
from typing import ClassVar

import langcodes
from langcodes.tag_parser import LanguageTagError

from dubarr_pipeline.engines.interfaces import Draft, DraftBatch, Need, Translator
from dubarr_pipeline.engines.translation.apertium import ApertiumOptions, ApertiumTranslator


class SubtitlesFirst(Translator):
    """Takes a line from the target language's subtitles if they have it, else from a machine."""

    def __init__(self, subtitled: tuple[str, ...], machine: Translator) -> None:
        self._subtitles = SubtitleTranslator(subtitled)
        self._machine = machine

    def identity(self) -> str:
        return f"{self.name} [{self._subtitles.identity()}] [{self._machine.identity()}]"

    def needs(self) -> tuple[Need, ...]:
        return self._machine.needs()

    def load(self) -> None:
        self._machine.load()

    def unload(self) -> None:
        self._machine.unload()

    def serves(self, source: str, target: str) -> bool:
        return any(e.serves(source, target) for e in (self._subtitles, self._machine))

    def targets(self, source: str) -> tuple[str, ...]:
        return tuple(sorted({*self._subtitles.targets(source), *self._machine.targets(source)}))

    def draft(self, batch: DraftBatch) -> list[Draft]:
        self.check(batch.source, batch.target)
        translated: dict[int, Draft] = {}
        failed: dict[int, Draft] = {}
        for engine in (self._subtitles, self._machine):
            left = tuple(line for line in batch.lines if line.segment.index not in translated)
            if left and engine.serves(batch.source, batch.target):
                drafts = engine.draft(replace(batch, lines=left))
                translated |= {draft.index: draft for draft in drafts if draft.versions}
                failed |= {draft.index: draft for draft in drafts if not draft.versions}
        # A line that neither can translate carries the fault of the last one asked.
        both = failed | translated
        return [both[line.segment.index] for line in batch.lines]


class LiteTranslator(SubtitlesFirst):
    """Existing subtitles, else Apertium. `pairs` are the languages that `needs` lists."""

    name: ClassVar[str] = "lite"

    def __init__(
        self,
        subtitled: tuple[str, ...] = (),
        pairs: tuple[tuple[str, str], ...] = (),
        options: ApertiumOptions | None = None,
    ) -> None:
        subtitles = SubtitleTranslator(subtitled)
        missing = tuple(pair for pair in pairs if not subtitles.serves(*pair))
        self._optional = bool(pairs) and not missing
        super().__init__(subtitled, ApertiumTranslator(missing, options))

    def needs(self) -> tuple[Need, ...]:
        """Return Apertium's needs, unless the subtitles cover every requested language."""
        return () if self._optional else super().needs()


CLOSE_ENOUGH = 9
"""Largest distance by langcodes at which one tag's subtitles serve another: the same language in
another region (``es-MX`` for ``es``: 4 to 5); Brazilian and European Portuguese are 4 apart."""


class SubtitleTranslator(Translator):
    """Takes each line's translation from the subtitles in `LineToDraft.existing`."""

    name: ClassVar[str] = "subtitles"

    def __init__(self, languages: tuple[str, ...] = ()) -> None:
        self._languages = languages

    def identity(self) -> str:
        return "subtitles cleaning=1"

    def serves(self, source: str, target: str) -> bool:
        return not same_language(source, target) and any(
            same_language(target, language) for language in self._languages
        )

    def targets(self, source: str) -> tuple[str, ...]:
        return tuple(
            language for language in self._languages if not same_language(source, language)
        )

    def draft(self, batch: DraftBatch) -> list[Draft]:
        self.check(batch.source, batch.target)
        texts = [(line.segment.index, spoken_text(line.existing or "")) for line in batch.lines]
        return [
            Draft(index, (text,)) if text else Draft(index, (), "no_subtitle")
            for index, text in texts
        ]


def same_language(one: str, other: str) -> bool:
    """Return whether subtitles in one of these BCP-47 languages serve the other."""
    try:
        if langcodes.Language.get(one).language != langcodes.Language.get(other).language:
            return False
        return langcodes.tag_distance(one, other) <= CLOSE_ENOUGH
    except LanguageTagError:
        return False


def spoken_text(subtitle: str) -> str:
    """Return a subtitle's spoken text on one line, without dashes, music notes and noises."""
    text = re.sub(r"[♪♫♬♩]|[\[(][^\])]*[\])]", " ", subtitle)
    text = " ".join(re.sub(r"^\s*[-–—]\s*", "", line) for line in text.splitlines())
    text = re.sub(r"\s+", " ", text).strip()
    return text if re.search(r"\w", text) else ""
