"""Sound files with random access: read and written block by block, overwritten in place.

All are float32 WAV, or RF64 from 4 GiB on. Reading and overwriting use positioned I/O, so that
threads share one open file without a lock, and memory does not grow with the film.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import named_disk_errors
from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.media.audio.wav_header import SAMPLE_BYTES, header_bytes, read_header


class WaveFile:
    """A float32 WAV or RF64 file, read in any order by any number of threads; a context manager.

    `samples` is the length of each channel, `layout` ffmpeg's name of the layout, None if unknown.

    Raises:
        ArtifactError: if the file is missing, cut off, or does not hold float32 samples.
    """

    _flags = os.O_RDONLY

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        try:
            with path.open("rb") as stream:
                header = read_header(stream, path)
            self._descriptor = os.open(path, self._flags | os.O_CLOEXEC)
        except (FileNotFoundError, IsADirectoryError):
            raise ArtifactError(f"{path} is missing: materialize the stage that makes it") from None
        self.rate, self.channels, self.samples = header.rate, header.channels, header.samples
        self.layout, self._data_start = header.layout, header.data_start

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back. Harmless when it is closed already."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def read(self, start: int, stop: int) -> Samples:
        """Return ``(channels, stop - start)`` float32; beyond the file's ends there is silence.

        Raises:
            ValueError: if `stop` lies before `start`, or the file is closed.
            ArtifactError: if the file has been cut since it was opened.
        """
        if stop < start:
            raise ValueError(f"cannot read from sample {start} back to {stop}")
        first, last = max(0, start), min(stop, self.samples)
        if first >= last:
            return np.zeros((self.channels, stop - start), np.float32)
        inside = np.ascontiguousarray(self.read_frames(first, last).T, np.float32)
        if (first, last) == (start, stop):
            return inside
        block = np.zeros((self.channels, stop - start), np.float32)
        block[:, first - start : last - start] = inside
        return block

    def read_frames(self, start: int, stop: int) -> Samples:
        """Return ``(stop - start, channels)`` as it lies in the file; all of it must be inside.

        Raises:
            ValueError: if the file is closed.
            ArtifactError: if the file ends before `stop`.
        """
        frames = np.empty((stop - start, self.channels), "<f4")
        view = frames.data.cast("B")
        done, position = 0, self._data_start + start * self.channels * SAMPLE_BYTES
        while done < len(view):
            got = os.preadv(self._open_descriptor(), [view[done:]], position + done)
            if got == 0:
                raise ArtifactError(f"{self.path} has been cut since it was opened: run again")
            done += got
        return frames

    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise ValueError(f"{self.path} is closed")
        return self._descriptor


class OverlayWriter(WaveFile):
    """A `WaveFile` that is also overwritten in place; its length never changes."""

    _flags = os.O_RDWR

    def write_at(self, start: int, block: Samples) -> None:
        """Put ``(channels, n)`` or mono ``(n,)`` samples over those from `start` on.

        Raises:
            ValueError: if the block has other channels, or reaches beyond the file's ends.
            DiskFull, NotWritable: if the disk refuses.
        """
        data = _interleaved(block, self.channels)
        if start < 0 or start + len(data) > self.samples:
            raise ValueError(
                f"samples {start} to {start + len(data)} are not all inside "
                f"the {self.samples} of {self.path}"
            )
        descriptor = self._open_descriptor()
        position = self._data_start + start * self.channels * SAMPLE_BYTES
        view, done = data.reshape(-1).view(np.uint8).data, 0
        with named_disk_errors(self.path):
            while done < len(view):
                done += os.pwrite(descriptor, view[done:], position + done)


class WaveWriter:
    """A writer of float32 WAV, block by block, RF64 where it grows past 4 GiB; a context manager.

    Without `layout` it is the usual one; where `samples` announces the length, another is refused.

    Raises:
        DiskFull, NotWritable: if the disk refuses.
    """

    def __init__(
        self,
        path: Path,
        rate: int,
        channels: int,
        samples: int | None = None,
        layout: str | None = None,
    ) -> None:
        if rate < 1 or channels < 1:
            raise ValueError(f"no sound has {channels} channels at {rate} Hz")
        self.path, self.rate, self.channels, self.layout = path, rate, channels, layout
        self._expected = samples
        self.samples = 0  # written so far
        with named_disk_errors(path):
            self._stream: BinaryIO = path.open("wb")
            self._stream.write(self._header())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            # The first error is the one to tell of, not that the rest cannot be flushed either.
            with contextlib.suppress(OSError):
                self._stream.close()

    def write(self, block: Samples) -> None:
        """Append ``(channels, n)`` or mono ``(n,)`` samples."""
        data = _interleaved(block, self.channels)
        if not len(data):
            return
        with named_disk_errors(self.path):
            self._stream.write(data.data.cast("B"))
        self.samples += len(data)

    def close(self) -> None:
        """Write the length into the header. Raises `ValueError` if another was announced."""
        if self._stream.closed:
            return
        with named_disk_errors(self.path), self._stream:
            self._stream.seek(0)
            self._stream.write(self._header())
        if self._expected not in (None, self.samples):
            raise ValueError(
                f"{self.path}: {self._expected} samples announced, {self.samples} written"
            )

    def _header(self) -> bytes:
        return header_bytes(self.rate, self.channels, self.layout, self.samples)


def write_wave(path: Path, samples: Samples, rate: int, layout: str | None = None) -> None:
    """Write a short sound in one go: ``(channels, n)``, or ``(n,)`` for mono."""
    channels = 1 if samples.ndim == 1 else samples.shape[0]
    with WaveWriter(path, rate, channels, samples.shape[-1], layout) as writer:
        writer.write(samples)


def _interleaved(block: Samples, channels: int) -> NDArray[np.float32]:
    sound = block[np.newaxis] if block.ndim == 1 else block
    if sound.ndim != 2 or sound.shape[0] != channels:
        raise ValueError(f"{channels} channels expected, got a block of shape {block.shape}")
    return np.ascontiguousarray(sound.T, "<f4")
