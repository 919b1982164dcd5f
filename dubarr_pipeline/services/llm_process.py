"""Language model of a run: behind an address, or served by a process of ours while it is used.

Context and translation share it; section ``[llm]`` chooses it.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from dubarr_pipeline.compute.service_process import PORT, Launch, ServiceProcess
from dubarr_pipeline.errors import MissingRequirement
from dubarr_pipeline.models.store import (
    known_model,
    local_folder,
    model_folder,
)
from dubarr_pipeline.services import bearer_auth
from dubarr_pipeline.services.http_client import Host
from dubarr_pipeline.services.llm_client import LanguageModelOptions, LLMService


@contextmanager
def open_llm(
    options: LanguageModelOptions, logs: Path, host: Host | None = None
) -> Iterator[LLMService]:
    """Open the language model for a stage; a process of ours starts with the first question.

    A host is a running process that the caller made, perhaps sharing its GPU, and will end.

    Raises:
        MissingRequirement: if the model or the program that serves it is missing.
    """
    with ExitStack() as opened:
        if host is None and options.serve != "url":
            host = opened.enter_context(closing(llm_process(options, logs)))
        yield opened.enter_context(closing(LLMService(options, host)))


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
