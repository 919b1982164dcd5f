"""Finished films into an object store: whole or not at all, and read back before they count.

Addresses are fsspec's (``s3://bucket/folder``, ``gs://``, ``abfs://``, ``sftp://``...); its driver
for the store must be installed, and takes its keys from where that driver always does.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fsspec

from dubarr_pipeline import checkpoints
from dubarr_pipeline.errors import (
    ArtifactError,
    MissingRequirement,
    ServiceUnavailable,
    SettingsError,
    VerificationError,
)
from dubarr_pipeline.library.publications import (
    Publication,
    StoredObject,
    read_publication,
    record,
)
from dubarr_pipeline.library.publishing import PublishOptions, below
from dubarr_pipeline.library.videos import Video, check_source
from dubarr_pipeline.media.identity import identify

_BLOCK_BYTES = 4 << 20


def publish_objects(
    video: Video, root: Path, work_dir: Path, options: PublishOptions
) -> Publication:
    """Put a finished film under ``publish.url``; what stands there already is not sent again.

    Raises:
        ArtifactError: if the film is not finished.
        SourceMissing, SourceChanged: if the source is not the film that was dubbed.
        SettingsError: if the address is none, or an object that is not ours lies in the way.
        MissingRequirement: if the store's driver is not installed.
        ServiceUnavailable: if the store refuses, or cannot be reached.
        VerificationError: if what the store holds is not what was sent; it is removed.
    """
    work = video.work(work_dir)
    files = [path for path in checkpoints.sealed_files(work, "mux") if path.suffix == ".mkv"]
    if not files or not files[0].is_file():
        raise ArtifactError(f"{video.key} is not finished as one MKV: dub it first")
    check_source(video)
    before = read_publication(work)
    place = below(video.source, root).with_suffix(".mkv").as_posix()
    made = identify(files[0])
    wanted = StoredObject(f"{options.url.rstrip('/')}/{place}", made.digest, made.size)
    earlier = before.objects if before else ()
    with _store(wanted.url) as (store, path):
        if before and wanted in earlier and store.exists(path) and store.size(path) == made.size:
            return before
        ours = [each.digest for each in earlier if each.url == wanted.url]
        if store.exists(path) and _digest(store, path) not in (*ours, wanted.digest):
            raise SettingsError(f"{wanted.url} is there already and not from us: move it away")
        _send(files[0], store, path, wanted)
    return record(
        work,
        Publication("tree", (), video.source, published_s=time.time(), objects=(wanted,)),
    )


def withdraw(stored: StoredObject) -> None:
    """Remove what was published, unless it is another's by now."""
    with _store(stored.url) as (store, path):
        if store.exists(path) and _digest(store, path) == stored.digest:
            store.rm_file(path)


def _send(made: Path, store: Any, path: str, wanted: StoredObject) -> None:
    """Send under another name, read that back, then give it its name."""
    folder, _, name = path.rpartition("/")
    part = f"{folder}/.{uuid.uuid4().hex}.dubarr-part"
    store.makedirs(folder, exist_ok=True)
    try:
        store.put_file(str(made), part)
        if store.size(part) != wanted.size or _digest(store, part) != wanted.digest:
            raise VerificationError(f"what {wanted.url} holds of {name!r} is not what was sent")
        store.mv(part, path)
        if store.size(path) != wanted.size:
            store.rm_file(path)
            raise VerificationError(f"{wanted.url} was not stored whole")
    finally:
        with suppress(FileNotFoundError):
            store.rm_file(part)


def _digest(store: Any, path: str) -> str:
    """BLAKE2b-256 of an object's content, as `media.identity` has it of files."""
    digest = hashlib.blake2b(digest_size=32)
    with store.open(path, "rb") as file:
        read: Callable[[int], bytes] = file.read
        while block := read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _store(url: str) -> Iterator[tuple[Any, str]]:
    """The store behind an address, and the object's name within it; its errors named as ours."""
    try:
        store, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise MissingRequirement(f"{url}: {error}") from error
    except ValueError as error:
        raise SettingsError(f"publish.url: {error}") from error
    try:
        yield store, path
    except OSError as error:
        raise ServiceUnavailable(f"{url} cannot be written: {error}") from error
