"""Bring models into the store, check them there, remove them.

A pull goes on at the byte where an earlier one stopped, also one that was killed. Every file is
checked by its sha256 (or git's checksum, where the hub tells no other) before it counts; the
model's folder takes its name when all are there.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dubarr_pipeline.errors import (
    DiskFull,
    MissingRequirement,
    ModelDamaged,
    ModelRefused,
    SettingsError,
)
from dubarr_pipeline.models import hub
from dubarr_pipeline.models.checksums import fault, sha256_of
from dubarr_pipeline.models.hub import Listing, RemoteFile
from dubarr_pipeline.models.manifest import ModelRow
from dubarr_pipeline.models.pins import Pin, held, pin, pins
from dubarr_pipeline.models.store import (
    FileSeal,
    ModelSeal,
    folder_of,
    forget_seal,
    is_offline,
    is_present,
    known_model,
    local_folder,
    models_dir,
    read_seal,
    write_seal,
)
from dubarr_pipeline.models.wire import Patience, Wire
from dubarr_pipeline.workdir import check_writable, flush_to_disk, named_disk_errors

_log = logging.getLogger(__name__)
_SPARE_BYTES = 64 << 20
"""Room that a pull leaves on the disk."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """How far a pull has come: bytes of the whole model, and the file that it is at."""

    model: str
    file: str
    done: int
    total: int


OnFetched = Callable[[Fetched], None]


def ignore_fetched(_: Fetched) -> None:
    """Where nobody watches."""


@dataclass(frozen=True, slots=True)
class PullOptions:
    """How a model is fetched.

    Attributes:
        update: take what the host holds now, instead of what was pinned.
        patience: how long we bear with a host.
        on_fetched: told of every block that arrives.
    """

    update: bool = False
    patience: Patience = field(default_factory=Patience)
    on_fetched: OnFetched = ignore_fetched


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be fetched, and the folder where it waits until all is there."""

    row: ModelRow
    listing: Listing
    stage: Path

    @property
    def total(self) -> int:
        return sum(file.size for file in self.listing.files)

    @property
    def lacking(self) -> int:
        """Bytes that are still to come."""
        return self.total - sum(self.here(file) for file in self.listing.files)

    def part(self, file: RemoteFile) -> Path:
        """Where a file lies while it is fetched."""
        return self.stage / f"{file.path}.part"

    def here(self, file: RemoteFile) -> int:
        """How many of a file's bytes are here."""
        checked, part = self.stage / file.path, self.part(file)
        found = next((path for path in (checked, part) if path.exists()), None)
        return min(file.size, found.stat().st_size) if found else 0


def pull(name: str, options: PullOptions | None = None) -> ModelSeal:
    """Bring a model into the store if it is not there, and say what was checked.

    Raises:
        SettingsError: if there is no such model in the manifest, and no repository has its name.
        ModelRefused: if its host does not give it; the message names the page to accept.
        ModelDamaged: if what came is not what it must be, twice.
        MissingRequirement: if nothing may be fetched (offline).
        ServiceError: if the host goes on failing.
        DiskFull: if there is no room; nothing is fetched then.
    """
    options = options or PullOptions()
    if local_folder(name) is not None:
        raise SettingsError(f"{name!r} is a folder of your own: there is nothing to pull")
    row = known_model(name)
    check_writable(models_dir(), "models.dir in dubarr.toml, or DUBARR_MODELS_DIR")
    with held(name):
        found = read_seal(folder_of(name))
        if found is not None and is_present(name) and not options.update:
            return found
        _check_online(name)
        return _pull(row, options)


def to_fetch(name: str, options: PullOptions | None = None) -> int:
    """Bytes that a pull would fetch now, as the host tells. Raises as `pull` does."""
    options = options or PullOptions()
    row = known_model(name)
    if is_present(name) and not options.update:
        return 0
    _check_online(name)
    with Wire(hub.endpoint(), hub.hub_token(), options.patience) as wire, _told_page(row):
        return _plan(row, wire, options.update).lacking


def verify(name: str) -> list[str]:
    """Read a model's files again; return in words what is wrong with them.

    A model with a fault counts as missing from then on, and a pull fetches what is wrong.

    Raises:
        MissingRequirement: if it is not here at all.
    """
    folder = folder_of(name)
    with held(name):
        seal = read_seal(folder)
        if seal is None:
            raise MissingRequirement(
                f"model {name!r} is not in {models_dir()}: dubarr models pull {name}"
            )
        faults = [
            f"{file}: {wrong}"
            for file, expected in seal.files.items()
            if (wrong := _sealed_fault(folder / file, expected))
        ]
        if faults:
            forget_seal(folder)
    return faults


def remove(name: str) -> int:
    """Remove a model and what was fetched of it; return the bytes freed. Its pin stays."""
    folders = (folder_of(name), _waiting(name))
    with held(name):
        freed = sum(
            path.stat().st_size
            for folder in folders
            for path in folder.rglob("*")
            if path.is_file()
        )
        forget_seal(folder_of(name))
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    return freed


def _check_online(name: str) -> None:
    if is_offline():
        raise MissingRequirement(
            f"model {name!r} is not in {models_dir()}, and nothing may be fetched "
            "(HF_HUB_OFFLINE, or models.offline): pull it where there is a network, and copy its "
            f"folder {folder_of(name).name} here"
        )


def _pull(row: ModelRow, options: PullOptions) -> ModelSeal:
    with (
        Wire(hub.endpoint(), hub.hub_token(), options.patience) as wire,
        _told_page(row),
        named_disk_errors(models_dir()),
    ):
        plan = _plan(row, wire, options.update)
        _adopt(plan)
        _check_room(plan)
        seals = {
            file.path: FileSeal(file.size, _fetch(plan, file, wire, options.on_fetched))
            for file in plan.listing.files
        }
        seal = ModelSeal(plan.listing.revision, {**seals, **dict(_write_texts(plan))})
        _place(plan, seal)
    pin(row.name, Pin(_asked(row), seal))
    _log.info("model %s: %d files, %d bytes", row.name, len(seal.files), seal.size)
    return seal


def _plan(row: ModelRow, wire: Wire, update: bool) -> _Plan:
    """What was pinned, if it was; else what the host holds now."""
    pinned = pins().get(row.name)
    if pinned and pinned.asked == _asked(row) and not update:
        listing = _pinned_listing(row, pinned.seal)
    else:
        listing = hub.list_files(row, wire)
    lines = "\n".join(f"{file.path} {file.size} {_content(file)}" for file in listing.files)
    digest = hashlib.sha256(lines.encode()).hexdigest()[:16]
    return _Plan(row, listing, _waiting(row.name) / digest)


def _content(file: RemoteFile) -> str:
    return file.sha256 or file.git_sha1 or file.version


def _asked(row: ModelRow) -> str:
    """What the manifest asks for: a pin is for this, and for nothing else."""
    wanted = [row.repo, row.revision, *row.files] if row.repo else list(row.urls)
    return " ".join(wanted)


def _pinned_listing(row: ModelRow, seal: ModelSeal) -> Listing:
    addresses = {url.rpartition("/")[2]: hub.mirrored(url) for url in row.urls}
    return Listing(
        seal.revision,
        tuple(
            RemoteFile(
                path,
                addresses.get(path) or hub.file_url(row.repo, seal.revision, path),
                pinned.size,
                pinned.sha256,
            )
            for path, pinned in seal.files.items()
            if path not in row.texts
        ),
    )


def _adopt(plan: _Plan) -> None:
    """Take over what lies in the model's folder already, whole, so that only the rest is fetched.

    So a damaged model is mended, and files that a person copied there are used.
    """
    folder = folder_of(plan.row.name)
    for file in plan.listing.files:
        there, staged = folder / file.path, plan.stage / file.path
        if staged.exists() or not there.is_file() or not (file.sha256 or file.git_sha1):
            continue
        if there.stat().st_size == file.size and not fault(there, file)[1]:
            staged.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(there, plan.part(file))
            plan.part(file).replace(staged)


def _check_room(plan: _Plan) -> None:
    plan.stage.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(plan.stage).free
    if plan.lacking + _SPARE_BYTES > free:
        raise DiskFull(
            f"model {plan.row.name!r} needs {megabytes(plan.lacking)} more on the disk of "
            f"{models_dir()}, which has {megabytes(free)}: free some, or choose another folder "
            "with models.dir in dubarr.toml or DUBARR_MODELS_DIR"
        )


def megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _fetch(plan: _Plan, file: RemoteFile, wire: Wire, on_fetched: OnFetched) -> str:
    """Bring a file and check it, once more if it came damaged; return its sha256."""
    staged, part = plan.stage / file.path, plan.part(file)
    before = sum(plan.here(other) for other in plan.listing.files if other != file)

    def tell(size: int) -> None:
        on_fetched(Fetched(plan.row.name, file.path, before + size, plan.total))

    if staged.exists():
        return sha256_of(staged)
    staged.parent.mkdir(parents=True, exist_ok=True)
    problem = ""
    for _ in range(2):
        part.touch()
        wire.fetch(file.url, file.size, part, tell)
        sha256, problem = fault(part, file)
        if not problem:
            flush_to_disk(part)
            part.replace(staged)
            tell(file.size)
            return sha256
        _log.warning("model %s: %s %s; fetching it anew", plan.row.name, file.path, problem)
        part.unlink()
    raise ModelDamaged(
        f"model {plan.row.name!r}: {file.path} from {file.url} {problem}, twice: its host or the "
        "way to it changes the bytes; if the model was changed on purpose, "
        f"dubarr models pull --update {plan.row.name}"
    )


def _write_texts(plan: _Plan) -> Iterator[tuple[str, FileSeal]]:
    for path, text in plan.row.texts.items():
        content = text.encode()
        (plan.stage / path).write_bytes(content)
        yield path, FileSeal(len(content), hashlib.sha256(content).hexdigest())


def _place(plan: _Plan, seal: ModelSeal) -> None:
    """Give the folder its name; one that lies there already goes first."""
    folder, aside = folder_of(plan.row.name), _waiting(plan.row.name) / "replaced"
    write_seal(plan.stage, seal)
    flush_to_disk(plan.stage)
    if folder.exists():
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    plan.stage.rename(folder)
    flush_to_disk(folder.parent)
    shutil.rmtree(_waiting(plan.row.name))


def _waiting(name: str) -> Path:
    """Where a model's files wait until all are there."""
    return models_dir() / ".partial" / name.replace("/", "--")


def _sealed_fault(path: Path, expected: FileSeal) -> str:
    if not path.is_file():
        return "is missing"
    return fault(path, RemoteFile(path.name, "", expected.size, expected.sha256))[1]


@contextlib.contextmanager
def _told_page(row: ModelRow) -> Iterator[None]:
    """Say what a person must do where a host refuses."""
    try:
        yield
    except ModelRefused as error:
        if not error.forbidden:
            raise ModelRefused(f"model {row.name!r}: {error}") from None
        token = (
            "your token has no access"
            if hub.hub_token()
            else "no token was found: set HF_TOKEN, or log in with `hf auth login`"
        )
        raise ModelRefused(
            f"model {row.name!r} is not given to us: accept its conditions at {row.page} with your "
            f"account; {token} ({error})",
            forbidden=True,
        ) from None
