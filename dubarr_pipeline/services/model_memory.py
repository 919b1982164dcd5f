"""How much GPU memory a model needs, as far as that can be told before it is loaded."""

from __future__ import annotations

from pathlib import Path

from dubarr_pipeline.models.store import known_model, local_folder

_WEIGHTS = (".safetensors", ".bin", ".pth", ".pt")
_OVERHEAD, _CONTEXT_BYTES = 1.2, 1_000_000_000
"""Beside its weights a model needs room for what it computes, and CUDA for its context."""


def memory_need_bytes(model: str) -> int:
    """Bytes of GPU memory: as the model's row says, or from the size of a folder's weights."""
    folder = local_folder(model)
    if folder is None:
        return round(known_model(model).vram_gb * 1e9)
    return round(_weights_bytes(folder) * _OVERHEAD) + _CONTEXT_BYTES


def _weights_bytes(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if path.suffix in _WEIGHTS)
    return sum(path.stat().st_size for path in files)
