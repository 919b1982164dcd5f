"""Translation by any language model behind an OpenAI-compatible server, fitted to time.

Every reply is checked; wrong lines are named and requested again, in the end one by one. A line
that stays wrong carries its fault, the others their versions.
"""

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
from dubarr_pipeline.engines.llm_engine import LanguageModelEngine
from dubarr_pipeline.engines.translation.prompts import (
    DraftedLine,
    DraftedLines,
    Rewording,
    draft_messages,
    draft_schema,
    rewrite_messages,
)
from dubarr_pipeline.engines.translation.reply_checks import base, find_fault, terms_in
from dubarr_pipeline.errors import BadReply, LineError
from dubarr_pipeline.services.http_client import Host
from dubarr_pipeline.services.llm_client import LanguageModelOptions
from dubarr_pipeline.text.printable import plain_words

_log = logging.getLogger(__name__)

_DRAFTS_LATER = 1_000_000
"""Added to the priority of drafts: any rewording goes before any draft."""


@dataclass(frozen=True, slots=True)
class OpenAIOptions(LanguageModelOptions):
    """Language model that translates: section ``[llm]``, with these exceptions.

    Attributes:
        languages: BCP-47 targets that it serves; empty: all.
        answers: replies to request until one is right.
    """

    inherits: ClassVar[str] = "llm"
    """Settings section for values that are not set."""
    languages: tuple[str, ...] = ()
    answers: int = 3


class OpenAITranslator(LanguageModelEngine[OpenAIOptions], Translator):
    """Translates through ``POST /v1/chat/completions``. Thread-safe."""

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
        """Return the model and its sampling, without the address, which may change freely."""
        return f"openai {self.options.identity()} prompt=3"

    def serves(self, source: str, target: str) -> bool:
        named = self.options.languages
        return base(source) != base(target) and (not named or target in named)

    def targets(self, source: str) -> tuple[str, ...]:
        return tuple(
            language for language in self.options.languages if self.serves(source, language)
        )

    def draft(self, batch: DraftBatch) -> list[Draft]:
        self.check(batch.source, batch.target)
        drafts, doubtful = dict[int, Draft](), dict[int, Draft]()
        # A model would invent words for a line without any.
        lines = [line for line in batch.lines if any(c.isalnum() for c in line.segment.text)]
        faults = dict[int, str]()
        for answer in range(1, self.options.answers + 1):
            left = [line for line in lines if line.segment.index not in drafts]
            alone = answer > 1 and answer == self.options.answers
            for group in [[line] for line in left] if alone else [left]:
                if group:
                    self._ask(batch, group, (drafts, doubtful), faults, answer - 1)
        for line in batch.lines:
            index = line.segment.index
            if index not in drafts and index in doubtful:
                drafts[index] = doubtful[index]
            elif index not in drafts:
                fault = faults.get(index, "empty_translation")
                _log.warning("line %d (%s): %s", index, batch.target, fault)
                drafts[index] = Draft(index, (), fault)
        return [drafts[line.segment.index] for line in batch.lines]

    def rewrite(self, request: RewriteRequest) -> str:
        line, batch = request.line, request.batch
        fault = "bad_reply"
        reason: str | None = None
        for retry in range(self.options.answers):
            messages = rewrite_messages(request, reason)
            try:
                reply = self._llm().ask(messages, Rewording, line.segment.index, retry=retry)
            except BadReply as error:
                reason = str(error)
                continue
            text = plain_words(reply.text)
            name = "repeated" if text in request.tried else _fault(text, line, batch)
            if name is None:
                return text
            fault = reason = name
        raise LineError(fault, f"line {line.segment.index}: no other wording ({reason})")

    def _ask(
        self,
        batch: DraftBatch,
        lines: Sequence[LineToDraft],
        found: tuple[dict[int, Draft], dict[int, Draft]],
        faults: dict[int, str],
        retry: int,
    ) -> None:
        """Ask for some lines; add right answers to the first of `found`, the others' to `faults`.

        Answers without any fault but a glossary term that is missing are added to the second.
        """
        drafts, doubtful = found
        priority = _DRAFTS_LATER + lines[0].segment.index
        try:
            messages = draft_messages(batch, lines, faults)
            schema = draft_schema([line.segment.index for line in lines])
            reply = self._llm().ask(messages, DraftedLines, priority, schema=schema, retry=retry)
        except BadReply as error:
            _log.info("%s: %s", batch.target, error)
            faults |= {line.segment.index: "bad_reply" for line in lines}
            return
        for line in lines:
            index = line.segment.index
            answers = [each for each in reply.lines if each.id == index]
            fault, draft = _check(answers, line, batch)
            if fault is not None:
                faults[index] = fault
            if draft is not None:
                (drafts if fault is None else doubtful)[index] = draft


def _check(
    answers: list[DraftedLine], line: LineToDraft, batch: DraftBatch
) -> tuple[str | None, Draft | None]:
    """Return the fault of a line's answer, and its usable versions, shortest first.

    Where every version has a fault, those are usable that lack no more than a glossary term.
    """
    if len(answers) != 1:
        return "missing_id" if not answers else "duplicate_id", None
    versions = [
        plain_words(each) for each in (answers[0].short, answers[0].normal, answers[0].long)
    ]
    named = [(text, _fault(text, line, batch)) for text in versions]
    for wanted in (None, "broken_term"):
        usable = dict.fromkeys(text for text, fault in named if fault == wanted)
        if usable:
            return wanted, Draft(line.segment.index, tuple(sorted(usable, key=len)))
    return named[1][1] or "bad_reply", None


def _fault(text: str, line: LineToDraft, batch: DraftBatch) -> str | None:
    terms = terms_in(line.segment.text, batch.context)
    return find_fault(text, line.segment.text, (batch.source, batch.target), terms)
