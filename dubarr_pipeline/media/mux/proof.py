"""Proof that a muxed file holds what its sources hold: packets, times, chapters, tags and flags.

Nothing here trusts a tool's exit status; the finished file is read back and compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.errors import VerificationError
from dubarr_pipeline.media.container.facts import DISPLAY_MATRIX, ContainerFacts, StreamFacts
from dubarr_pipeline.media.container.matroska_headers import HeaderTrack
from dubarr_pipeline.media.mux.packet_log import RECORD, UNTIMED, PacketTrack
from dubarr_pipeline.media.mux.stream_plan import MARK, Carried, Proof
from dubarr_pipeline.media.mux.track_flags import KEPT_FLAGS, TrackFlags, legacy_language
from dubarr_pipeline.text.languages import language_tag

OFFSET_LIMIT_US = 1000
"""Limit of a stream's move against the picture: Matroska keeps whole milliseconds."""


@dataclass(frozen=True, slots=True)
class StreamProof:
    """One stream of the result, and how it was proven to be the source's.

    Attributes:
        source_index: its number in the source file; None for a new track's own file.
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
    expected: Sequence[Expected], source: dict[int, PacketTrack], result: dict[int, PacketTrack]
) -> tuple[StreamProof, ...]:
    """Compare all packets of the sources with those of the result; return a row for each stream.

    `expected` is in the result's order; `source` and `result` are by its numbers. Raises
    `VerificationError` for the first stream that differs.
    """
    rows = [
        _prove_stream(stream, number, source.get(number), result.get(number))
        for number, stream in enumerate(expected)
    ]
    timed = [row for row, s in zip(rows, expected, strict=True) if s.timed]
    reference = reference_us(timed)
    for number, row in enumerate(rows):
        if not (expected[number].timed and row.packets):
            continue
        low, high = (shift - reference for shift in row.shift_us)
        offset = low if -low > high else high
        if abs(offset) > OFFSET_LIMIT_US:
            raise VerificationError(
                f"{row.name} lies {offset / 1000:+.2f} ms off against the picture in the muxed file"
                f" (at most {OFFSET_LIMIT_US / 1000:g} ms); the earlier output was left as it is"
            )
        rows[number] = replace(row, offset_us=offset)
    return tuple(rows)


def _prove_stream(
    stream: Expected, number: int, source: PacketTrack | None, result: PacketTrack | None
) -> StreamProof:
    if source is None or result is None:
        raise VerificationError(f"{stream.name} is missing in the muxed file")
    if source.packets != result.packets:
        raise VerificationError(
            f"{stream.name} has {source.packets} packets, but {result.packets} in the muxed file"
        )
    done = 0
    for here, there in _pairs(source, result):
        different = np.flatnonzero(here["digest"] != there["digest"])
        if len(different):
            row = int(different[0])
            time_us = int(here["time_us"][row])
            at = "" if time_us == UNTIMED else f" at {time_us / 1e6:.3f} s"
            raise VerificationError(
                f"{stream.name} differs in the muxed file from packet {done + row}{at} on"
                f" (compared: {stream.proof}); the earlier output was left as it is"
            )
        done += len(here)
    shift = moved_us(source, result) or (0, 0)
    place = (stream.name, stream.source_index, number)
    return StreamProof(*place, stream.kind, stream.codec, stream.proof, source.packets, shift)


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


def reference_us(rows: Sequence[StreamProof]) -> int:
    """Return how far the picture moved as a whole: the others are judged against it."""
    moved = [row for row in rows if row.packets]
    pictures = [row for row in moved if row.kind == "video"] or moved
    return sum(pictures[0].shift_us) // 2 if pictures else 0


# Facts about the old file or of its muxer, and statistics: not content.
_NOT_CONTENT = frozenset(
    "encoder duration creation_time handler_name vendor_id major_brand minor_version"
    " compatible_brands"
    " software isft timecode reel_name com.apple.quicktime.player.version".split()
)


@dataclass(frozen=True, slots=True)
class FileChecks:
    """Counts of everything else that was compared and is equal."""

    chapters: int
    attachments: int
    tags: int
    flags: int


def check_file(
    source: ContainerFacts,
    tracks: Sequence[Carried],
    result: ContainerFacts,
    wanted: Sequence[TrackFlags],
    shift_us: int,
) -> FileChecks:
    """Compare everything but the packets. Raises `VerificationError`.

    `tracks` are the source's in the result's order; `shift_us` says how far its clock lies behind.
    """
    tags = _check_tags(source.path.name, source.tags, result.tags)
    for track, found, flags in zip(tracks, result.streams, wanted, strict=False):
        tags += _check_tags(track.stream.describe(), track.stream.tags, found.tags)
        _check_header(track, found)
        there = found.flags & KEPT_FLAGS.keys()
        if there != flags.flags:
            raise VerificationError(
                f"{track.stream.describe()}: flags are {sorted(there)} in the muxed file, not"
                f" {sorted(flags.flags)}"
            )
    here, there = (
        [
            (s.tags.get("filename", ""), s.header, s.header_bytes)
            for s in facts.streams
            if s.kind == "attachment"
        ]
        for facts in (source, result)
    )
    if here != there:
        missing = [name for name, *_ in here if name not in {n for n, *_ in there}]
        raise VerificationError(
            f"attachments differ in the muxed file: {len(here)} became {len(there)}, missing"
            f" {missing}"
        )
    return FileChecks(
        chapters=_check_chapters(source, result, shift_us),
        attachments=len(here),
        tags=tags,
        flags=len(tracks) * len(KEPT_FLAGS),
    )


def check_new_tracks(
    tracks: Sequence[HeaderTrack],
    result: ContainerFacts,
    streams: Sequence[Expected],
    wanted: Sequence[TrackFlags],
) -> None:
    """See that players will find the codecs, languages, titles and flags that were asked for.

    `tracks` are the result's headers. Raises `VerificationError`.
    """
    if len(tracks) != len(wanted):
        raise VerificationError(
            f"the muxed file has {len(tracks)} tracks, {len(wanted)} were asked for"
        )
    for track, found, stream, flags in zip(tracks, result.streams, streams, wanted, strict=False):
        if not flags.new:
            continue
        # RFC 9559 has defaults for the first two.
        has = {"language": "eng", "flag-default": "1", **track.properties}
        has |= {"codec": found.codec, "mark": found.tags.get(MARK, "")}
        expected = {
            "language": legacy_language(flags.language or "") or has["language"] or "a code",
            "language-ietf": flags.language,
            "name": flags.title,
            "flag-default": str(int("default" in flags.flags)),
            "codec": stream.codec if stream.proof == "packets" else found.codec,
            "mark": has["mark"] or "a mark",
        }
        for name, value in expected.items():
            if has.get(name) != value:
                raise VerificationError(
                    f"new track {track.number} has {name} {has.get(name)!r}, not {value!r}"
                )


def _check_chapters(source: ContainerFacts, result: ContainerFacts, shift_us: int) -> int:
    if len(source.chapters) != len(result.chapters):
        raise VerificationError(
            f"{source.path.name} has {len(source.chapters)} chapters, {len(result.chapters)}"
            " in the muxed file"
        )
    # ffmpeg lets every film but a Matroska one begin at 0, see `copy_pass`.
    begin_us = 0 if source.is_matroska else source.start_us
    for number, (old, new) in enumerate(zip(source.chapters, result.chapters, strict=True), 1):
        moved_us = abs(new.start_us - max(0, old.start_us - begin_us + shift_us))
        if moved_us > OFFSET_LIMIT_US or new.title != old.title:
            raise VerificationError(
                f"chapter {number} ({old.title!r}, {old.start_us / 1e6:.3f} s) became"
                f" {new.title!r}, {new.start_us / 1e6:.3f} s in the muxed file"
            )
    return len(source.chapters)


def _check_tags(where: str, old: Mapping[str, str], new: Mapping[str, str]) -> int:
    count = 0
    for name, value in old.items():
        statistic = name.startswith(("bps", "number_of_", "_statistics", "duration-"))
        undefined = name == "language" and value == "und"
        if name in _NOT_CONTENT or statistic or undefined or not value:
            continue
        count += 1
        several = name == "language" and "," in value
        if several and language_tag(value) == language_tag(new.get(name)):
            continue
        # Tags pass through XML, which has one kind of line end.
        if new.get(name, "").splitlines() != value.splitlines():
            raise VerificationError(
                f"{where}: the tag {name}={value!r} became {new.get(name)!r} in the muxed file"
            )
    return count


def _check_header(track: Carried, found: StreamFacts) -> None:
    """See that the codec, its private data and the picture's colours are the same."""
    headers = track.stream.header, found.header
    other = track.disguise and found.codec != track.stream.codec
    if other or (track.proof == "packets" and headers[0] and headers[0] != headers[1]):
        raise VerificationError(
            f"{track.stream.describe()}: the codec's header differs in the muxed file"
        )
    old, new = track.stream.picture or {}, found.picture or {}
    for name, value in old.items():
        # Matroska turns pictures by an element that this ffmpeg does not read: `check_elements`.
        if name == DISPLAY_MATRIX:
            continue
        if new.get(name) != value:
            raise VerificationError(
                f"{track.stream.describe()}: {name} was {value}, is {new.get(name)} in the"
                " muxed file"
            )
