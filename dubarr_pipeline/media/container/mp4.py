"""Boxes of MP4 and MOV that ffmpeg does not report (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

FIRST_BOXES = frozenset((b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"pnot"))
_BOXES_LIMIT = 200_000
_EDITS_BYTES = 1 << 24
PRIMING_S = 0.2
"""Sound before the first that is played, for the decoder to begin; no encoder needs more."""


def boxes_end(stream: BinaryIO, size: int) -> int:
    """Return the end of the last box of an ISO base media file (ISO/IEC 14496-12, 4.2)."""
    position = 0
    for _ in range(_BOXES_LIMIT):
        stream.seek(position)
        head = stream.read(16)
        if len(head) < 8:
            break
        length = struct.unpack(">I", head[:4])[0]
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        if length < 8 or not head[4:8].isascii():
            # 0 means up to the end of the file; anything else is padding of some tools.
            return size
        position += length
        if position >= size:
            break
    return position


def has_cuts(path: Path) -> bool:
    """Return whether an edit list plays a track in several parts, or not from end to end.

    A fraction of a second in front is what encoders of sound need to begin.
    """
    with path.open("rb") as stream:
        everything = (0, stream.seek(0, 2))
        scale, _ = next(_clocks(stream, everything, b"moov", b"mvhd"), (1, 0))
        for track in _boxes(stream, everything, b"moov", b"trak"):
            own, length = next(_clocks(stream, track, b"mdia", b"mdhd"), (1, 0))
            for start, end in _boxes(stream, track, b"edts", b"elst"):
                stream.seek(start)
                head = stream.read(8)
                rows = stream.read(min(end - start - 8, _EDITS_BYTES))
                form = struct.Struct(">QqI" if head[:1] == b"\1" else ">IiI")
                count = min(int.from_bytes(head[4:], "big"), len(rows) // form.size)
                edits = [form.unpack_from(rows, form.size * n) for n in range(count)]
                played = [(begin / own, lasts / scale) for lasts, begin, _ in edits if begin >= 0]
                if len(played) > 1 or any(
                    begin_s > PRIMING_S
                    or (lasts_s and length / own - begin_s - lasts_s > PRIMING_S)
                    for begin_s, lasts_s in played
                ):
                    return True
    return False


def _clocks(stream: BinaryIO, within: tuple[int, int], *kinds: bytes) -> Iterator[tuple[int, int]]:
    """Yield units per second, and the duration in them, of ``mvhd`` or ``mdhd`` boxes."""
    for start, _ in _boxes(stream, within, *kinds):
        stream.seek(start)
        head = stream.read(32)
        form, place = (">IQ", 20) if head[:1] == b"\1" else (">II", 12)
        scale, length = struct.unpack_from(form, head, place)
        yield max(1, scale), length


def declared_duration_s(path: Path) -> float:
    """Return a file's declared duration in seconds; 0.0 where it has none."""
    with path.open("rb") as stream:
        whole = (0, stream.seek(0, 2))
        lengths = [length / scale for scale, length in _clocks(stream, whole, b"moov", b"mvhd")]
    return max(lengths, default=0.0)


def track_names(path: Path, format_name: str) -> dict[int, str]:
    """Return the names of an MP4 file's tracks by their number; ffmpeg 5 does not show them.

    They lie in ``moov/trak/udta/name``, where ffmpeg itself writes a stream's title.
    """
    names: dict[int, str] = {}
    if "mp4" not in format_name:
        return names
    with path.open("rb") as stream:
        everything = (0, stream.seek(0, 2))
        for track in _boxes(stream, everything, b"moov", b"trak"):
            for start, _ in _boxes(stream, track, b"tkhd"):
                stream.seek(start)
                head = stream.read(24)
                number = int.from_bytes(head[20:] if head[:1] == b"\1" else head[12:16], "big")
                for first, end in _boxes(stream, track, b"udta", b"name"):
                    stream.seek(first)
                    name = stream.read(min(end - first, 1000)).decode(errors="replace")
                    names[number] = name.strip("\0 ")
    return names


def _boxes(stream: BinaryIO, within: tuple[int, int], *kinds: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the contents of boxes begin and end, by the kinds on the way to them."""
    if not kinds:
        yield within
        return
    start, end = within
    for _ in range(_BOXES_LIMIT):
        # A false length leads anywhere, beyond all places that can be sought as well.
        if start + 8 > end:
            return
        stream.seek(start)
        head = stream.read(16)
        length = int.from_bytes(head[:4], "big") or end - start
        large = length == 1 and len(head) == 16
        length = int.from_bytes(head[8:], "big") if large else length
        if len(head) < 8 or length < 8:
            return
        if head[4:8] == kinds[0]:
            inner = start + (16 if large else 8), min(end, start + length)
            yield from _boxes(stream, inner, *kinds[1:])
        start += length
