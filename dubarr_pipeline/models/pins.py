"""What the models were when they were first fetched: every later pull must bring the same bytes.

``models.lock`` in the models folder names, for each model, its commit, and size and sha256 of every
file. It outlives the removal of a model; ``dubarr models pull --update`` takes what the hub holds
now, and pins that.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.errors import ModelDamaged
from dubarr_pipeline.models.store import ModelSeal, models_dir
from dubarr_pipeline.workdir import named_disk_errors, read_json, write_json


@dataclass(frozen=True, slots=True)
class Pin:
    """A model as it was first fetched.

    Attributes:
        asked: the revision or the addresses that the manifest named then; another one is another
            model, and is pinned anew.
        seal: the commit and the files.
    """

    asked: str
    seal: ModelSeal = field(default_factory=lambda: ModelSeal(""))


def pins() -> dict[str, Pin]:
    """All pins, by model.

    Raises:
        ModelDamaged: if the file cannot be understood.
    """
    path = _file()
    if not path.exists():
        return {}
    try:
        return TypeAdapter(dict[str, Pin]).validate_python(read_json(path)["models"])
    except (ValidationError, KeyError) as error:
        raise ModelDamaged(
            f"{path} is no list of pinned models: restore it, or delete it to pin anew"
        ) from error


def pin(name: str, pinned: Pin) -> None:
    """Keep to these files from now on."""
    with held("models.lock"):
        known: Mapping[str, Pin] = {**pins(), name: pinned}
        document = TypeAdapter(dict[str, Pin]).dump_python(dict(sorted(known.items())))
        write_json(_file(), {"models": document})


@contextlib.contextmanager
def held(name: str) -> Iterator[None]:
    """Hold a name for this process, waiting for others; the hold ends with the process."""
    folder = models_dir() / ".locks"
    with named_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / name.replace("/", "--")).open("w")
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _file() -> Path:
    return models_dir() / "models.lock"
