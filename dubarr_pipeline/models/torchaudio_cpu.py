"""torchaudio beside a CPU build of PyTorch: its Python part works, its CUDA-linked extension not.

The package index has torchaudio only with an extension that wants CUDA libraries; where PyTorch is
built without CUDA it cannot be loaded, and importing torchaudio fails. What pyannote.audio and
coqui-tts use of it (filter banks, resampling) is Python alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

_EXTENSION = "torchaudio._extension"


def prepare_torchaudio() -> None:
    """Make torchaudio importable; call it before the first import. Harmless with CUDA, or twice."""
    import torch

    if torch.version.cuda is not None or "torchaudio" in sys.modules:
        return
    sys.modules[_EXTENSION] = _extension_without_library()


def _extension_without_library() -> ModuleType:
    """The module that torchaudio asks for its extension, saying that there is none."""
    module = ModuleType(_EXTENSION)
    module.__path__ = []
    vars(module).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        _check_cuda_version=lambda: None,
        fail_if_no_align=_refused,
    )
    return module


def _refused(wanted: Callable[..., Any]) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError(f"{wanted.__name__} needs torchaudio's extension, which is not here")

    return refuse
