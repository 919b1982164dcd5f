"""The language model of a run: behind an address, or served by a process of ours while it is used.

Context and translation ask the same one; section ``[llm]`` says which.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dubarr_pipeline.errors import MissingRequirement
from dubarr_pipeline.models.store import is_present, model_folder, model_identity, model_need
from dubarr_pipeline.services import token_gate
from dubarr_pipeline.services.llm import LLMOptions, LLMService
from dubarr_pipeline.services.model_memory import memory_need_bytes
from dubarr_pipeline.services.processes import PORT, Launch, ServiceProcess
from dubarr_pipeline.services.server import Host, ServerOptions


@dataclass(frozen=True, slots=True)
class LanguageModelOptions:
    """Which language model reads and translates, who serves it, and how it is asked.

    Attributes:
        serve: "url": a server that runs already (Ollama, llama.cpp, a cloud); "vllm" or
            "transformers": a process of ours, there only while it is used.
        url: of a server that runs already, with its version part.
        model: as the server calls it; for a process of ours a name of `dubarr models`, or a
            folder.
        key_variable: environment variable that holds the key for `url`.
        executable: for "vllm" the program `vllm` of its own environment (empty: the one on the
            path); for "transformers" the Python of the environment that holds it (empty: ours).
        arguments: more arguments for `vllm serve` or `transformers serve`.
        device: for a process of ours: auto, cpu, cuda or cuda:N.
        context_tokens: the window of the model: what it is asked and answers, together.
        memory_gb: GPU memory that it cannot do without; 0: as the model's row says.
        memory_share: of the GPU's memory that vLLM may take at most, 0-1.
        sleep: where it must take turns on one GPU, vLLM sleeps instead of being started again.
        start_deadline_s: by when a process of ours must be ready.
        concurrency: calls that it answers at once.
        temperature: how freely it words its answers; 0: always the likeliest.
        seed: the same seed gives the same answers, where the server keeps to it.
        max_tokens: longest answer.
        timeout_s: longest wait for one answer.
        attempts: calls in all for one answer, the first included.
        backoff_s: pause before the second call, doubled each time.
        server_priority: send each call's priority along; vLLM of ours is always sent it.
        schema: ask the server to hold its answer to a JSON schema; it is checked in any case.
    """

    serve: Literal["url", "transformers", "vllm"] = "url"
    url: str = "http://127.0.0.1:8000/v1"
    model: str = "default"
    key_variable: str = "DUBARR_LLM_KEY"
    executable: str = ""
    arguments: tuple[str, ...] = ()
    device: str = "auto"
    context_tokens: int = 8192
    memory_gb: float = 0.0
    memory_share: float = 0.9
    sleep: bool = True
    start_deadline_s: float = 900.0
    concurrency: int = 4
    temperature: float = 0.3
    seed: int | None = 1
    max_tokens: int = 4096
    timeout_s: float = 120.0
    attempts: int = 4
    backoff_s: float = 0.5
    server_priority: bool = False
    schema: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not 0 < self.memory_share <= 1:
            raise ValueError(f"memory_share must lie above 0 and up to 1, not {self.memory_share}")
        if self.concurrency < 1 or self.attempts < 1:
            raise ValueError("concurrency and attempts must be at least 1")
        if self.max_tokens >= self.context_tokens:
            raise ValueError(
                f"max_tokens ({self.max_tokens}) must be less than context_tokens "
                f"({self.context_tokens}), which hold question and answer together"
            )

    def identity(self) -> str:
        """The model and what steers it; not the address, which may change freely."""
        named = self.model if self.serve == "url" else model_identity(self.model)
        return f"{named} t={self.temperature} seed={self.seed}"


@contextmanager
def open_llm(
    options: LanguageModelOptions, logs: Path, host: Host | None = None
) -> Iterator[LLMService]:
    """The language model for the time of a stage; a process of ours starts with the first question.

    Args:
        options: section ``[llm]``.
        logs: folder for the log of a process of ours.
        host: what it runs on, where somebody else has made it (`llm_process`, perhaps in turns
            with another service) and will end it.

    Raises:
        MissingRequirement: if the model or the program that serves it is not here.
    """
    own = llm_process(options, logs) if host is None and options.serve != "url" else None
    held = host or own
    service = LLMService(llm_options(options, held), held)
    try:
        yield service
    finally:
        service.close()
        if own is not None:
            own.close()


def llm_process(
    options: LanguageModelOptions, logs: Path, memory_share: float | None = None
) -> ServiceProcess:
    """A process of ours that serves the model, not started yet.

    Args:
        options: section ``[llm]``, where `serve` is not ``"url"``.
        logs: folder for its log.
        memory_share: of the GPU's memory, if less than the options' is left for it.
    """
    if options.serve == "vllm":
        return ServiceProcess(_vllm(options, memory_share or options.memory_share), logs)
    return ServiceProcess(_transformers(options), logs)


def missing_program(options: LanguageModelOptions) -> str | None:
    """The program that would serve the model and is not here, or None."""
    if options.serve == "url" or shutil.which(_program(options)):
        return None
    return _program(options)


def missing_model(options: LanguageModelOptions) -> str | None:
    """How to get the model of a process of ours, if it is not here."""
    return None if options.serve == "url" else model_need(options.model).cure or None


def llm_options(options: LanguageModelOptions, host: Host | None) -> LLMOptions:
    """The same, as the client wants it."""
    server = ServerOptions(
        url=host.url if host else options.url,
        key=host.token if host else os.environ.get(options.key_variable, ""),
        timeout_s=options.timeout_s,
        attempts=options.attempts,
        backoff_s=options.backoff_s,
        connections=2 * options.concurrency,
    )
    return LLMOptions(
        server=server,
        model=_served_name(options),
        temperature=options.temperature,
        seed=options.seed,
        max_tokens=options.max_tokens,
        context_tokens=options.context_tokens,
        server_priority=options.server_priority or options.serve == "vllm",
        schema=options.schema,
    )


def _served_name(options: LanguageModelOptions) -> str:
    """What the server calls the model; `transformers serve` calls it by its folder."""
    here = options.serve == "transformers" and is_present(options.model)
    return str(model_folder(options.model)) if here else options.model


def llm_sleeps(options: LanguageModelOptions) -> bool:
    """Whether a process of ours can be put to sleep."""
    return options.serve == "vllm" and options.sleep


def llm_memory_bytes(options: LanguageModelOptions) -> int:
    """GPU memory that it cannot do without: as set, else as its row or its weights say."""
    return round(options.memory_gb * 1e9) or memory_need_bytes(options.model)


def _program(options: LanguageModelOptions) -> str:
    return options.executable or ("vllm" if options.serve == "vllm" else sys.executable)


def _found_program(options: LanguageModelOptions) -> str:
    found = shutil.which(_program(options))
    if found is None:
        raise MissingRequirement(
            f"{_program(options)!r} is not here: install {options.serve} in an environment of its "
            "own, and name it as llm.executable"
        )
    return found


def _vllm(options: LanguageModelOptions, memory_share: float) -> Launch:
    """`vllm serve`: urgent calls first, and able to sleep (which only its dev mode offers)."""
    index = options.device.partition(":")[2]
    return Launch(
        name="llm",
        command=(
            *(_found_program(options), "serve", str(model_folder(options.model))),
            *("--host", "127.0.0.1", "--port", PORT, "--served-model-name", options.model),
            *("--scheduling-policy", "priority", "--max-model-len", str(options.context_tokens)),
            *("--gpu-memory-utilization", f"{memory_share:.3f}"),
            *(("--enable-sleep-mode",) if options.sleep else ()),
            *options.arguments,
        ),
        environment={
            **({"VLLM_SERVER_DEV_MODE": "1"} if options.sleep else {}),
            **({"CUDA_VISIBLE_DEVICES": index} if index else {}),
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
        },
        token_variable="VLLM_API_KEY",
        deadline_s=options.start_deadline_s,
    )


def _transformers(options: LanguageModelOptions) -> Launch:
    return Launch(
        name="llm",
        command=(
            *(_found_program(options), token_gate.__file__, "serve"),
            *(str(model_folder(options.model)), "--device", options.device),
            *("--host", "127.0.0.1", "--port", PORT, *options.arguments),
        ),
        environment={"HF_HUB_OFFLINE": "1"},
        token_variable=token_gate.TOKEN,
        deadline_s=options.start_deadline_s,
    )
