"""Object stores behind fsspec's drivers: any name of a film, and every failure by our names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import fsspec
from fsspec.spec import AbstractFileSystem

from dubarr_pipeline.errors import (
    DubbingError,
    MissingRequirement,
    ServiceUnavailable,
    SettingsError,
)

_BUCKETS = frozenset(("s3", "gs", "abfs", "oss", "oci"))
"""Drivers of stores without folders; asked for one, they would make a missing bucket instead."""
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
"""What drivers raise besides `OSError`, by its module; which is loaded where it was raised."""
_LASTING = frozenset(
    (
        "ConfigParseError",
        "DefaultCredentialsError",
        "InvalidConfigError",
        "InvalidRegionError",
        "NoCredentialsError",
        "ParamValidationError",
        "PartialCredentialsError",
        "ProfileNotFound",
    )
)
"""Those of them that a second try does not mend."""


@contextmanager
def open_store(url: str) -> Iterator[tuple[Any, str]]:
    """The store behind an address, and the object's name within it; its errors become ours.

    Raises:
        SettingsError: if the address is none, no such bucket exists, or the keys are refused.
        MissingRequirement: if the store's driver is not installed.
        ServiceUnavailable: if the store cannot be reached, or fails.
    """
    try:
        store, path = _driver(url)
    except ImportError as error:
        raise MissingRequirement(f"{url}: {error}") from error
    except ValueError as error:
        raise SettingsError(f"publish.url: {error}") from error
    try:
        yield store, path
    except (ValueError, *driver_errors()) as error:
        raise _named(error, url) from error


def driver_errors() -> tuple[type[Exception], ...]:
    """Whatever a driver that is loaded may raise when its store fails."""
    loaded = {
        name: sys.modules[module] for module, name in _FOREIGN.items() if module in sys.modules
    }
    return (OSError, *(getattr(module, name) for name, module in loaded.items()))


def make_folder(store: Any, folder: str) -> None:
    """Make the folder of an object, in stores that have folders."""
    protocols = {store.protocol} if isinstance(store.protocol, str) else {*store.protocol}
    if protocols.isdisjoint(_BUCKETS):
        store.makedirs(folder, exist_ok=True)


def rename(store: Any, old: str, new: str) -> None:
    """Give an object another name: at once where the store can, else by a copy inside of it."""
    if type(store).mv is AbstractFileSystem.mv:
        # That one takes a folder "Film [1999]" for a pattern, and finds nothing.
        store.cp_file(old, new)
        store.rm_file(old)
    else:
        store.mv(old, new)


def drop_unfinished(store: Any, *paths: str) -> None:
    """Drop what broken uploads left of these objects: S3 keeps, and bills, their parts unseen."""
    if not hasattr(store, "abort_mpu"):
        return
    for path in paths:
        bucket, _, key = path.partition("/")
        # Not every key may list these; without that right they stay until the bucket's own rule.
        with suppress(PermissionError, NotImplementedError):
            found = store.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=key)
            for upload in found.get("Uploads", ()):
                if upload["Key"] == key:
                    store.abort_mpu(bucket, key, upload["UploadId"])


def _driver(url: str) -> tuple[Any, str]:
    # Only the front is fsspec's to read: in the rest, "::", "?" and "#" belong to a film's name.
    scheme, _, rest = url.partition("://")
    place, _, name = rest.partition("/")
    store, base = fsspec.core.url_to_fs(f"{scheme}://{place}/", use_listings_cache=False)
    if hasattr(store, "read_timeout"):
        store.read_timeout = max(store.read_timeout, _PATIENCE_S)
    return store, f"{base.rstrip('/')}/{name}"


def _named(error: Exception, url: str) -> DubbingError:
    """A driver's error as ours, with the cure."""
    said = str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return SettingsError(f"{url}: no such place: {said}; make the bucket, or mend publish.url")
    if isinstance(error, PermissionError):
        return SettingsError(
            f"{url}: refused: {said}; check the store's keys, and what they may (docs/storage.md)"
        )
    if isinstance(error, ValueError) or type(error).__name__ in _LASTING:
        return SettingsError(f"{url}: {said}; check the store's settings (docs/storage.md)")
    return ServiceUnavailable(f"{url} cannot be written: {said}")
