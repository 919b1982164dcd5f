"""What the engines that ask the language model of section ``[llm]`` have in common."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Generic, TypeVar

from dubarr_pipeline.engines.interfaces import Engine, Need, Usage
from dubarr_pipeline.errors import MissingRequirement
from dubarr_pipeline.services.llm import LLMService
from dubarr_pipeline.services.llm_process import (
    LanguageModelOptions,
    llm_options,
    missing_model,
    missing_program,
    open_llm,
)
from dubarr_pipeline.services.preflight import try_llm
from dubarr_pipeline.services.server import Host

_Options = TypeVar("_Options", bound=LanguageModelOptions)


class LanguageModelEngine(Engine, Generic[_Options]):
    """An engine that asks a language model: a server that runs already, or a process of ours.

    Args:
        options: which model, where, and how it is asked.
        logs: folder for what a process of ours says.
        host: a process that serves the model already, shared with other engines.
    """

    def __init__(self, options: _Options, logs: Path | None, host: Host | None) -> None:
        self.options = options
        self._logs, self._host = logs or Path("logs"), host
        self._open = ExitStack()
        self._service: LLMService | None = None

    def needs(self) -> tuple[Need, ...]:
        """The server, or what a process of ours needs."""
        return _needs(self.options)

    def load(self) -> None:
        """Make ready to ask; a process of ours starts with the first question."""
        if self._service is None:
            opened = open_llm(self.options, self._logs, self._host)
            self._service = self._open.enter_context(opened)

    def unload(self) -> None:
        """Close the connections, questions under way end at once; a process of ours ends."""
        self._service = None
        self._open.close()

    def try_out(self, targets: Sequence[str]) -> None:  # noqa: ARG002 - a model has no list of them
        """Ask the model one small question, whatever it is to be dubbed into.

        Raises:
            MissingRequirement: what is wrong, and the cure.
        """
        try_llm(self._llm())

    def usage(self) -> Usage:
        """Tokens written since `load`."""
        service = self._service
        return Usage(service.tokens, service.busy_s) if service else Usage()

    def _llm(self) -> LLMService:
        if self._service is None:
            raise MissingRequirement(
                f"the engine {self.name!r} is not loaded: use it inside `with`"
            )
        return self._service


def _needs(options: LanguageModelOptions) -> tuple[Need, ...]:
    """The server that runs already; or the program and the model of a process of ours. Cheap."""
    if options.serve == "url":
        service = LLMService(llm_options(options, None))
        try:
            present = service.reachable()
        finally:
            service.close()
        return (Need("service", f"LLM at {options.url}", present, "start it, or set llm.url"),)
    program, cure = missing_program(options), missing_model(options)
    ours = options.serve == "transformers" and not options.executable
    package = Need(
        "package",
        "transformers",
        find_spec("transformers") is not None,
        "pip install 'dubarr-pipeline[studio]'",
    )
    return (
        package
        if ours
        else Need(
            "program",
            options.executable or options.serve,
            program is None,
            f"install {options.serve} in an environment of its own, and set llm.executable",
        ),
        Need("model", options.model, cure is None, cure or ""),
    )
