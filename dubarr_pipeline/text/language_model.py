"""The model of py3langid's package, unpacked once for all processes of a user.

As the package brings it, it costs each process 0.35 s of processor time and 100 MB. Unpacked, in
``$XDG_CACHE_HOME/dubarr``, it is mapped into memory, and only what a text needs is read.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_PARTS = ("table", "priors", "labels", "moves", "rows", "features")
_Parts = Mapping[str, NDArray[Any]]
_UNUSABLE = (OSError, EOFError, ValueError)


def language_identifier() -> LanguageIdentifier:
    """Return the model, restricted to languages with a two-letter code: others are dialects.

    Where the cache cannot be used, it is unpacked in memory.
    """
    try:
        folder = _cache_folder()
    except RuntimeError:  # a user without a home
        return _built(_unpacked())
    # Not there yet, or damaged: a file that is too short is refused.
    with suppress(*_UNUSABLE):
        return _built(_mapped(folder))
    parts = _unpacked()
    with suppress(*_UNUSABLE):
        _write(folder, parts)
        return _built(_mapped(folder))
    return _built(parts)


def _cache_folder() -> Path:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return caches / "dubarr" / f"py3langid-{version('py3langid')}"


def _mapped(folder: Path) -> _Parts:
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _PARTS}


def _unpacked() -> _Parts:
    from py3langid.langid import MODEL_DIR, MODEL_FILE
    from py3langid.modelio import load_model

    table, priors, labels, moves, rows, features = load_model(MODEL_DIR / MODEL_FILE)
    short = [position for position, label in enumerate(labels) if len(label) == 2]
    return {
        "table": table[:, short],
        "priors": priors[short],
        "labels": np.array([labels[position] for position in short]),
        "moves": np.asarray(moves),
        "rows": np.asarray(rows),
        "features": np.array(features, np.int32),
    }


def _write(folder: Path, parts: _Parts) -> None:
    """Put the parts in their folder, which appears whole; another process's serve as well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / folder.name
        made.mkdir()
        for name, part in parts.items():
            with (made / f"{name}.npy").open("wb") as file:
                np.save(file, part)
                file.flush()
                os.fsync(file.fileno())
        # What is there was found damaged, or was made since by somebody else.
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            made.rename(folder)


def _built(parts: _Parts) -> LanguageIdentifier:
    from py3langid.langid import LanguageIdentifier

    # Looked at byte by byte, for which a view of the memory is as fast as a list.
    moves, features = (np.asarray(parts[name]).data for name in ("moves", "features"))
    return LanguageIdentifier(
        np.asarray(parts["table"]),
        np.asarray(parts["priors"]),
        parts["labels"].tolist(),
        moves,
        features,
        norm_probs=True,
        tk_row=parts["rows"].tolist(),
    )
