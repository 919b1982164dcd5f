"""Finished windows on disk, so that a killed run repeats none of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.workdir import named_disk_errors

_DIGEST_BYTES = 16


class Shelf:
    """Results by what they were made from; a damaged one counts as missing.

    Args:
        folder: where they lie; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def find(self, key: str, shape: tuple[int, ...]) -> Samples | None:
        """Return the result under a key, if it is there and whole."""
        if self._folder is None:
            return None
        try:
            data = (self._folder / key).read_bytes()
        except FileNotFoundError:
            return None
        digest, payload = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if len(payload) != 4 * int(np.prod(shape)) or _digest(payload) != digest:
            return None
        return np.frombuffer(payload, "<f4").reshape(shape)

    def put(self, key: str, voices: Samples) -> None:
        """Keep a result.

        Raises:
            DiskFull, NotWritable: if the disk refuses.
        """
        if self._folder is None:
            return
        payload = np.ascontiguousarray(voices, "<f4").tobytes()
        temporary = self._folder / f".{key}"
        with named_disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            # Not flushed to disk: after a power cut the digest tells what was lost.
            temporary.write_bytes(_digest(payload) + payload)
            temporary.replace(self._folder / key)


def key_of(what: str, sound: Samples) -> str:
    """Name a result by who makes it, how, and from what."""
    found = hashlib.blake2b(what.encode(), digest_size=_DIGEST_BYTES)
    found.update(np.ascontiguousarray(sound).data.cast("B"))
    return found.hexdigest()


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_DIGEST_BYTES).digest()
