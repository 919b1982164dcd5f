"""The dubbed track, whose codec no browser plays: decoded on request, in pieces of a minute.

A piece begins some frames early, which are dropped: the first frame of an AC-3 or AAC stream is
decoded whole only after the one before it. The pieces are kept, and the oldest go first.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import whole_file
from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.review.films import FilmView
from dubarr_pipeline.review.sounds.waves import Frames, as_frames
from dubarr_pipeline.spans import to_samples

PIECE_S = 60
MOST_BYTES = 1_000_000_000
"""Of one film's cache; a minute of stereo has 11.5 MB."""
_RUN_IN_S = 0.1
"""Three frames of AC-3: without one, the first samples of a piece are 5,000 of 32,768 off."""
_DECODING = threading.Lock()
_BLOCK_SAMPLES = 1 << 20


@dataclass(frozen=True, slots=True)
class DecodedTrack:
    """A dubbed track, on the clock of the film, at its own rate.

    Attributes:
        folder: keeps the decoded pieces.
        stored: channels that the file has; a browser gets at most two.
    """

    path: Path
    folder: Path
    rate: int
    samples: int
    stored: int
    layout: str | None
    version: str

    @property
    def channels(self) -> int:
        return min(2, self.stored)

    def frames(self, start: int, stop: int) -> Frames:
        found = np.zeros((stop - start, self.channels), "<i2")
        length = PIECE_S * self.rate
        first, last = max(0, start), min(stop, self.samples)
        for number in range(first // length, -(-last // length)) if last > first else ():
            piece, at = self._piece(number), number * length
            low, high = max(first, at), min(last, at + len(piece))
            if high > low:
                found[low - start : high - start] = piece[low - at : high - at]
        return found

    def blocks(self) -> Iterator[Samples]:
        arguments = ["-i", ffmpeg.file_url(self.path), "-map", "0:a:0", "-f", "f32le", "pipe:1"]
        with ffmpeg.reader(arguments) as pipe:
            yield from pipe.sound(self.stored, _BLOCK_SAMPLES)

    def _piece(self, number: int) -> Frames:
        path = self.folder / f"{number:04}.s16"
        with _DECODING:
            if path.is_file():
                with suppress(OSError):
                    os.utime(path)
                kept = np.memmap(path, "<i2", "r") if path.stat().st_size else np.zeros(0, "<i2")
                return kept.reshape(-1, self.channels)
            frames = as_frames(self._decoded(number), self.layout)
            with whole_file(path) as part:
                frames.tofile(part)
            forget_oldest(self.folder.parent)
            return frames

    def _decoded(self, number: int) -> Samples:
        """Return a piece, ``(channels, samples)``; shorter where the track ends."""
        start = number * PIECE_S * self.rate
        trim = f"atrim=start_pts={start}:end_pts={start + PIECE_S * self.rate}"
        early_s = max(0.0, number * PIECE_S - _RUN_IN_S)
        told = ffmpeg.run(
            [
                *("-noaccurate_seek", "-ss", f"{early_s:.3f}", "-copyts"),
                *("-i", ffmpeg.file_url(self.path), "-map", "0:a:0", "-af", trim),
                *("-f", "f32le", "pipe:1"),
            ]
        )
        return np.frombuffer(told.stdout, "<f4").reshape(-1, self.stored).T


def open_track(view: FilmView, language: str) -> DecodedTrack:
    """Return the finished track of a language. Raises `ArtifactError` if there is none."""
    # A name out of an address names no file by itself.
    known = language in view.languages
    found = sorted(view.work.root.glob(f"final_{language}.*")) if known else []
    if not found or view.sound is None:
        raise ArtifactError(f"there is no track in {language[:40]!r} yet: dub the film first")
    path, status = found[0], found[0].stat()
    stream = probe(path).audio[0]
    length_s = view.sound.audio.samples / view.sound.audio.rate
    version = f"{status.st_mtime_ns:x}.{status.st_size:x}"
    return DecodedTrack(
        path,
        view.cache / f"dub-{language}-{version}",
        stream.rate,
        to_samples(length_s, stream.rate),
        stream.channels,
        stream.layout,
        version,
    )


def forget_oldest(cache: Path, most_bytes: int = MOST_BYTES) -> None:
    """Remove the pieces that were not heard for longest, until the cache is small enough."""
    listed: list[tuple[float, int, Path]] = []
    total = 0
    for path in cache.rglob("*"):
        with suppress(OSError):
            status = path.stat()
            if path.is_file():
                total += status.st_size
                listed += [(status.st_mtime, status.st_size, path)] if path.suffix == ".s16" else []
    for _, size, path in sorted(listed):
        if total <= most_bytes:
            return
        path.unlink(missing_ok=True)
        total -= size
        with suppress(OSError):
            path.parent.rmdir()
