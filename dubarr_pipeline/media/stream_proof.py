"""The proof that a muxed file holds what its sources hold: every packet, at its time.

Nothing here trusts a tool's exit status; the finished file is read back and compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.errors import VerificationError
from dubarr_pipeline.media.packet_log import RECORD, UNTIMED, PacketTrack
from dubarr_pipeline.media.stream_plan import Proof

OFFSET_LIMIT_US = 1000
"""How far a stream may move against the picture: Matroska keeps whole milliseconds
(``targets.md``)."""


@dataclass(frozen=True, slots=True)
class StreamProof:
    """One stream of the result, and how it was proven to be the source's.

    Attributes:
        name: the stream as messages name it.
        source_index: its number in the source file; None for a new track's own file.
        result_index: its number in the result.
        proof: what was compared.
        packets: how many were compared, all of them equal.
        shift_us: the smallest and the largest change of time against the source's clock.
        offset_us: the largest change of time against the picture; at most `OFFSET_LIMIT_US`.
    """

    name: str
    source_index: int | None
    result_index: int
    kind: str
    codec: str
    proof: Proof
    packets: int
    shift_us: tuple[int, int] = (0, 0)
    offset_us: int = 0


@dataclass(frozen=True, slots=True)
class Expected:
    """A stream before the mux: what the proof will look for."""

    name: str
    source_index: int | None
    kind: str
    codec: str
    proof: Proof = "packets"
    timed: bool = True


def prove_streams(
    expected: Sequence[Expected],
    source: dict[int, PacketTrack],
    result: dict[int, PacketTrack],
) -> tuple[StreamProof, ...]:
    """Compare all packets of the sources with those of the result.

    Args:
        expected: the streams in the result's order.
        source: what was read from the sources, by the same numbers.
        result: what was read back from the finished file.

    Returns:
        One row for each stream.

    Raises:
        VerificationError: naming the first stream that differs, and where.
    """
    rows = [
        _prove_stream(stream, number, source.get(number), result.get(number))
        for number, stream in enumerate(expected)
    ]
    timed = [row for row, s in zip(rows, expected, strict=True) if s.timed]
    reference = reference_us(timed)
    return tuple(
        _with_offset(row, reference) if stream.timed else row
        for row, stream in zip(rows, expected, strict=True)
    )


def _prove_stream(
    stream: Expected, number: int, source: PacketTrack | None, result: PacketTrack | None
) -> StreamProof:
    if source is None or result is None:
        raise VerificationError(f"{stream.name} is missing in the muxed file")
    if source.packets != result.packets:
        raise VerificationError(
            f"{stream.name} has {source.packets} packets, but {result.packets} in the muxed file"
        )
    shift = _compare(stream, source, result)
    return StreamProof(
        name=stream.name,
        source_index=stream.source_index,
        result_index=number,
        kind=stream.kind,
        codec=stream.codec,
        proof=stream.proof,
        packets=source.packets,
        shift_us=shift,
    )


def _compare(stream: Expected, source: PacketTrack, result: PacketTrack) -> tuple[int, int]:
    """Compare two logs of equal length; return the smallest and largest change of time."""
    done = 0
    for here, there in _pairs(source, result):
        different = np.flatnonzero(here["digest"] != there["digest"])
        if len(different):
            raise VerificationError(_where(stream, here, done, int(different[0])))
        done += len(here)
    return moved_us(source, result) or (0, 0)


def moved_us(source: PacketTrack, result: PacketTrack) -> tuple[int, int] | None:
    """Return the smallest and largest change of time between two logs; None if untimed."""
    extremes: list[tuple[int, int]] = []
    for here, there in _pairs(source, result):
        timed = (here["time_us"] != UNTIMED) & (there["time_us"] != UNTIMED)
        if timed.any():
            moved = there["time_us"][timed] - here["time_us"][timed]
            extremes.append((int(moved.min()), int(moved.max())))
    if not extremes:
        return None
    return min(low for low, _ in extremes), max(high for _, high in extremes)


def _pairs(
    source: PacketTrack, result: PacketTrack
) -> Iterator[tuple[NDArray[np.void], NDArray[np.void]]]:
    empty = np.empty(0, RECORD)
    yield from zip_longest(source.blocks(), result.blocks(), fillvalue=empty)


def _where(stream: Expected, records: NDArray[np.void], done: int, row: int) -> str:
    time_us = int(records["time_us"][row])
    at = "" if time_us == UNTIMED else f" at {time_us / 1e6:.3f} s"
    return (
        f"{stream.name} differs in the muxed file from packet {done + row}{at} on"
        f" (compared: {stream.proof}); the earlier output was left as it is"
    )


def reference_us(rows: Sequence[StreamProof]) -> int:
    """Return how far the picture moved as a whole: the others are judged against it."""
    moved = [row for row in rows if row.packets]
    pictures = [row for row in moved if row.kind == "video"] or moved
    return sum(pictures[0].shift_us) // 2 if pictures else 0


def _with_offset(row: StreamProof, reference_us: int) -> StreamProof:
    if not row.packets:
        return row
    low, high = (shift - reference_us for shift in row.shift_us)
    offset = low if -low > high else high
    if abs(offset) > OFFSET_LIMIT_US:
        raise VerificationError(
            f"{row.name} lies {offset / 1000:+.2f} ms off against the picture in the muxed file"
            f" (at most {OFFSET_LIMIT_US / 1000:g} ms); the earlier output was left as it is"
        )
    return replace(row, offset_us=offset)
