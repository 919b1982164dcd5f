"""Finished films into an object store: whole or not at all, and read back before they count.

Addresses are fsspec's (``s3://bucket/folder``, ``gs://``, ``abfs://``, ``sftp://``...); its driver
for the store must be installed, and takes its keys from where that driver always does.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dubarr_pipeline import checkpoints
from dubarr_pipeline.errors import ArtifactError, SettingsError, VerificationError
from dubarr_pipeline.library.object_stores import (
    driver_errors,
    drop_unfinished,
    make_folder,
    open_store,
    rename,
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
from dubarr_pipeline.terminal import printable

_BLOCK_BYTES = 4 << 20


def publish_objects(
    video: Video, root: Path, work_dir: Path, options: PublishOptions
) -> Publication:
    """Put a finished film under ``publish.url``; what stands there already is not sent again.

    Raises:
        ArtifactError: if the film is not finished.
        SourceMissing, SourceChanged: if the source is not the film that was dubbed.
        SettingsError: if the address is none, no such bucket exists, the keys are refused, or an
            object that is not ours lies in the way.
        MissingRequirement: if the store's driver is not installed.
        ServiceUnavailable: if the store cannot be reached, or fails.
        VerificationError: if what the store holds is not what was sent; it is removed.
    """
    work = video.work(work_dir)
    files = [path for path in checkpoints.sealed_files(work, "mux") if path.suffix == ".mkv"]
    if not files or not files[0].is_file():
        raise ArtifactError(f"{video.key} is not finished as one MKV: dub it first")
    check_source(video)
    before = read_publication(work)
    # A store's names are UTF-8 always, a file's are not.
    place = printable(below(video.source, root).with_suffix(".mkv").as_posix())
    made = identify(files[0])
    wanted = StoredObject(f"{options.url.rstrip('/')}/{place}", made.digest, made.size)
    earlier = before.objects if before else ()
    with open_store(wanted.url) as (store, path):
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
    with open_store(stored.url) as (store, path):
        if store.exists(path) and _digest(store, path) == stored.digest:
            store.rm_file(path)


def _send(made: Path, store: Any, path: str, wanted: StoredObject) -> None:
    """Send under another name, read that back, then give it its name."""
    folder, _, name = path.rpartition("/")
    # The same at every try: what a killed one left is written over.
    part = f"{folder}/.{hashlib.blake2b(path.encode(), digest_size=16).hexdigest()}.dubarr-part"
    make_folder(store, folder)
    drop_unfinished(store, part, path)
    try:
        store.put_file(str(made), part)
        if store.size(part) != wanted.size or _digest(store, part) != wanted.digest:
            raise VerificationError(f"what {wanted.url} holds of {name!r} is not what was sent")
        rename(store, part, path)
        if store.size(path) != wanted.size:
            store.rm_file(path)
            raise VerificationError(f"{wanted.url} was not stored whole")
    # Whatever breaks it off, Ctrl-C too, leaves nothing half sent behind. The first failure is the
    # one to tell, not that of a store that is away by now.
    except BaseException:
        with suppress(*driver_errors()):
            store.rm_file(part)
            drop_unfinished(store, part, path)
        raise


def _digest(store: Any, path: str) -> str:
    """BLAKE2b-256 of an object's content, as `media.identity` has it of files."""
    digest = hashlib.blake2b(digest_size=32)
    with store.open(path, "rb") as file:
        read: Callable[[int], bytes] = file.read
        while block := read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
