"""A driver's tool that shows the GPUs that a test wants, and a PyTorch that could use them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

BIG = "0, GPU-aaaa1111-0000-0000-0000-000000000001, NVIDIA H200, 143771, 100000, 43771"
SMALL = "1, GPU-bbbb2222-0000-0000-0000-000000000002, NVIDIA RTX A4000, 16376, 376, 16000"
FREE = "2, GPU-bbbb3333-0000-0000-0000-000000000003, NVIDIA RTX A4000, 16376, 0, 64000"


def show(monkeypatch: pytest.MonkeyPatch, folder: Path, *rows: str, code: int = 0) -> Path:
    """Put an ``nvidia-smi`` on the path that prints these rows; they may be changed in the file."""
    folder.mkdir(exist_ok=True)
    table = folder / "rows"
    table.write_text("".join(f"{row}\n" for row in rows))
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncat '{table}'\nexit {code}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return table


def build_torch(monkeypatch: pytest.MonkeyPatch, folder: Path, cuda: str = "'13.0'") -> None:
    """Put a PyTorch on the path that says for what it was built."""
    package = folder / "torch"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('nobody may import it')\n")
    (package / "version.py").write_text(f"cuda: Optional[str] = {cuda}\nhip = None\n")
    monkeypatch.syspath_prepend(str(folder))
    # Whoever has imported the real one already would be asked where that lies.
    monkeypatch.delitem(__import__("sys").modules, "torch", raising=False)
