"""Where the models lie: which are here, whole and checked, and how to get the others.

The folder is ``$DUBARR_MODELS_DIR``, else that of the settings, else ``models`` in dubarr's data
folder. Each model has a
folder of its own, which appears there whole, after every file has been checked by its sha256.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.errors import ArtifactError, MissingRequirement
from dubarr_pipeline.models.manifest import ModelRow, find_model
from dubarr_pipeline.workdir import read_json, write_json

_SEAL = ".dubarr.json"


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Where models lie, whether they may be fetched, and which licences are accepted.

    Attributes:
        dir: folder of all models ($DUBARR_MODELS_DIR goes before); empty: ``models`` in dubarr's
            data folder.
        download: fetch what a run lacks before it begins; else it ends with a list.
        offline: never ask the network for models (the same as HF_HUB_OFFLINE=1).
        accept_licences: licences without commercial use that you have read and accept, such as
            "CPML"; without it, engines and models under them are refused.
    """

    dir: str = ""
    download: bool = True
    offline: bool = False
    accept_licences: tuple[str, ...] = ()


_DIR_SET, _OFFLINE_SET = "DUBARR_SETTINGS_MODELS_DIR", "DUBARR_SETTINGS_OFFLINE"
_TRUE = frozenset({"1", "on", "yes", "true"})


def announce(options: ModelOptions) -> None:
    """Tell this process, and all that it starts from now on, what the settings say of models."""
    for name, value in ((_DIR_SET, options.dir), (_OFFLINE_SET, "1" if options.offline else "")):
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)


def is_offline() -> bool:
    """Whether nothing may be fetched: ``HF_HUB_OFFLINE``, ``DUBARR_OFFLINE``, or the settings."""
    named = ("HF_HUB_OFFLINE", "DUBARR_OFFLINE", _OFFLINE_SET)
    return any(os.environ.get(name, "").lower() in _TRUE for name in named)


@dataclass(frozen=True, slots=True)
class FileSeal:
    """What a file must be: its length in bytes and its sha256 in hex."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelSeal:
    """What was placed for a model, and checked: its commit, and every file."""

    revision: str
    files: Mapping[str, FileSeal] = field(default_factory=dict[str, FileSeal])

    def digest(self) -> str:
        """Names these very weights: 12 hex digits over every file's name and checksum."""
        lines = "\n".join(f"{name} {seal.sha256}" for name, seal in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()[:12]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(seal.size for seal in self.files.values())


@dataclass(frozen=True, slots=True)
class ModelState:
    """Whether a model is here, and the command that brings it."""

    name: str
    present: bool
    cure: str


def models_dir() -> Path:
    """The folder of all models; it need not be there."""
    named = os.environ.get("DUBARR_MODELS_DIR") or os.environ.get(_DIR_SET)
    if named:
        return Path(named).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "dubarr" / "models"


def model_folder(name: str) -> Path:
    """The local folder with a model's checked files.

    Args:
        name: a name of the manifest, ``owner/name`` of the hub, or the path of a local folder,
            which is returned as it is.

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
    """Whether a model is here with all its files at their full lengths. Cheap: reads no weights."""
    if local_folder(name) is not None:
        return True
    seal = read_seal(folder_of(name))
    return seal is not None and all(
        _length(folder_of(name) / file) == expected.size for file, expected in seal.files.items()
    )


def model_need(name: str) -> ModelState:
    """A model as something that an engine needs; for the engine's `needs`.

    Raises:
        SettingsError: if there is no such model.
    """
    present = is_present(name)
    if present:
        return ModelState(name, True, "")
    row = known_model(name)
    size = f" (about {row.about_mb} MB)" if row.about_mb else ""
    gate = f", after accepting its conditions at {row.page}" if row.gated else ""
    return ModelState(name, False, f"dubarr models pull {name}{size}{gate}")


def model_identity(name: str) -> str:
    """Names the very weights, for fingerprints: name, commit and digest. Reads no weights."""
    local = local_folder(name)
    if local is not None:
        return f"{name}#{_stat_digest(local)}"
    seal = read_seal(folder_of(name))
    return f"{name}@{seal.revision[:12]}#{seal.digest()}" if seal else f"{name} (not here)"


def known_model(name: str) -> ModelRow:
    """A model's row: one's own, the manifest's, or that of any repository of the hub."""
    return find_model(name, own_manifest())


def own_manifest() -> Path:
    """Where a person may describe models of their own, or others than the manifest's."""
    return models_dir() / "models.toml"


def local_folder(name: str) -> Path | None:
    """The folder that a name means as a path: absolute, or beginning with ``.`` or ``~``."""
    if not name.startswith(("/", ".", "~")):
        return None
    folder = Path(name).expanduser().absolute()
    if not folder.is_dir():
        raise MissingRequirement(f"model folder {name!r} is not there: correct the path")
    return folder


def folder_of(name: str) -> Path:
    """Where a model's folder lies, or would."""
    return models_dir() / name.replace("/", "--")


def read_seal(folder: Path) -> ModelSeal | None:
    """What was checked in a model's folder; None where nothing whole was placed."""
    try:
        document = read_json(folder / _SEAL)
        return TypeAdapter(ModelSeal).validate_python(
            {name: document[name] for name in ("revision", "files")}
        )
    except (ArtifactError, ValidationError, KeyError, OSError):
        return None


def write_seal(folder: Path, seal: ModelSeal) -> None:
    """Say what was checked in a folder, before it takes its name."""
    write_json(folder / _SEAL, TypeAdapter(ModelSeal).dump_python(seal))


def forget_seal(folder: Path) -> None:
    """Let a model count as missing from now on."""
    (folder / _SEAL).unlink(missing_ok=True)


def _length(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _stat_digest(folder: Path) -> str:
    stats = [
        f"{path.relative_to(folder)} {(stat := path.stat()).st_size} {stat.st_mtime_ns}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return hashlib.sha256("\n".join(stats).encode("utf-8", "surrogateescape")).hexdigest()[:12]
