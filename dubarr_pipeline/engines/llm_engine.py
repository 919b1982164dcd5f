"""Base of the engines that ask the language model of section ``[llm]``."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path
from typing import Generic, TypeVar

from dubarr_pipeline.engines.interfaces import Engine, Need
from dubarr_pipeline.engines.requirements import model_in_store
from dubarr_pipeline.engines.usage import Usage
from dubarr_pipeline.errors import MissingRequirement
from dubarr_pipeline.services.http_client import Host, masked
from dubarr_pipeline.services.llm_client import (
    LanguageModelOptions,
    LLMService,
    llm_servers,
    try_llm,
)
from dubarr_pipeline.services.llm_process import (
    missing_program,
    open_llm,
)

_Options = TypeVar("_Options", bound=LanguageModelOptions)


class LanguageModelEngine(Engine, Generic[_Options]):
    """An engine that asks a language model: a server that runs already, or a process of ours.

    A `host` is such a process, shared with other engines.
    """

    def __init__(self, options: _Options, logs: Path | None, host: Host | None) -> None:
        self.options = options
        self._logs, self._host = logs or Path("logs"), host
        self._open = ExitStack()
        self._service: LLMService | None = None

    def needs(self) -> tuple[Need, ...]:
        options = self.options
        cure = next(each.needs for each in llm_servers() if each.name == options.serve)
        if options.serve == "url":
            with closing(LLMService(options)) as service:
                present = service.reachable()
            name = f"LLM at {masked(options.url)}"
            return (Need("service", name, present, cure),)
        if options.serve == "transformers" and not options.executable:
            here = find_spec("transformers") is not None
            server = Need("package", "transformers", here, cure)
        else:
            name, here = options.executable or options.serve, missing_program(options) is None
            server = Need("program", name, here, cure)
        return (server, model_in_store(options.model))

    def load(self) -> None:
        """Open the client; a process of ours starts with the first question."""
        if self._service is None:
            opened = open_llm(self.options, self._logs, self._host)
            self._service = self._open.enter_context(opened)

    def unload(self) -> None:
        """Close the connections, which ends pending questions, and end a process of ours."""
        self._service = None
        self._open.close()

    def try_out(self, targets: Sequence[str]) -> None:  # noqa: ARG002 - a model has no list of them
        """Ask the model one small question. Raises `MissingRequirement` with the cure."""
        try_llm(self._llm())

    def usage(self) -> Usage:
        service = self._service
        return Usage(service.tokens, service.busy_s) if service else Usage()

    def _llm(self) -> LLMService:
        if self._service is None:
            raise MissingRequirement(
                f"the engine {self.name!r} is not loaded: use it inside `with`"
            )
        return self._service
