"""Bring models into the store, check them there, remove them.

Interrupted pulls resume at the same byte, also after a kill. Every file is checked by its sha256
(or git's checksum, where the hub states no other) before it counts; the model's folder gets its
name when all are there.
"""

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
from dubarr_pipeline.files import check_writable, flush_to_disk, named_disk_errors
from dubarr_pipeline.models import store
from dubarr_pipeline.models.download import (
    Listing,
    Patience,
    RemoteFile,
    Wire,
    endpoint,
    file_url,
    hub_token,
    list_files,
    mirrored,
)
from dubarr_pipeline.models.manifest import ModelRow
from dubarr_pipeline.text.printable import megabytes

_log = logging.getLogger(__name__)
_SPARE_BYTES = 64 << 20
"""Room that a pull leaves on the disk."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Progress of a pull: bytes of the whole model, and the current file."""

    model: str
    file: str
    done: int
    total: int


OnFetched = Callable[[Fetched], None]


def ignore_fetched(_: Fetched) -> None:
    """Ignore progress."""


@dataclass(frozen=True, slots=True)
class PullOptions:
    """Options of a pull; `update` takes what the host holds now, instead of what was pinned."""

    update: bool = False
    patience: Patience = field(default_factory=Patience)
    on_fetched: OnFetched = ignore_fetched


@dataclass(frozen=True, slots=True)
class _Plan:
    """Files to fetch, and the folder that holds them until all are there."""

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
        """Return the path of a file while it is fetched."""
        return self.stage / f"{file.path}.part"

    def here(self, file: RemoteFile) -> int:
        """Return the number of a file's bytes that are here."""
        checked, part = self.stage / file.path, self.part(file)
        found = next((path for path in (checked, part) if path.exists()), None)
        return min(file.size, found.stat().st_size) if found else 0


def pull(name: str, options: PullOptions | None = None) -> store.ChecksumRecord:
    """Bring a model into the store if it is not there; return its checksum record.

    Raises:
        SettingsError: if there is no such model in the manifest, and no repository has its name.
        ModelRefused: if its host denies access; the message names the page to accept.
        ModelDamaged: if its files have wrong checksums, twice.
        MissingRequirement: if nothing may be fetched (offline).
        ServiceError: if the host goes on failing.
        DiskFull: if there is no room; nothing is fetched then.
    """
    options = options or PullOptions()
    if store.local_folder(name) is not None:
        raise SettingsError(f"{name!r} is a folder of your own: there is nothing to pull")
    row = store.known_model(name)
    check_writable(store.models_dir(), "models.dir in dubarr.toml, or DUBARR_MODELS_DIR")
    with store.held(name):
        found = store.read_record(store.folder_of(name))
        if found is not None and store.is_present(name) and not options.update:
            return found
        _check_online(name)
        return _pull(row, options)


def to_fetch(name: str, options: PullOptions | None = None) -> int:
    """Return the bytes that a pull would fetch now, as the host states. Raises as `pull` does."""
    options = options or PullOptions()
    row = store.known_model(name)
    if store.is_present(name) and not options.update:
        return 0
    _check_online(name)
    with Wire(endpoint(), hub_token(), options.patience) as wire, _named_refusals(row):
        return _plan(row, wire, options.update).lacking


def verify(name: str) -> list[str]:
    """Read a model's files again; return their faults in words.

    A model with a fault counts as missing from then on, and a pull fetches what is wrong.

    Raises:
        MissingRequirement: if it is not here at all.
    """
    folder = store.folder_of(name)
    with store.held(name):
        record = store.read_record(folder)
        if record is None:
            raise MissingRequirement(
                f"model {name!r} is not in {store.models_dir()}: dubarr models pull {name}"
            )
        faults: list[str] = []
        for file, known in record.files.items():
            wanted, here = RemoteFile(file, "", known.size, known.sha256), folder / file
            wrong = store.fault(here, wanted)[1] if here.is_file() else "is missing"
            faults += [f"{file}: {wrong}"] if wrong else []
        if faults:
            store.forget_record(folder)
    return faults


def remove(name: str) -> int:
    """Remove a model and what was fetched of it; return the bytes freed. Its pin stays."""
    folders = (store.folder_of(name), _waiting(name))
    with store.held(name):
        freed = sum(
            path.stat().st_size
            for folder in folders
            for path in folder.rglob("*")
            if path.is_file()
        )
        store.forget_record(store.folder_of(name))
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    return freed


def _check_online(name: str) -> None:
    if store.is_offline():
        raise MissingRequirement(
            f"model {name!r} is not in {store.models_dir()}, and nothing may be fetched "
            "(HF_HUB_OFFLINE, or models.offline): pull it where there is a network, and copy its "
            f"folder {store.folder_of(name).name} here"
        )


def _pull(row: ModelRow, options: PullOptions) -> store.ChecksumRecord:
    with (
        Wire(endpoint(), hub_token(), options.patience) as wire,
        _named_refusals(row),
        named_disk_errors(store.models_dir()),
    ):
        plan = _plan(row, wire, options.update)
        _adopt(plan)
        plan.stage.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(plan.stage).free
        if plan.lacking + _SPARE_BYTES > free:
            raise DiskFull(
                f"model {row.name!r} needs {megabytes(plan.lacking)} more on the disk of "
                f"{store.models_dir()}, which has {megabytes(free)}: free some, or choose another "
                "folder with models.dir in dubarr.toml or DUBARR_MODELS_DIR"
            )
        checksums = {
            file.path: store.FileChecksum(file.size, _fetch(plan, file, wire, options.on_fetched))
            for file in plan.listing.files
        }
        for path, text in row.texts.items():
            content = text.encode()
            (plan.stage / path).write_bytes(content)
            checksums[path] = store.FileChecksum(len(content), hashlib.sha256(content).hexdigest())
        record = store.ChecksumRecord(plan.listing.revision, checksums)
        _place(plan, record)
    store.pin(row.name, store.Pin(_asked(row), record))
    _log.info("model %s: %d files, %d bytes", row.name, len(record.files), record.size)
    return record


def _plan(row: ModelRow, wire: Wire, update: bool) -> _Plan:
    """Return the plan to fetch the pinned files, or those that the host holds now."""
    pinned = store.pins().get(row.name)
    if pinned and pinned.asked == _asked(row) and not update:
        addresses = {url.rpartition("/")[2]: mirrored(url) for url in row.urls}
        revision = pinned.seal.revision
        files = tuple(
            RemoteFile(
                path,
                addresses.get(path) or file_url(row.repo, revision, path),
                known.size,
                known.sha256,
            )
            for path, known in pinned.seal.files.items()
            if path not in row.texts
        )
        listing = Listing(revision, files)
    else:
        listing = list_files(row, wire)
    lines = "\n".join(
        f"{f.path} {f.size} {f.sha256 or f.git_sha1 or f.version}" for f in listing.files
    )
    digest = hashlib.sha256(lines.encode()).hexdigest()[:16]
    return _Plan(row, listing, _waiting(row.name) / digest)


def _asked(row: ModelRow) -> str:
    """Return what the manifest asks for: a pin is valid for this alone."""
    wanted = [row.repo, row.revision, *row.files] if row.repo else list(row.urls)
    return " ".join(wanted)


def _adopt(plan: _Plan) -> None:
    """Take over whole files in the model's folder: a repair, or files that a person copied."""
    folder = store.folder_of(plan.row.name)
    for file in plan.listing.files:
        there, staged = folder / file.path, plan.stage / file.path
        if staged.exists() or not there.is_file() or not (file.sha256 or file.git_sha1):
            continue
        if there.stat().st_size == file.size and not store.fault(there, file)[1]:
            staged.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(there, plan.part(file))
            plan.part(file).replace(staged)


def _fetch(plan: _Plan, file: RemoteFile, wire: Wire, on_fetched: OnFetched) -> str:
    """Fetch a file and check it, again if it is damaged; return its sha256."""
    staged, part = plan.stage / file.path, plan.part(file)
    before = sum(plan.here(other) for other in plan.listing.files if other != file)

    def tell(size: int) -> None:
        on_fetched(Fetched(plan.row.name, file.path, before + size, plan.total))

    if staged.exists():
        return store.sha256_of(staged)
    staged.parent.mkdir(parents=True, exist_ok=True)
    problem = ""
    for _ in range(2):
        part.touch()
        wire.fetch(file.url, file.size, part, tell)
        sha256, problem = store.fault(part, file)
        if not problem:
            flush_to_disk(part)
            part.replace(staged)
            tell(file.size)
            return sha256
        _log.warning("model %s: %s %s; fetching it again", plan.row.name, file.path, problem)
        part.unlink()
    raise ModelDamaged(
        f"model {plan.row.name!r}: {file.path} from {file.url} {problem}, twice: its host or the "
        "way to it changes the bytes; if the model was changed on purpose, "
        f"dubarr models pull --update {plan.row.name}"
    )


def _place(plan: _Plan, record: store.ChecksumRecord) -> None:
    """Give the folder its name, in place of an earlier one."""
    folder, aside = store.folder_of(plan.row.name), _waiting(plan.row.name) / "replaced"
    store.write_record(plan.stage, record)
    flush_to_disk(plan.stage)
    if folder.exists():
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    plan.stage.rename(folder)
    flush_to_disk(folder.parent)
    shutil.rmtree(_waiting(plan.row.name))


def _waiting(name: str) -> Path:
    """Return the folder of a model's files until all are there."""
    return store.models_dir() / ".partial" / name.replace("/", "--")


@contextlib.contextmanager
def _named_refusals(row: ModelRow) -> Iterator[None]:
    """Add to a host's refusal what a person must do."""
    try:
        yield
    except ModelRefused as error:
        if not error.forbidden:
            raise ModelRefused(f"model {row.name!r}: {error}") from None
        token = (
            "your token has no access"
            if hub_token()
            else "no token was found: set HF_TOKEN, or log in with `hf auth login`"
        )
        raise ModelRefused(
            f"model {row.name!r} access denied: accept the model's terms at {row.page} with your "
            f"account; {token} ({error})",
            forbidden=True,
        ) from None
