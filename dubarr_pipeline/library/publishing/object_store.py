"""Publishing into an object store: whole or not at all, and read back before it counts.

Addresses are fsspec's (``s3://bucket/folder``, ``gs://``, ``abfs://``, ``sftp://``...); its driver
for the store must be installed, and takes its keys from its usual places.
"""

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dubarr_pipeline import errors
from dubarr_pipeline.config.libraries import PublishOptions
from dubarr_pipeline.library.publishing.naming import object_part, object_url
from dubarr_pipeline.library.publishing.records import (
    Publication,
    StoredObject,
    gives_way,
    owners,
    read_publication,
    record,
)
from dubarr_pipeline.library.videos import Video, check_source
from dubarr_pipeline.workdir import checkpoints

_BLOCK_BYTES = 4 << 20


def publish_objects(
    video: Video, root: Path, work_dir: Path, options: PublishOptions
) -> Publication:
    """Put a finished film under ``publish.url``; an object that is there is not sent again.

    Raises:
        ArtifactError: if the film is not finished.
        SourceMissing, SourceChanged: if the source is not the film that was dubbed.
        SettingsError: if the address is invalid, the bucket does not exist, the keys are refused,
            or an object of others is in the way.
        MissingRequirement: if the store's driver is not installed.
        ServiceUnavailable: if the store cannot be reached, or fails.
        VerificationError: if the stored object differs from the film; it is removed.
    """
    work = video.work(work_dir)
    files = [path for path in checkpoints.recorded_files(work, "mux") if path.suffix == ".mkv"]
    if not files or not files[0].is_file():
        raise errors.ArtifactError(f"{video.key} is not finished as one MKV: dub it first")
    check_source(video)
    before = read_publication(work)
    made = StoredObject(
        object_url(video.source, root, options),
        checkpoints.recorded_digests(work, "mux")[files[0]],
        files[0].stat().st_size,
    )
    with open_store(made.url) as (store, path):
        is_there = store.exists(path)
        if before and before.objects == (made,) and is_there and store.size(path) == made.size:
            return before
        if is_there:
            ours = {made.digest}
            for owner, earlier in owners(made.url, work_dir):
                if gives_way(owner, earlier, video.source, work_dir, video.key):
                    ours |= {each.digest for each in earlier.objects if each.url == made.url}
            if object_digest(store, path) not in ours:
                raise errors.SettingsError(
                    f"{made.url} already exists and was not written by dubarr for this film: "
                    "move it"
                )
        _send(files[0], store, path, made)
    published = Publication("tree", (), video.source, published_s=time.time(), objects=(made,))
    return record(work, published.in_place_of(before))


def withdraw(stored: StoredObject) -> None:
    """Remove a published object, unless others have replaced it."""
    with open_store(stored.url) as (store, path):
        if store.exists(path) and object_digest(store, path) == stored.digest:
            store.rm_file(path)


def _send(made: Path, store: Any, path: str, wanted: StoredObject) -> None:
    """Send under another name, read that back, then give it its name."""
    folder, _, name = path.rpartition("/")
    part = object_part(path)
    protocols = {store.protocol} if isinstance(store.protocol, str) else {*store.protocol}
    if protocols.isdisjoint(BUCKETS):
        store.makedirs(folder, exist_ok=True)
    drop_unfinished(store, part, path)
    try:
        store.put_file(str(made), part)
        if store.size(part) != wanted.size or object_digest(store, part) != wanted.digest:
            raise errors.VerificationError(f"{wanted.url} does not hold {name!r} as it was sent")
        from fsspec.spec import AbstractFileSystem

        if type(store).mv is AbstractFileSystem.mv:
            # That method reads a folder "Film [1999]" as a pattern, which matches nothing.
            store.cp_file(part, path)
            store.rm_file(part)
        else:
            store.mv(part, path)
        if store.size(path) != wanted.size:
            store.rm_file(path)
            raise errors.VerificationError(f"{wanted.url} was not stored whole")
    # No interruption, Ctrl-C included, leaves anything half sent behind. The first failure is the
    # one to report, not that of a store that is unreachable by now.
    except BaseException:
        with suppress(*driver_errors()):
            store.rm_file(part)
            drop_unfinished(store, part, path)
        raise


def object_digest(store: Any, path: str) -> str:
    """Return the BLAKE2b-256 of an object's content, as `workdir.identity` does for files."""
    digest = hashlib.blake2b(digest_size=32)
    with store.open(path, "rb") as file:
        read: Callable[[int], bytes] = file.read
        while block := read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


BUCKETS = frozenset(("s3", "gs", "abfs", "oss", "oci"))
"""Drivers of stores without folders; their `makedirs` would create a missing bucket."""
_PATIENCE_S = 120.0
"""S3's driver waits 15 s for an answer; a copy of up to 5 GB inside the store comes in one, which
takes that long at 40 MB/s."""
_FOREIGN = {
    "aiohttp": "ClientError",
    "azure.core.exceptions": "AzureError",
    "botocore.exceptions": "BotoCoreError",
    "gcsfs.retry": "HttpError",
    "google.auth.exceptions": "GoogleAuthError",
}
"""Drivers' errors besides `OSError`, by module; only a loaded module can have raised one."""
_LASTING = frozenset(
    "ConfigParseError DefaultCredentialsError InvalidConfigError InvalidRegionError"
    " NoCredentialsError ParamValidationError PartialCredentialsError ProfileNotFound".split()
)
"""Those of them for which a second try does not help."""


@contextmanager
def open_store(url: str, setting: str = "publish.url") -> Iterator[tuple[Any, str]]:
    """Give the store of an address and the object's name within it; its errors are translated.

    `setting` is the one that holds the address.

    Raises:
        SettingsError: if the address is invalid, the bucket does not exist, or the keys are
            refused.
        MissingRequirement: if the store's driver is not installed.
        ServiceUnavailable: if the store cannot be reached, or fails.
    """
    try:
        # fsspec may parse the front only: "::", "?" and "#" in the rest belong to a film's name.
        scheme, _, rest = url.partition("://")
        place, _, name = rest.partition("/")
        # Not at the top: it takes 0.2 s, which every command would pay.
        import fsspec

        store, base = fsspec.core.url_to_fs(f"{scheme}://{place}/", use_listings_cache=False)
        if hasattr(store, "read_timeout"):
            store.read_timeout = max(store.read_timeout, _PATIENCE_S)
        path = f"{base.rstrip('/')}/{name}"
    except ImportError as error:
        raise errors.MissingRequirement(f"{url}: {error}") from error
    except ValueError as error:
        raise errors.SettingsError(f"{setting}: {error}") from error
    try:
        yield store, path
    except (ValueError, *driver_errors()) as error:
        raise _named(error, url, setting) from error


def driver_errors() -> tuple[type[Exception], ...]:
    """Return the errors that the loaded drivers may raise when their store fails."""
    loaded = ((sys.modules.get(module), name) for module, name in _FOREIGN.items())
    return (OSError, *(getattr(module, name) for module, name in loaded if module))


def drop_unfinished(store: Any, *paths: str) -> None:
    """Drop what broken uploads left of these objects: S3 keeps, and bills, their parts unseen."""
    if not hasattr(store, "abort_mpu"):
        return
    for path in paths:
        bucket, _, key = path.partition("/")
        # Not every key may list these; without that right they stay until the bucket expires them.
        with suppress(PermissionError, NotImplementedError):
            found = store.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=key)
            for upload in found.get("Uploads", ()):
                if upload["Key"] == key:
                    store.abort_mpu(bucket, key, upload["UploadId"])


def _named(error: Exception, url: str, setting: str) -> errors.DubbingError:
    """Return a driver's error as a `DubbingError`, with the cure."""
    said = str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        cure = f"create the bucket, or correct {setting}"
        return errors.SettingsError(f"{url} does not exist ({said}): {cure}")
    if isinstance(error, PermissionError):
        return errors.SettingsError(
            f"{url}: access denied ({said}): check the store's keys and their permissions "
            "(docs/storage.md)"
        )
    if isinstance(error, ValueError) or type(error).__name__ in _LASTING:
        return errors.SettingsError(f"{url}: {said}: check the store's settings (docs/storage.md)")
    return errors.ServiceUnavailable(f"{url} is not writable: {said}")
