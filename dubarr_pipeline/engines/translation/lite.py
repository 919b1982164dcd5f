"""The embedded profile's translator: what people have translated already, else Apertium's rules."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from dubarr_pipeline.engines.interfaces import Draft, DraftBatch, Need, Translator
from dubarr_pipeline.engines.translation.apertium import ApertiumOptions, ApertiumTranslator
from dubarr_pipeline.engines.translation.subtitles import SubtitleTranslator
from dubarr_pipeline.errors import LanguageError


class LiteTranslator(Translator):
    """Takes a line from the target language's subtitles where they have it, else from Apertium.

    Args:
        subtitled: the languages that the video has subtitles in.
        pairs: (source, target) languages that `needs` is to ask for.
        options: how Apertium is run.
    """

    name: ClassVar[str] = "lite"

    def __init__(
        self,
        subtitled: tuple[str, ...] = (),
        pairs: tuple[tuple[str, str], ...] = (),
        options: ApertiumOptions | None = None,
    ) -> None:
        self._subtitles = SubtitleTranslator(subtitled)
        missing = tuple(pair for pair in pairs if not self._subtitles.serves(*pair))
        self._optional = bool(pairs) and not missing
        self._apertium = ApertiumTranslator(missing, options)

    def identity(self) -> str:
        """Both engines'."""
        return f"lite [{self._subtitles.identity()}] [{self._apertium.identity()}]"

    def needs(self) -> tuple[Need, ...]:
        """What Apertium needs, unless the subtitles have every language that was asked for."""
        return () if self._optional else self._apertium.needs()

    def load(self) -> None:
        """Make both ready."""
        self._apertium.load()

    def unload(self) -> None:
        """End Apertium's programs."""
        self._apertium.unload()

    def serves(self, source: str, target: str) -> bool:
        """Whether there are subtitles in the target language, or an Apertium pair into it."""
        return any(e.serves(source, target) for e in (self._subtitles, self._apertium))

    def targets(self, source: str) -> tuple[str, ...]:
        """The languages that either can bring."""
        return tuple(sorted({*self._subtitles.targets(source), *self._apertium.targets(source)}))

    def draft(self, batch: DraftBatch) -> list[Draft]:
        """Translate every line, the subtitles' lines by the subtitles, in the order of the batch.

        A line that neither can translate has no version, but the fault of the last one asked.

        Raises:
            LanguageError: if neither can translate between these languages.
            EngineError: if Apertium's programs die again and again.
        """
        if not self.serves(batch.source, batch.target):
            choices = ", ".join(self.targets(batch.source)) or "nothing"
            raise LanguageError(
                f"lite does not translate {batch.source} into {batch.target} here; it can {choices}"
            )
        found: dict[int, Draft] = {}
        failed: dict[int, Draft] = {}
        for engine in (self._subtitles, self._apertium):
            left = tuple(line for line in batch.lines if line.segment.index not in found)
            if left and engine.serves(batch.source, batch.target):
                drafts = engine.draft(replace(batch, lines=left))
                found |= {draft.index: draft for draft in drafts if draft.versions}
                failed |= {draft.index: draft for draft in drafts if not draft.versions}
        both = failed | found
        return [both[line.segment.index] for line in batch.lines]
