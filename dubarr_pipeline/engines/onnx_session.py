"""Networks that onnxruntime runs in this process, on one CPU thread for each call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dubarr_pipeline.errors import EngineError

if TYPE_CHECKING:
    import onnxruntime


def open_session(
    path: Path, part: bytes | None = None, *, arena: bool = True
) -> onnxruntime.InferenceSession:
    """Load a network, or a part that was cut out of it. For many threads.

    Without an `arena` the memory of a call is given back after it.

    Raises:
        EngineError: if the file is damaged.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Each call on one thread: several at once cost less than one on several.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
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
