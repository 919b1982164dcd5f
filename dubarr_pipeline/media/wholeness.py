"""Whether a file ends where its own structure says: the cheap way to find a truncated download.

A cut MP4 with its index in front, or a cut Matroska file, opens without a complaint and plays up to
the cut. Both say in their first bytes how long they are, so a few reads tell.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from dubarr_pipeline.errors import NotAVideo, SourceMissing
from dubarr_pipeline.media.matroska import declared_end, is_matroska

_FIRST_BOXES = frozenset((b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"pnot"))
_BOXES_LIMIT = 200_000


def check_whole(path: Path) -> None:
    """See that a file reaches as far as its container says it does.

    MP4, MOV, Matroska, WebM, AVI and WAV say it; of other formats nothing can be told here, and
    extraction compares what was decoded with what was declared.

    Raises:
        NotAVideo: saying how much is missing.
        SourceMissing: if it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            front = stream.read(12)
            size = stream.seek(0, 2)
            end = _declared_end(path, stream, front, size)
    except PermissionError:
        raise SourceMissing(
            f"{path} may not be read by this user: change its permissions"
        ) from None
    except OSError as error:
        raise SourceMissing(f"{path} cannot be read ({error}): check the disk") from error
    if end is not None and end > size:
        share = 100 * size / end
        raise NotAVideo(
            f"{path} is truncated: {size} of {end} bytes are there ({share:.1f} %); "
            "copy or download it again"
        )


def _declared_end(path: Path, stream: BinaryIO, front: bytes, size: int) -> int | None:
    if is_matroska(front):
        return declared_end(path)
    if front[4:8] in _FIRST_BOXES:
        return _boxes_end(stream, size)
    if front[:4] == b"RIFF" and front[8:12] in (b"AVI ", b"WAVE"):
        return _riff_end(stream, size)
    return None


def _boxes_end(stream: BinaryIO, size: int) -> int:
    """Where the last box of an ISO base media file ends (ISO/IEC 14496-12, 4.2)."""
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
            # 0: up to the end of the file. Otherwise no box: what some tools leave behind.
            return size
        position += length
        if position >= size:
            break
    return position


def _riff_end(stream: BinaryIO, size: int) -> int:
    """Where the last RIFF list ends; large AVI files have several (OpenDML)."""
    position = 0
    while position < size:
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8 or head[:4] != b"RIFF":
            break
        length = struct.unpack("<I", head[4:])[0]
        if length in (0, 0xFFFF_FFFF):
            # A recorder that was stopped before it wrote its length: nothing is declared.
            return size
        position += 8 + length + (length & 1)
    return min(position, size + 1) if position <= size + 1 else position
