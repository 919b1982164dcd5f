"""Language model of a run: behind an address, or served by a process of ours while it is used.

Context and translation share it; section ``[llm]`` chooses it.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dubarr_pipeline.compute.service_process import PORT, Launch, ServiceProcess
from dubarr_pipeline.errors import MissingRequirement
from dubarr_pipeline.models.store import (
    is_present,
    known_model,
    local_folder,
    model_folder,
    model_identity,
    model_need,
)
from dubarr_pipeline.services import bearer_auth
from dubarr_pipeline.services.http_client import Host, ServerOptions, check_url, key_of
from dubarr_pipeline.services.llm_client import LLMOptions, LLMService


@dataclass(frozen=True, slots=True)
class LanguageModelOptions:
    """Language model for reading and translating: its server, sampling and retries.

    Attributes:
        serve: ``url``: a server that runs already (Ollama, llama.cpp, a cloud); ``vllm`` or
            ``transformers``: a process of dubarr's own while it is used.
        url: address of a server that runs already, with its version part.
        model: the server's name of the model; for a process of dubarr's own a name of `dubarr
            models`, or a folder.
        key_variable: environment variable that holds the key for `url`.
        executable: for "vllm" the program `vllm` of its own environment (empty: the one on the
            path); for "transformers" the Python of the environment that holds it (empty: ours).
        arguments: more arguments for `vllm serve` or `transformers serve`.
        device: device of a process of dubarr's own: auto, cpu, cuda or cuda:N.
        context_tokens: context window of the model in tokens, for question and answer together.
        memory_gb: GPU memory that it needs, in GB; 0: that of the model's row.
        memory_share: share (above 0, up to 1) of the GPU's memory that vLLM may take.
        sleep: let vLLM sleep instead of restarting it, where services take turns on one GPU.
        start_deadline_s: longest start of a process of dubarr's own, in seconds.
        concurrency: calls that it answers at once, at least 1.
        temperature: freedom of its wording; 0: always the likeliest.
        seed: seed of its answers, where the server honours it.
        max_tokens: longest answer, in tokens; less than context_tokens.
        timeout_s: longest wait for one answer, in seconds.
        attempts: calls for one answer, the first included; at least 1.
        backoff_s: pause before the second call, in seconds; doubled each time.
        server_priority: send each call's priority along; vLLM of dubarr's own always gets it.
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
        check_url(self.url)
        if self.max_tokens >= self.context_tokens:
            raise ValueError(
                f"max_tokens ({self.max_tokens}) must be less than context_tokens "
                f"({self.context_tokens}), which hold question and answer together"
            )

    def identity(self) -> str:
        """Return the model and its sampling, without the address, which may change freely."""
        named = self.model if self.serve == "url" else model_identity(self.model)
        return f"{named} t={self.temperature} seed={self.seed}"


@contextmanager
def open_llm(
    options: LanguageModelOptions, logs: Path, host: Host | None = None
) -> Iterator[LLMService]:
    """Open the language model for a stage; a process of ours starts with the first question.

    A host is a running process that the caller made, perhaps sharing its GPU, and will end.

    Raises:
        MissingRequirement: if the model or the program that serves it is missing.
    """
    own = llm_process(options, logs) if host is None and options.serve != "url" else None
    service = LLMService(llm_options(options, host or own), host or own)
    try:
        yield service
    finally:
        service.close()
        if own is not None:
            own.close()


def llm_process(
    options: LanguageModelOptions, logs: Path, memory_share: float | None = None
) -> ServiceProcess:
    """Return a process of ours that serves the model, not started yet.

    `memory_share` is that of the GPU, if less is left for it than the options allow.
    """
    if options.serve == "vllm":
        launch = _vllm_launch(options, memory_share or options.memory_share)
    else:
        launch = Launch(
            name="llm",
            command=(
                *(_present_program(options), bearer_auth.__file__, "serve"),
                *(str(model_folder(options.model)), "--device", options.device),
                *("--host", "127.0.0.1", "--port", PORT, *options.arguments),
            ),
            environment={"HF_HUB_OFFLINE": "1"},
            token_variable=bearer_auth.TOKEN,
            deadline_s=options.start_deadline_s,
        )
    return ServiceProcess(launch, logs)


def missing_program(options: LanguageModelOptions) -> str | None:
    """Return the program that should serve the model and is missing, or None."""
    if options.serve == "url" or shutil.which(_program(options)):
        return None
    return _program(options)


def missing_model(options: LanguageModelOptions) -> str | None:
    """Return the cure for the missing model of a process of ours, or None."""
    return None if options.serve == "url" else model_need(options.model).cure or None


def llm_options(options: LanguageModelOptions, host: Host | None) -> LLMOptions:
    """Return the options of the client."""
    server = ServerOptions(
        url=host.url if host else options.url,
        key=host.token if host else key_of(options.key_variable),
        timeout_s=options.timeout_s,
        attempts=options.attempts,
        backoff_s=options.backoff_s,
        connections=2 * options.concurrency,
    )
    # `transformers serve` names a model by its folder.
    by_folder = options.serve == "transformers" and is_present(options.model)
    return LLMOptions(
        server=server,
        model=str(model_folder(options.model)) if by_folder else options.model,
        temperature=options.temperature,
        seed=options.seed,
        max_tokens=options.max_tokens,
        context_tokens=options.context_tokens,
        server_priority=options.server_priority or options.serve == "vllm",
        schema=options.schema,
    )


def llm_sleeps(options: LanguageModelOptions) -> bool:
    """Return whether a process of ours can be put to sleep."""
    return options.serve == "vllm" and options.sleep


def llm_memory_bytes(options: LanguageModelOptions) -> int:
    """Return the GPU memory that it requires: as set, else as its row or its weights say."""
    return round(options.memory_gb * 1e9) or memory_need_bytes(options.model)


def _program(options: LanguageModelOptions) -> str:
    return options.executable or ("vllm" if options.serve == "vllm" else sys.executable)


def _present_program(options: LanguageModelOptions) -> str:
    program = shutil.which(_program(options))
    if program is None:
        raise MissingRequirement(
            f"{_program(options)!r} is missing: install {options.serve} in an environment of its "
            "own, and set llm.executable to it"
        )
    return program


def _vllm_launch(options: LanguageModelOptions, memory_share: float) -> Launch:
    """Return the launch of `vllm serve` with priorities and sleep (offered only in dev mode)."""
    index = options.device.partition(":")[2]
    return Launch(
        name="llm",
        command=(
            *(_present_program(options), "serve", str(model_folder(options.model))),
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


_WEIGHTS = (".safetensors", ".bin", ".pth", ".pt")
_OVERHEAD, _CONTEXT_BYTES = 1.2, 1_000_000_000
"""Besides its weights a model needs memory for its activations, and CUDA for its context."""


def memory_need_bytes(model: str) -> int:
    """Return the bytes of GPU memory by the model's row, or by the weights in a folder."""
    folder = local_folder(model)
    if folder is None:
        return round(known_model(model).vram_gb * 1e9)
    weights = (path for path in folder.rglob("*") if path.suffix in _WEIGHTS)
    return round(sum(path.stat().st_size for path in weights) * _OVERHEAD) + _CONTEXT_BYTES
