"""Networks that onnxruntime runs in this process, by default on one CPU thread for each call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dubarr_pipeline.errors import EngineError

if TYPE_CHECKING:
    import onnxruntime


def open_session(
    path: Path, part: bytes | None = None, *, arena: bool = True, cores: int = 1
) -> onnxruntime.InferenceSession:
    """Load a network, or a part that was cut out of it. For many threads.

    Without an `arena` the memory of a call is given back after it. Each call takes `cores` threads:
    several calls at once cost less on one each, one call that is waited for is sooner on several.

    Raises:
        EngineError: if the file is damaged.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = cores, 1
    # Threads that wait for work by spinning take the cores from the film that is dubbed beside.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Inputs have every length: plans of memory for each would never be used again.
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = arena
    options.log_severity_level = 4
    providers = ["CPUExecutionProvider"]
    # onnxruntime's errors have no class in common.
    try:
        return onnxruntime.InferenceSession(part or str(path), options, providers=providers)
    except Exception as error:
        raise EngineError(f"{path} cannot be loaded ({error}): fetch the model again") from error
