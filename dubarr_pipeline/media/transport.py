"""How far ffmpeg must look into a broadcast to see all of its streams.

A transport stream (ISO/IEC 13818-1) names its streams on the way, and may begin one at any time.
ffmpeg looks at the first five seconds; what begins later it copies into no file and says nothing.
So the places of all streams are looked up here first, in samples spread over the whole file.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.errors import NotMuxable

_SYNC = 0x47
_PACKET_SIZES = (188, 192, 204)
"""Plain, with the time codes of Blu-ray (M2TS), with error correction."""
_PROGRAM_STREAM = b"\0\0\1\xba"
_IN_A_ROW = 5
_WINDOW_BYTES = 4 << 20
"""A second of the widest broadcast: each of its sounds begins many packets in it."""
_WINDOWS = 64
"""256 MB read of a 60 GB film; smaller files are looked through whole."""
_NEAR_BYTES = 100_000_000
"""How far into a program stream (DVD), which announces nothing."""
_FAR_BYTES = 1 << 30
"""ffmpeg keeps all that it looks through in memory."""
_FAR_US = 36_000_000_000


def reading_options(path: Path) -> tuple[str, ...]:
    """Return the options under which ffmpeg sees every stream of a file; none for most containers.

    Raises:
        NotMuxable: if a stream begins so late that ffmpeg would need gigabytes to see it.
    """
    try:
        found = path.stat()
        with path.open("rb") as file:
            front = file.read(_IN_A_ROW * 2 * max(_PACKET_SIZES))
    except (OSError, ValueError):
        # Whoever opens it next will say so, with the cure.
        return ()
    if front.startswith(_PROGRAM_STREAM):
        return _look(_NEAR_BYTES, 60_000_000)
    if _framing(front) is None:
        return ()
    places = _first_places(path, found.st_size, found.st_mtime_ns)
    return _look(_far_enough(path, places), _FAR_US)


def _look(size_bytes: int, time_us: int) -> tuple[str, ...]:
    return "-probesize", str(size_bytes), "-analyzeduration", str(time_us)


def seen_streams(path: Path) -> frozenset[int]:
    """Return the PIDs under which a transport stream carries pictures, sound or subtitles."""
    found = path.stat()
    return frozenset(_first_places(path, found.st_size, found.st_mtime_ns))


def _far_enough(path: Path, places: dict[int, int]) -> int:
    """How many bytes hold the beginning of every stream."""
    latest, late_pid = max(((at, pid) for pid, at in places.items()), default=(0, 0))
    if latest > _FAR_BYTES:
        raise NotMuxable(
            f"{path}: a stream (PID {late_pid:#x}) begins only after {latest / 1e9:.1f} GB, where"
            " ffmpeg cannot see it: cut the recording where its streams change, and dub the parts"
        )
    return latest + 2 * _WINDOW_BYTES


@lru_cache(maxsize=64)
def _first_places(path: Path, size: int, _changed_ns: int) -> dict[int, int]:
    """Return each stream's PID, and at which byte it was seen first."""
    places: dict[int, int] = {}
    step = max(_WINDOW_BYTES, size // _WINDOWS)
    with path.open("rb") as file:
        for place in range(0, size, step):
            file.seek(place)
            for pid in stream_pids(file.read(_WINDOW_BYTES)):
                places.setdefault(pid, place)
    return places


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
    begins = begins[_is_elementary(begins)]
    return tuple(map(int, np.unique((begins[:, 1] & 0x1F).astype(int) << 8 | begins[:, 2])))


def _is_elementary(packets: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each packet's payload is the beginning of picture, sound or subtitles."""
    has_field = packets[:, 3] & 0x20 != 0
    start = 4 + np.where(has_field, packets[:, 4].astype(int) + 1, 0)
    start = np.minimum(start, 184)
    head = np.take_along_axis(packets, start[:, None] + np.arange(4), axis=1)
    kind = head[:, 3]
    wanted = (kind >= 0xC0) & (kind <= 0xEF) | (kind == 0xBD) | (kind == 0xFD)
    return (head[:, 0] == 0) & (head[:, 1] == 0) & (head[:, 2] == 1) & wanted


def _framing(data: bytes) -> tuple[int, int] | None:
    """Return where the first packet begins, and how long packets are; None if there are none."""
    for size in _PACKET_SIZES:
        needed = size * (_IN_A_ROW - 1)
        for first in range(min(size, len(data) - needed)):
            if all(data[first + n * size] == _SYNC for n in range(_IN_A_ROW)):
                return first, size
    return None
