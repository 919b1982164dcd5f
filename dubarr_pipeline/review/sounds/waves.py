"""Sounds of a film for a browser: 16 bits, at most two channels, whole by ranges or in cuts.

Nothing is written: the stems are read where they lie, and turned into what is asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.errors import RequestRefused
from dubarr_pipeline.media.audio.channels import positions
from dubarr_pipeline.media.audio.reader import Samples, SoundReader, SoundsTogether
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.review.films import FilmView

Frames = NDArray[np.int16]
"""Sound for a browser, ``(samples, channels)``, one channel or two."""
HEADER_BYTES = 44
_LIMIT = 0xFFFF_FFFF
_MOST_DIGITS = 18
"""Of a byte's number; Python reads no number of thousands of them."""
_BLOCK_S = 30.0
_TO_BOTH, _ASIDE = 0.7071, 0.7071
"""Levels of the centre and of the surround in two channels (ITU-R BS.775)."""
_IN_FRONT = ("FL", "FR", "DL", "DR")
WHAT = ("original", "dub", "voice", "bed")


class FilmSound(Protocol):
    """A sound on the clock of the film; `version` names its content."""

    @property
    def rate(self) -> int: ...
    @property
    def samples(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def version(self) -> str: ...

    def frames(self, start: int, stop: int) -> Frames:
        """Return some samples for a browser; beyond the ends there is silence."""
        ...

    def blocks(self) -> Iterator[Samples]:
        """Yield the whole sound, ``(channels, samples)``, in its own layout."""
        ...


@dataclass(frozen=True, slots=True)
class StemSound:
    """The sound of a stem, or of both together, which are the original."""

    reader: SoundReader
    layout: str | None
    version: str

    @property
    def rate(self) -> int:
        return self.reader.rate

    @property
    def samples(self) -> int:
        return self.reader.samples

    @property
    def channels(self) -> int:
        return min(2, self.reader.channels)

    def frames(self, start: int, stop: int) -> Frames:
        return as_frames(self.reader.read(start, stop), self.layout)

    def blocks(self) -> Iterator[Samples]:
        step = round(_BLOCK_S * self.rate)
        for start in range(0, self.samples, step):
            yield self.reader.read(start, min(self.samples, start + step))


def stem_sound(view: FilmView, what: str, stack: Stack) -> StemSound:
    """Open ``voice``, ``bed`` or their sum, ``original``; `stack` closes what is opened.

    Raises:
        ArtifactError: if a stem is missing.
    """
    paths = {"voice": [view.work.vocals], "bed": [view.work.accompaniment]}
    opened = [
        stack.enter_context(WaveFile(path))
        for path in paths.get(what, [view.work.vocals, view.work.accompaniment])
    ]
    reader: SoundReader = opened[0] if len(opened) == 1 else SoundsTogether(*opened[:2])
    dates = (each.path.stat() for each in opened)
    version = "-".join(f"{each.st_mtime_ns:x}.{each.st_size:x}" for each in dates)
    return StemSound(reader, opened[0].layout, version)


class Stack(Protocol):
    """The part of an `ExitStack` that is needed here."""

    def enter_context(self, cm: AbstractContextManager[WaveFile], /) -> WaveFile: ...


def as_frames(samples: Samples, layout: str | None = None) -> Frames:
    """Return ``(channels, samples)``, or ``(samples,)`` for mono, as a browser plays it."""
    sound = np.atleast_2d(samples)
    if len(sound) > 2:
        sound = _stereo_weights(len(sound), layout) @ sound
    return np.clip(np.rint(sound.T * 32768), -32768, 32767).astype("<i2")


def _stereo_weights(channels: int, layout: str | None) -> NDArray[np.float32]:
    """Return the share of each channel in left and right, ``(2, channels)``."""
    weights = np.zeros((2, channels), np.float32)
    for number, place in enumerate(positions(channels, layout)):
        name = place.removesuffix("C") if place in ("FLC", "FRC") else place
        if name.startswith("LFE"):
            continue
        if name[-1] not in "LR":
            weights[:, number] = _TO_BOTH
        else:
            weights["LR".index(name[-1]), number] = 1 if name in _IN_FRONT else _ASIDE
    return weights


def wave_header(rate: int, channels: int, samples: int) -> bytes:
    """Return the header of a WAV file of 16 bits.

    Lengths beyond 4 GiB are written as the greatest there is, which browsers read to the end.
    """
    block = 2 * channels
    data = min(samples * block, _LIMIT - HEADER_BYTES)
    form = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * block, block, 16)
    front = b"RIFF" + struct.pack("<I", data + HEADER_BYTES - 8) + b"WAVE"
    return front + b"fmt " + form + b"data" + struct.pack("<I", data)


def cut(sound: FilmSound, start_s: float, end_s: float) -> bytes:
    """Return a stretch of a sound as a WAV file."""
    start, stop = (round(at * sound.rate) for at in (start_s, end_s))
    frames = sound.frames(start, max(start, stop))
    return wave_header(sound.rate, sound.channels, len(frames)) + frames.tobytes()


def byte_count(sound: FilmSound) -> int:
    """Return the size of the whole sound as a WAV file."""
    return HEADER_BYTES + 2 * sound.channels * sound.samples


def bytes_of(sound: FilmSound, start: int, stop: int) -> Iterator[bytes]:
    """Yield the bytes from `start` to `stop` of the whole sound as a WAV file."""
    if start < HEADER_BYTES:
        head = wave_header(sound.rate, sound.channels, sound.samples)
        yield head[start:stop]
        start = min(stop, HEADER_BYTES)
    block = 2 * sound.channels
    step = sound.rate
    while start < stop:
        first, skipped = divmod(start - HEADER_BYTES, block)
        last = min(first + step, -(-(stop - HEADER_BYTES) // block))
        data = sound.frames(first, last).tobytes()[skipped : skipped + stop - start]
        yield data
        start += len(data)


def asked_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte that is asked for and the one after the last; None for all of them.

    Of several ranges none is served, as HTTP allows (RFC 9110, 14.2).

    Raises:
        RequestRefused: if it lies beyond the end (416).
    """
    unit, _, wanted = (header or "").partition("=")
    first, dash, last = wanted.strip().partition("-")
    if unit.strip().lower() != "bytes" or not dash or not (first + last).isdecimal():
        return None
    if max(len(first), len(last)) > _MOST_DIGITS:
        return None
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1 if last else size)
    if start >= stop:
        raise RequestRefused(416, "no_such_range", f"there are {size} bytes")
    return start, stop
