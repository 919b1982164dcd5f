"""Any language model behind an OpenAI-compatible server, as a translator that fits lines to time.

Every reply is checked; what is wrong is named and asked for again, only the lines concerned, at
last one by one. A line that stays wrong comes back with its fault, the others with their versions.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dubarr_pipeline.engines.interfaces import (
    Draft,
    DraftBatch,
    LineToDraft,
    RewriteRequest,
    Translator,
)
from dubarr_pipeline.engines.language_model import LanguageModelEngine
from dubarr_pipeline.engines.translation.prompts import draft_messages, rewrite_messages
from dubarr_pipeline.engines.translation.reply_faults import base, find_fault, terms_in
from dubarr_pipeline.errors import BadReply, LanguageError, LineError
from dubarr_pipeline.services.llm_process import LanguageModelOptions
from dubarr_pipeline.services.server import Host
from dubarr_pipeline.services.wire import DraftedLine, DraftedLines, Rewording

_log = logging.getLogger(__name__)

_DRAFTS_LATER = 1_000_000
"""Added to the priority of drafts: any rewording goes before any draft."""


@dataclass(frozen=True, slots=True)
class OpenAIOptions(LanguageModelOptions):
    """Which language model translates: that of section ``[llm]``, but for what is set here.

    Attributes:
        languages: BCP-47 targets that it serves; empty: all.
        answers: replies to ask for until one is right.
    """

    inherits: ClassVar[str] = "llm"
    """The settings section that fills what is not set."""
    languages: tuple[str, ...] = ()
    answers: int = 3


class OpenAITranslator(LanguageModelEngine[OpenAIOptions], Translator):
    """Translates through ``POST /v1/chat/completions``. For many threads."""

    name: ClassVar[str] = "openai"
    can_rewrite: ClassVar[bool] = True

    def __init__(
        self,
        options: OpenAIOptions | None = None,
        logs: Path | None = None,
        host: Host | None = None,
    ) -> None:
        super().__init__(options or OpenAIOptions(), logs, host)
        self.concurrency = self.options.concurrency  # pyright: ignore[reportAttributeAccessIssue]

    def identity(self) -> str:
        """The model and what steers it; not the address, which may change freely."""
        return f"openai {self.options.identity()} prompt=2"

    def serves(self, source: str, target: str) -> bool:
        """Whether it may translate: into any other language, or into those that were named."""
        named = self.options.languages
        return base(source) != base(target) and (not named or target in named)

    def targets(self, source: str) -> tuple[str, ...]:
        """The languages that were named."""
        return tuple(found for found in self.options.languages if self.serves(source, found))

    def draft(self, batch: DraftBatch) -> list[Draft]:
        """Translate every line, three versions each; a line that stays wrong carries its fault.

        Raises:
            LanguageError: if it does not serve these languages.
            ServiceError: if the server does not answer.
        """
        if not self.serves(batch.source, batch.target):
            choices = ", ".join(self.targets(batch.source)) or "any other language"
            raise LanguageError(
                f"the LLM does not translate {batch.source} into {batch.target!r}; it can {choices}"
            )
        found: dict[int, Draft] = {}
        lines = [line for line in batch.lines if _says_something(line)]
        faults = dict.fromkeys((line.segment.index for line in batch.lines), "empty_translation")
        for answer in range(1, self.options.answers + 1):
            left = [line for line in lines if line.segment.index not in found]
            alone = answer > 1 and answer == self.options.answers
            for group in [[line] for line in left] if alone else [left]:
                if group:
                    self._ask(batch, group, found, faults)
        missing = [line.segment.index for line in batch.lines if line.segment.index not in found]
        for index in missing:
            _log.warning("line %d (%s): %s", index, batch.target, faults.get(index))
        return [
            found.get(line.segment.index) or _failed(line.segment.index, faults)
            for line in batch.lines
        ]

    def rewrite(self, request: RewriteRequest) -> str:
        """Return another wording of one line.

        Raises:
            LineError: if every answer was wrong; its name is the last fault.
            ServiceError: if the server does not answer.
        """
        line, batch = request.line, request.batch
        fault = "bad_reply"
        told: str | None = None
        for _ in range(self.options.answers):
            try:
                reply = self._llm().ask(
                    rewrite_messages(request, told), Rewording, line.segment.index
                )
            except BadReply as error:
                told = str(error)
                continue
            text = reply.text.strip()
            name = "repeated" if text in request.tried else _fault(text, line, batch)
            if name is None:
                return text
            fault = told = name
        raise LineError(fault, f"line {line.segment.index}: no other wording ({told})")

    def _ask(
        self,
        batch: DraftBatch,
        lines: Sequence[LineToDraft],
        found: dict[int, Draft],
        faults: dict[int, str],
    ) -> None:
        """One call for some lines: right answers go to `found`, the others' faults to `faults`."""
        priority = _DRAFTS_LATER + lines[0].segment.index
        try:
            messages = draft_messages(batch, lines, faults)
            reply = self._llm().ask(messages, DraftedLines, priority)
        except BadReply as error:
            _log.info("%s: %s", batch.target, error)
            faults |= {line.segment.index: "bad_reply" for line in lines}
            return
        for line in lines:
            index = line.segment.index
            checked = _check([told for told in reply.lines if told.id == index], line, batch)
            if isinstance(checked, Draft):
                found[index] = checked
            else:
                faults[index] = checked


def _says_something(line: LineToDraft) -> bool:
    """Whether there are words to translate; of a blank, a model makes up what it likes."""
    return any(character.isalnum() for character in line.segment.text)


def _failed(index: int, faults: dict[int, str]) -> Draft:
    return Draft(index, (), faults.get(index, "missing_id"))


def _check(told: list[DraftedLine], line: LineToDraft, batch: DraftBatch) -> Draft | str:
    """The good versions of a line's answer, shortest first, or the fault of them all."""
    if len(told) != 1:
        return "missing_id" if not told else "duplicate_id"
    versions = [text.strip() for text in (told[0].short, told[0].normal, told[0].long)]
    named = [(text, _fault(text, line, batch)) for text in versions]
    good = dict.fromkeys(text for text, fault in named if fault is None)
    if not good:
        return named[1][1] or "bad_reply"
    return Draft(line.segment.index, tuple(sorted(good, key=len)))


def _fault(text: str, line: LineToDraft, batch: DraftBatch) -> str | None:
    terms = terms_in(line.segment.text, batch.context)
    return find_fault(text, line.segment.text, (batch.source, batch.target), terms)
