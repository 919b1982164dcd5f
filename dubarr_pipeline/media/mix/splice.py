"""Parts of a coded track made anew: AC-3 and E-AC-3, whose frames depend on their neighbours alone.

A frame holds 1,536 samples and the 256 before them (ATSC A/52, 7.9: the transform overlaps by half
a block); all frames of a track have one size. So the frames over a part of the film are coded
alone, with one frame more in front, and put between those that stay, byte for byte.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from dubarr_pipeline.errors import MediaToolError
from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container import ffmpeg_graph as graph
from dubarr_pipeline.media.mix.encode import CODECS, SoundFormat, TrackFormat, encoding
from dubarr_pipeline.media.mix.options import Codec
from dubarr_pipeline.spans import Span

SPLICED: tuple[Codec, ...] = ("ac3", "eac3")
"""Codecs of which parts can be made anew; of others, the whole track is."""
FRAME = 1536
"""Samples of a frame."""
_RATES = (48000, 32000)
"""Rates at which all frames are of one size; at 44.1 kHz they alternate."""
_RUN_IN = 2
_SYNC = b"\x0b\x77"
_COPIED_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class CodedTrack:
    """A track of equal frames: the size of one in bytes, and their number."""

    path: Path
    frame_bytes: int
    frames: int

    def frames_of(self, part: Span) -> range:
        """Return the frames that a part of the film, of whole frames, is heard in."""
        last = part.end // FRAME if part.end % FRAME == 0 else self.frames
        return range(max(0, part.start // FRAME - 1), min(self.frames, last))


def coded_track(path: Path, track: TrackFormat) -> CodedTrack | None:
    """Return a track that parts of can be made anew, or None if they cannot."""
    if track.codec not in SPLICED or track.rate not in _RATES or not track.bitrate_kbps:
        return None
    size, whole = path.stat().st_size, track.bitrate_kbps * 1000 * FRAME // track.rate // 8
    with path.open("rb") as file:
        heads = []
        for at in (0, whole, size - whole):
            file.seek(max(0, at))
            heads.append(file.read(2))
    if not whole or size % whole or size < 2 * whole or any(head != _SYNC for head in heads):
        return None
    return CodedTrack(path, whole, size // whole)


class PartEncoder:
    """Encoder of one part of a film: takes its samples in order, and whatever surrounds them."""

    def __init__(self, coded: CodedTrack, part: Span, film: int) -> None:
        self.frames = coded.frames_of(part)
        self._skipped = min(1, self.frames.start)
        first = self.frames.start - self._skipped
        delay = CODECS["ac3"].delay_samples
        self._ends = self.frames.stop >= coded.frames
        last = film if self._ends else min(film, self.frames.stop * FRAME + delay)
        self._coded, self._delay = coded, delay
        self.needed = Span(first * FRAME + delay, last)

    @contextlib.contextmanager
    def encoding(
        self, path: Path, sound: SoundFormat, track: TrackFormat, dialnorm: int | None
    ) -> Iterator[PartEncoder]:
        """Start the encoder, which writes to `path`. Raises as `ffmpeg.run`."""
        with encoding(path, sound, track, dialnorm, bare=True) as write:
            self._write = write
            yield self
            if self._ends:
                write(np.zeros((sound.channels, self._delay), np.float32))

    def add(self, start: int, block: Samples) -> None:
        """Take ``(channels, samples)`` of the film from sample `start` on."""
        here = Span(start, start + block.shape[1]).clip(self.needed)
        if here and here.length:
            self._write(block[:, here.start - start : here.end - start])

    def coded(self, path: Path) -> bytes:
        """Return the frames of the part. Raises `MediaToolError` if they are not as many."""
        size, skipped = self._coded.frame_bytes, self._skipped
        found = path.read_bytes()[skipped * size : (skipped + len(self.frames)) * size]
        if len(found) != len(self.frames) * size:
            raise MediaToolError(
                f"{len(self.frames)} frames of {self._coded.path.name} were to be coded anew, and "
                f"the encoder made {len(found) / size:g}: mix the whole track"
            )
        return found


def splice(coded: CodedTrack, parts: Sequence[tuple[range, bytes]], destination: Path) -> None:
    """Write a track with some of its frames replaced; the others stay as they are."""
    size = coded.frame_bytes
    with coded.path.open("rb") as old, destination.open("wb") as new:
        for frames, data in parts:
            _copy(old, new, frames.start * size - old.tell())
            new.write(data)
            old.seek(frames.stop * size)
        _copy(old, new, coded.frames * size - old.tell())


def _copy(old: IO[bytes], new: IO[bytes], left: int) -> None:
    while left > 0 and (data := old.read(min(left, _COPIED_BYTES))):
        new.write(data)
        left -= len(data)


def decoded_part(coded: CodedTrack, track: TrackFormat, part: Span) -> Samples:
    """Return ``(channels, samples)`` of a track, of whole frames; the last may be shorter.

    Raises:
        MediaToolError: if the frames cannot be decoded.
    """
    first, size = part.start // FRAME, coded.frame_bytes
    run_in = min(_RUN_IN, first)
    with coded.path.open("rb") as file:
        file.seek((first - run_in) * size)
        data = file.read((-(-part.length // FRAME) + run_in) * size)
    heard = graph.open_input("pipe:0", {"f": CODECS[track.codec].container}).stream("a:0")
    decoded = graph.command(graph.output([heard], "pipe:1", graph.FLOATS))
    sound = np.frombuffer(ffmpeg.run(decoded, stdin=data).stdout, "<f4")
    samples = sound.reshape(-1, track.channels).T[:, run_in * FRAME :]
    return samples[:, : part.length]
