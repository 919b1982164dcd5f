"""The folder of all models: the present ones, checked, and how to get the others.

The folder is ``$DUBARR_MODELS_DIR``, else that of the settings, else ``models`` in dubarr's data
folder. Each model has a folder of its own, which appears whole, after every file has been checked
by its sha256. ``models.lock`` pins each model's commit and files at the first pull, and outlives
its removal; ``dubarr models pull --update`` takes what the hub holds now, and pins that.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.errors import ArtifactError, MissingRequirement, ModelDamaged
from dubarr_pipeline.files import named_disk_errors, read_json, write_json
from dubarr_pipeline.models.manifest import ModelRow, all_models, find_model

if TYPE_CHECKING:
    from dubarr_pipeline.models.download import RemoteFile

_RECORD = ".dubarr.json"


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Folder of the models, permission to fetch them, and accepted licences.

    Attributes:
        dir: folder of all models ($DUBARR_MODELS_DIR has precedence); empty: ``models`` in dubarr's
            data folder.
        download: fetch missing models before a run begins; else the run ends with a list.
        offline: never ask the network for models (the same as HF_HUB_OFFLINE=1).
        accept_licences: licences without commercial use that you have read and accept, such as
            "CPML"; engines and models under others are refused.
    """

    dir: str = ""
    download: bool = True
    offline: bool = False
    accept_licences: tuple[str, ...] = ()


_TRUE = frozenset({"1", "on", "yes", "true"})
_chosen = ModelOptions()


def use_models(options: ModelOptions) -> None:
    """Have this process look for models as the settings say, until other settings are read."""
    global _chosen
    _chosen = options


def is_offline() -> bool:
    """Return whether nothing may be fetched: ``HF_HUB_OFFLINE``, ``DUBARR_OFFLINE``, settings."""
    named = (os.environ.get(name, "").lower() for name in ("HF_HUB_OFFLINE", "DUBARR_OFFLINE"))
    return _chosen.offline or not _TRUE.isdisjoint(named)


@dataclass(frozen=True, slots=True)
class FileChecksum:
    """Checksum of a file: its length in bytes and its sha256 in hex."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ChecksumRecord:
    """Checksum record of a model that was placed: its commit and every file."""

    revision: str
    files: Mapping[str, FileChecksum] = field(default_factory=dict[str, FileChecksum])

    def digest(self) -> str:
        """Return 12 hex digits that identify the weights, over every name and checksum."""
        lines = "\n".join(f"{name} {each.sha256}" for name, each in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()[:12]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.files.values())


@dataclass(frozen=True, slots=True)
class ModelState:
    """Presence of a model, and the command that brings it."""

    name: str
    present: bool
    cure: str


def models_dir() -> Path:
    """Return the folder of all models; it need not exist."""
    named = os.environ.get("DUBARR_MODELS_DIR") or _chosen.dir
    if named:
        return Path(named).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "dubarr" / "models"


def model_folder(name: str) -> Path:
    """Return the local folder with a model's checked files.

    Args:
        name: a name of the manifest, ``owner/name`` of the hub, or the path of a local folder
            (`local_folder` tells them apart).

    Raises:
        MissingRequirement: if it is not here, whole; it names the command that brings it.
        SettingsError: if there is no such model.
    """
    local = local_folder(name)
    if local is not None:
        return local
    state = model_need(name)
    if not state.present:
        raise MissingRequirement(f"model {name!r} is not in {models_dir()}: {state.cure}")
    return folder_of(name)


def is_present(name: str) -> bool:
    """Return whether a model is here with all files at full length. Cheap: reads no weights."""
    if local_folder(name) is not None:
        return True
    record = read_record(folder_of(name))
    return record is not None and all(
        (path := folder_of(name) / file).is_file() and path.stat().st_size == expected.size
        for file, expected in record.files.items()
    )


def model_need(name: str) -> ModelState:
    """Return a model's presence and its cure. Raises `SettingsError` if there is no such model."""
    present = is_present(name)
    if present:
        return ModelState(name, True, "")
    row = known_model(name)
    size = f" (about {row.about_mb} MB, {row.licence})" if row.about_mb else ""
    gate = f", after accepting its conditions at {row.page}" if row.gated else ""
    return ModelState(name, False, f"dubarr models pull {name}{size}{gate}")


def model_identity(name: str) -> str:
    """Return name, commit and digest of the weights, for fingerprints. Reads no weights."""
    local = local_folder(name)
    if local is not None:
        stats = [
            f"{path.relative_to(local)} {(stat := path.stat()).st_size} {stat.st_mtime_ns}"
            for path in sorted(local.rglob("*"))
            if path.is_file()
        ]
        listed = "\n".join(stats).encode("utf-8", "surrogateescape")
        return f"{name}#{hashlib.sha256(listed).hexdigest()[:12]}"
    record = read_record(folder_of(name))
    return f"{name}@{record.revision[:12]}#{record.digest()}" if record else f"{name} (not here)"


def known_model(name: str) -> ModelRow:
    """Return a model's row: the user's own, the manifest's, or one for any hub repository."""
    return find_model(name, own_manifest())


def own_manifest() -> Path:
    """Return the file in which users describe models of their own, or change the manifest's."""
    return models_dir() / "models.toml"


def local_folder(name: str) -> Path | None:
    """Return the folder that a name means as a path; None for a model of the store or the hub.

    What starts with ``/``, ``.`` or ``~`` is always a path. Any other name is one if a folder lies
    there, seen from the working directory, unless the manifest has a model of that name.

    Raises:
        MissingRequirement: if it can only be a path, and nothing is there.
    """
    if not name.startswith(("/", ".", "~")):
        here = Path(name).is_dir() and name not in all_models(own_manifest())
        return Path(name).absolute() if here else None
    folder = Path(name).expanduser().absolute()
    if not folder.is_dir():
        raise MissingRequirement(f"model folder {name!r} is not there: correct the path")
    return folder


def folder_of(name: str) -> Path:
    """Return the path of a model's folder, which need not exist."""
    return models_dir() / name.replace("/", "--")


def read_record(folder: Path) -> ChecksumRecord | None:
    """Return the checksum record of a model's folder; None if nothing whole was placed."""
    try:
        document = read_json(folder / _RECORD)
        return TypeAdapter(ChecksumRecord).validate_python(
            {name: document[name] for name in ("revision", "files")}
        )
    except (ArtifactError, ValidationError, KeyError, OSError):
        return None


def write_record(folder: Path, record: ChecksumRecord) -> None:
    """Write the checksum record of a folder, before the folder gets its name."""
    write_json(folder / _RECORD, TypeAdapter(ChecksumRecord).dump_python(record))


def forget_record(folder: Path) -> None:
    """Remove a checksum record, so that the model counts as missing."""
    (folder / _RECORD).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Pin:
    """A model as it was first fetched.

    Attributes:
        asked: the revision or the addresses that the manifest named then; another one is another
            model, and is pinned again.
        seal: the commit and the files.
    """

    asked: str
    seal: ChecksumRecord = field(default_factory=lambda: ChecksumRecord(""))


def pins() -> dict[str, Pin]:
    """Return all pins, by model. Raises `ModelDamaged` if the file cannot be understood."""
    path = models_dir() / "models.lock"
    if not path.exists():
        return {}
    try:
        return TypeAdapter(dict[str, Pin]).validate_python(read_json(path)["models"])
    except (ValidationError, KeyError) as error:
        raise ModelDamaged(
            f"{path} is not a list of pinned models: restore it, or delete it to pin again"
        ) from error


def pin(name: str, pinned: Pin) -> None:
    """Hold every later pull to these files."""
    with held("models.lock"):
        known: Mapping[str, Pin] = {**pins(), name: pinned}
        document = TypeAdapter(dict[str, Pin]).dump_python(dict(sorted(known.items())))
        write_json(models_dir() / "models.lock", {"models": document})


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


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hex, reading blocks of 4 MB."""
    digest = hashlib.sha256()
    for block in _blocks(path):
        digest.update(block)
    return digest.hexdigest()


def fault(path: Path, file: RemoteFile) -> tuple[str, str]:
    """Return a file's sha256, and its fault in words (empty: none).

    Where the host tells no sha256, git's own checksum of the file is compared: the sha1 of
    ``blob``, the size, a zero byte and the file's bytes. Where it tells neither, only the length
    can be compared.
    """
    size = path.stat().st_size
    found = sha256_of(path)
    if size != file.size:
        return found, f"has {size} bytes instead of {file.size}"
    if file.sha256:
        wrong = not found.startswith(file.sha256.lower())
        return found, f"has the sha256 {found} instead of {file.sha256}" if wrong else ""
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    for block in _blocks(path) if file.git_sha1 else ():
        git.update(block)
    if file.git_sha1 and git.hexdigest() != file.git_sha1:
        return found, f"has git's checksum {git.hexdigest()} instead of {file.git_sha1}"
    return found, ""


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            yield block
