"""Questions to a language model, repeated until an answer is right; right answers are kept."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from dubarr_pipeline.engines.context.prompts import VERSION, with_fault
from dubarr_pipeline.errors import BadReply, ContextTooLong
from dubarr_pipeline.files import write_text
from dubarr_pipeline.services.http_client import ChatMessage
from dubarr_pipeline.services.llm_client import LLMService, form_name

_log = logging.getLogger(__name__)

_F = TypeVar("_F", bound=BaseModel)
Check = Callable[[_F], str | None]
"""Names the fault of an answer of the right form, or None."""


@dataclass(slots=True)
class Answers:
    """Right answers of earlier runs, one small file each; none without a folder. Thread-safe."""

    folder: Path | None
    identity: str
    used: set[str] = field(default_factory=set[str])

    def path(self, messages: list[ChatMessage], form: type[BaseModel]) -> Path | None:
        """Return the file for the answer to a question."""
        if self.folder is None:
            return None
        facts = [self.identity, VERSION, form_name(form), [m.content for m in messages]]
        document = json.dumps(facts, ensure_ascii=False)
        digest = hashlib.blake2b(document.encode("utf-8", "backslashreplace"), digest_size=16)
        return self.folder / f"{form_name(form)}-{digest.hexdigest()}.json"

    def find(self, path: Path | None, form: type[_F]) -> _F | None:
        """Return the kept answer, or None; a damaged file counts as none."""
        if path is None or not path.is_file():
            return None
        self.used.add(path.name)
        try:
            return form.model_validate_json(path.read_bytes())
        except ValidationError as error:
            _log.warning("%s is damaged (%s): asking again", path, error.errors()[0]["msg"])
            return None

    def keep(self, path: Path | None, answer: BaseModel) -> None:
        """Write an answer to its file."""
        if path is not None:
            self.used.add(path.name)
            write_text(path, answer.model_dump_json())

    def sweep(self) -> None:
        """Remove answers to questions that are no longer asked."""
        if self.folder is not None and self.folder.is_dir():
            for path in self.folder.glob("*.json"):
                if path.name not in self.used:
                    path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Interview:
    """A language model with its earlier answers, asked until one is right. Thread-safe."""

    service: Callable[[], LLMService]
    answers: Answers
    tries: int = 3

    def ask(
        self,
        messages: list[ChatMessage],
        form: type[_F],
        check: Check[_F] = lambda _: None,
        priority: int = 0,
    ) -> _F | str:
        """Return the right answer, or the last fault as text.

        Raises:
            ContextTooLong: if the question does not fit the model's window.
            ServiceTimeout, ServiceUnavailable: if the server gives no answer.
        """
        path = self.answers.path(messages, form)
        earlier = self.answers.find(path, form)
        if earlier is not None:
            return earlier
        question, fault = messages, ""
        for _ in range(self.tries):
            try:
                answer = self.service().ask(question, form, priority)
            except ContextTooLong:
                raise
            except BadReply as error:
                fault = str(error)
            else:
                fault = check(answer) or ""
                if not fault:
                    self.answers.keep(path, answer)
                    return answer
            _log.info("%s: %s", form_name(form), fault)
            question = with_fault(messages, fault)
        return fault
