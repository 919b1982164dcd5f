"""Probe sizes with which ffmpeg sees every stream of a broadcast.

A transport stream (ISO/IEC 13818-1) may begin a stream at any time, and ffmpeg silently drops those
that begin after five seconds. So all are looked up here first, in samples over the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from dubarr_pipeline.errors import NotMuxable

BROADCASTS = frozenset({"mpegts", "mpeg"})
"""ffmpeg's names of transport and program streams."""
TICKS_PER_S = 90_000
"""Unit of their time stamps."""
_SYNC = 0x47
_PACKET_SIZES = (188, 192, 204)
"""Plain, with the time codes of Blu-ray (M2TS), with error correction."""
_PROGRAM_STREAM = b"\0\0\1\xba"
_PACKET = re.compile(
    rb"\x00\x00\x01([\xbd\xc0-\xef])..(?:[\x80-\xbf](.).|\xff*(?:[@-\x7f].)?(?=[!-?]))(.{5})",
    re.DOTALL,
)
"""The beginning of a packet of picture or sound, of MPEG-2 (with its flags) or MPEG-1 (timed)."""
_PRIVATE, _PRIVATE_KINDS = 0xBD, frozenset((*range(0x20, 0x40), *range(0x80, 0xD0)))
_PACE_TICKS = 5 * TICKS_PER_S
"""Limit of a step between neighbouring time stamps: pictures lead sound by a second or two."""
_IN_A_ROW = 5
_WINDOW_BYTES = 4 << 20
"""A second of the widest broadcast: each of its sounds begins many packets in it."""
_WINDOWS = 64
"""256 MB of a 60 GB film; smaller files are searched whole."""
_NEAR_BYTES = 100_000_000
"""Probe size for a program stream (DVD), which announces nothing."""
_FAR_BYTES = 1 << 30
"""Limit of the probe size: ffmpeg keeps all that it probes in memory."""
_FAR_US = 36_000_000_000


def reading_options(path: Path) -> tuple[str, ...]:
    """Return the options with which ffmpeg sees every stream of a file; none for most containers.

    Raises:
        NotMuxable: if a stream begins so late that ffmpeg would need gigabytes to see it.
    """
    try:
        with path.open("rb") as file:
            front = file.read(_IN_A_ROW * 2 * max(_PACKET_SIZES))
    except (OSError, ValueError):
        # The next one to open it raises the error, with the cure.
        return ()
    programme = front.startswith(_PROGRAM_STREAM)
    if not programme and _framing(front) is None:
        return ()
    places = _look(path).places
    latest, late_pid = max(((at, pid) for pid, at in places.items()), default=(0, 0))
    if latest > _FAR_BYTES and not programme:
        raise NotMuxable(
            f"{path}: a stream (PID {late_pid:#x}) begins only after {latest / 1e9:.1f} GB, where"
            " ffmpeg cannot see it: cut the recording where its streams change, and dub the parts"
        )
    # A program stream announces nothing, and its subtitles are rare.
    size = max(min(latest, _FAR_BYTES) + 2 * _WINDOW_BYTES, _NEAR_BYTES if programme else 0)
    return "-probesize", str(size), "-analyzeduration", str(_FAR_US)


def seen_streams(path: Path) -> frozenset[int]:
    """Return the PIDs under which a transport stream carries pictures, sound or subtitles."""
    return frozenset(_look(path).places)


def played_about_s(path: Path) -> float:
    """Return how long a broadcast plays, by the pace of its samples; 0.0 where none is seen.

    Its first and its last time stamp say nothing where the clock jumps between them.
    """
    return _look(path).seconds


@dataclass(frozen=True, slots=True)
class _Survey:
    places: Mapping[int, int]
    """The byte at which each stream was first seen, by its number."""
    seconds: float


def _look(path: Path) -> _Survey:
    found = path.stat()
    return _survey(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=64)
def _survey(path: Path, size: int, _changed_ns: int) -> _Survey:
    places: dict[int, int] = {}
    ticks = covered = 0
    step = max(_WINDOW_BYTES, size // _WINDOWS)
    with path.open("rb") as file:
        programme = file.read(len(_PROGRAM_STREAM)) == _PROGRAM_STREAM
        for place in range(0, size, step):
            file.seek(place)
            data = file.read(_WINDOW_BYTES)
            starts = list(_PACKET.finditer(data))
            for number in _stream_ids(data, starts) if programme else stream_pids(data):
                places.setdefault(number, place)
            timed = [start for start in starts if start[2] is None or start[2][0] & 0x80]
            stamps = np.diff([_ticks(start[3]) for start in timed])
            ticks += int(stamps[np.abs(stamps) < _PACE_TICKS].sum())
            covered += timed[-1].start() - timed[0].start() if timed else 0
    return _Survey(places, max(0.0, size * ticks / covered / TICKS_PER_S) if covered else 0.0)


def _ticks(field: bytes) -> int:
    """Return a time stamp of 33 bits (ISO/IEC 13818-1, 2.4.3.7)."""
    first, *rest = field
    high, low = (int.from_bytes(bytes(rest[n : n + 2]), "big") >> 1 for n in (0, 2))
    return (first >> 1 & 7) << 30 | high << 15 | low


def _stream_ids(data: bytes, starts: list[re.Match[bytes]]) -> set[int]:
    """Return ffmpeg's numbers of the streams in a piece of a program stream."""
    numbers = {0x100 | start[1][0] for start in starts}
    private = (start for start in starts if start[1][0] == _PRIVATE)
    places = (start.start() + 9 + data[start.start() + 8] for start in private)
    kinds = {data[place] for place in places if place < len(data)}
    return numbers - {0x100 | _PRIVATE} | {kind for kind in kinds if kind in _PRIVATE_KINDS}


def stream_pids(data: bytes) -> tuple[int, ...]:
    """Return the PIDs that begin a packet of picture, sound or subtitles in a piece of a stream."""
    framing = _framing(data)
    if framing is None:
        return ()
    first, packet = framing
    packets = np.frombuffer(data, np.uint8)[first:]
    packets = packets[: len(packets) // packet * packet].reshape(-1, packet)
    begins = (packets[:, 0] == _SYNC) & (packets[:, 1] & 0x40 != 0) & (packets[:, 3] & 0x10 != 0)
    begins = packets[begins]
    # The payload of an elementary stream begins with 00 00 01 and the stream's kind.
    has_field = begins[:, 3] & 0x20 != 0
    start = 4 + np.where(has_field, begins[:, 4].astype(int) + 1, 0)
    start = np.minimum(start, 184)
    head = np.take_along_axis(begins, start[:, None] + np.arange(4), axis=1)
    kind = head[:, 3]
    wanted = (kind >= 0xC0) & (kind <= 0xEF) | (kind == 0xBD) | (kind == 0xFD)
    begins = begins[((head[:, 0] == 0) & (head[:, 1] == 0) & (head[:, 2] == 1) & wanted)]
    return tuple(map(int, np.unique((begins[:, 1] & 0x1F).astype(int) << 8 | begins[:, 2])))


def _framing(data: bytes) -> tuple[int, int] | None:
    """Return the first packet's offset and the packets' length in bytes; None without packets."""
    for size in _PACKET_SIZES:
        needed = size * (_IN_A_ROW - 1)
        for first in range(min(size, len(data) - needed)):
            if all(data[first + n * size] == _SYNC for n in range(_IN_A_ROW)):
                return first, size
    return None
