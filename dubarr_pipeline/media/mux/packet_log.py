"""The fingerprint and the time of every packet, on disk: a film's length costs no memory.

ffmpeg's ``framehash`` muxer writes one line of text per packet; here the lines become small binary
files, one per stream, that two readings of the same streams can be compared by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.errors import MediaToolError, NotMuxable
from dubarr_pipeline.media.container import ffmpeg_graph as graph
from dubarr_pipeline.media.container.ffmpeg import Arguments, reader

RECORD = np.dtype([("time_us", "<i8"), ("digest", "S16")])
"""One packet: its presentation time in µs, and 64 bits of its murmur3 hash as hex digits."""

UNTIMED = np.iinfo(np.int64).min
"""The time of a packet that carries none."""


_READ_BYTES = 1 << 20
_RECORDS_AT_ONCE = 1 << 15
# "%d, %10d, %10d, %8d, %8d, hash": libavformat's columns after the stream's number.
_PTS_COLUMNS = slice(14, 24)
_DIGEST_COLUMN = 46
_LINE_END = _DIGEST_COLUMN + 32
_COMMAS = (0, 12, 24, 34, 44)
_POWERS = 10 ** np.arange(9, -1, -1, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class PacketTrack:
    """All packets of one stream, on disk."""

    path: Path
    packets: int

    def blocks(self) -> Iterator[NDArray[np.void]]:
        """Yield the packets in order, ``(n,)`` of `RECORD` each."""
        with self.path.open("rb") as file:
            while data := file.read(_RECORDS_AT_ONCE * RECORD.itemsize):
                yield np.frombuffer(data, RECORD)

    def time_us(self, packet: int) -> int:
        """Return the time of one packet, by its number."""
        return int(np.fromfile(self.path, RECORD, 1, offset=packet * RECORD.itemsize)["time_us"][0])


def hashed(links: Sequence[graph.Link], options: graph.Options) -> Any:
    """Return the output of these streams that `log_packets` reads.

    murmur3 is the cheapest hash that ffmpeg has: a third of md5's time, measured on 620 MB. Written
    a packet at a time, the lines would cost as much as the hashing.
    """
    hashes: graph.Options = {"flush_packets": 0, "f": "framehash", "hash": "murmur3"}
    return graph.output(links, "pipe:1", {**options, **hashes})


def log_packets(
    arguments: Arguments,
    folder: Path,
    on_time: Callable[[float], None] = lambda _: None,
    *,
    side_data: frozenset[int] = frozenset(),
) -> dict[int, PacketTrack]:
    """Run ffmpeg with one output that is `hashed`, and keep what it says of each packet.

    Returns the packets by the stream's number in that output, one file each in `folder`. `on_time`
    hears the time in seconds of about every ten thousandth packet. Of the streams in `side_data`,
    what travels beside the packets counts too (cue settings, alpha planes).

    Raises:
        MediaToolError, MissingRequirement, DiskFull: as `ffmpeg.run`.
        NotMuxable: if a stream began so late that ffmpeg logged nothing of it.
    """
    log = _Log(folder, side_data)
    with reader(["-v", "level+warning", *arguments]) as pipe:
        rest = b""
        while block := pipe.read(_READ_BYTES):
            block = rest + block
            end = block.rfind(b"\n") + 1
            rest = block[end:]
            on_time(log.add(block[:end]))
        if rest:
            raise MediaToolError(f"ffmpeg ended in the middle of a line of hashes: {rest[-80:]!r}")
    if pipe.late_streams:
        raise NotMuxable(
            "the source has streams that begin in its middle and would be lost: "
            f"{', '.join(pipe.late_streams)}; cut the recording where its streams change, and dub"
            " the parts"
        )
    return log.tracks()


class _Log:
    """Converter of lines of text to records, stream by stream."""

    def __init__(self, folder: Path, side_data: frozenset[int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._side_data = side_data
        self._scale: dict[int, tuple[int, int]] = {}
        self._packets: dict[int, int] = {}
        self._latest_us = 0

    def add(self, lines: bytes) -> float:
        """Take whole lines; return the latest time so far, in seconds."""
        while lines.startswith(b"#"):
            header, _, lines = lines.partition(b"\n")
            if header.startswith(b"#tb "):
                number, _, base = header[4:].decode("ascii", "replace").partition(":")
                numerator, _, denominator = base.strip().partition("/")
                self._scale[int(number)] = int(numerator), int(denominator)
                self._packets[int(number)] = 0
                self._path(int(number)).write_bytes(b"")
        if lines:
            self._packet_lines(lines)
        return self._latest_us / 1e6

    def tracks(self) -> dict[int, PacketTrack]:
        return {i: PacketTrack(self._path(i), n) for i, n in self._packets.items()}

    def _path(self, stream: int) -> Path:
        return self._folder / f"{stream}.packets"

    def _packet_lines(self, lines: bytes) -> None:
        text = np.frombuffer(lines, np.uint8)
        ends = np.flatnonzero(text == ord("\n"))
        starts = np.concatenate(([0], ends[:-1] + 1))
        columns = starts + np.where(text[starts + 1] == ord(","), 1, 2)
        width = columns - starts
        first = text[starts].astype(np.int64) - ord("0")
        second = text[starts + 1].astype(np.int64) - ord("0")
        streams = np.where(width == 1, first, first * 10 + second)
        # Lines with ffmpeg's usual columns and nothing else that counts are read all at once.
        length = ends - columns
        watched = np.isin(streams, list(self._side_data))
        good = (length >= _LINE_END) & ~(watched & (length > _LINE_END))
        for comma in _COMMAS:
            good &= text[np.minimum(columns + comma, len(text) - 1)] == ord(",")
        offsets = np.arange(_PTS_COLUMNS.start, _PTS_COLUMNS.stop)
        digits = text[np.minimum(columns[:, None] + offsets, len(text) - 1)].astype(np.int64)
        negative = (digits == ord("-")).any(axis=1)
        values = np.where(digits >= ord("0"), digits - ord("0"), 0) @ _POWERS
        times = np.where(negative, -values, values)
        offsets = np.arange(_DIGEST_COLUMN, _DIGEST_COLUMN + 16)
        places = np.where(good, columns, 0)[:, None] + offsets
        digests = np.ascontiguousarray(text[np.minimum(places, len(text) - 1)]).view("S16").ravel()
        for row in np.flatnonzero(~good):
            line = lines[starts[row] : ends[row]]
            # Rare: very long numbers, and side data.
            fields = line.split(b",", 6)
            try:
                stream, pts, digest = int(fields[0]), int(fields[2]), fields[5].strip()[:16]
            except (IndexError, ValueError):
                raise MediaToolError(
                    f"ffmpeg wrote a line of hashes of another form: {line!r}"
                ) from None
            if stream in self._side_data and len(fields) > 6:
                digest = hashlib.blake2b(digest + fields[6], digest_size=8).hexdigest().encode()
            streams[row], times[row], digests[row] = stream, pts, digest
        self._store(streams, times, digests)

    def _store(
        self, streams: NDArray[np.int64], times: NDArray[np.int64], digests: NDArray[np.bytes_]
    ) -> None:
        for stream in np.flatnonzero(np.bincount(streams)).tolist():
            chosen = streams == stream
            records = np.empty(int(chosen.sum()), RECORD)
            numerator, denominator = self._scale[stream]
            timed = times[chosen] != UNTIMED
            whole, part = np.divmod(np.where(timed, times[chosen], 0) * numerator, denominator)
            time_us = whole * 1_000_000 + part * 1_000_000 // denominator
            records["time_us"] = np.where(timed, time_us, UNTIMED)
            records["digest"] = digests[chosen]
            with self._path(stream).open("ab") as file:
                file.write(records.tobytes())
            self._packets[stream] += len(records)
            self._latest_us = max(self._latest_us, int(records["time_us"].max()))
