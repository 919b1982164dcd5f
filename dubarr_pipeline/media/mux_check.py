"""What beside the packets must be found again: chapters, attachments, tags, flags, colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dubarr_pipeline.errors import VerificationError
from dubarr_pipeline.media.container_facts import DISPLAY_MATRIX, ContainerFacts, StreamFacts
from dubarr_pipeline.media.matroska_headers import Headers
from dubarr_pipeline.media.stream_plan import MARK, Carried
from dubarr_pipeline.media.stream_proof import OFFSET_LIMIT_US
from dubarr_pipeline.media.track_flags import KEPT_FLAGS, TrackFlags, legacy_language

# Facts about the old file or of its muxer, and statistics: not content.
_NOT_CONTENT = frozenset(
    "encoder duration creation_time handler_name vendor_id major_brand minor_version"
    " compatible_brands"
    " software isft timecode reel_name com.apple.quicktime.player.version".split()
)


@dataclass(frozen=True, slots=True)
class FileChecks:
    """What was compared beside the packets, all of it equal."""

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
    """Compare everything but the packets.

    Args:
        source: what the film's container said.
        tracks: the source's streams in the result's order.
        result: what the muxed file says.
        wanted: the flags of all tracks of the result.
        shift_us: how far the result's clock lies behind the source's.

    Raises:
        VerificationError: naming what is missing or differs.
    """
    tags = _check_tags(source.path.name, source.tags, result.tags)
    for track, found, flags in zip(tracks, result.streams, wanted, strict=False):
        tags += _check_tags(track.stream.describe(), track.stream.tags, found.tags)
        _check_header(track, found)
        _check_flags(track.stream, found, flags.flags)
    return FileChecks(
        chapters=_check_chapters(source, result, shift_us),
        attachments=_check_attachments(source, result),
        tags=tags,
        flags=len(tracks) * len(KEPT_FLAGS),
    )


def check_new_tracks(headers: Headers, wanted: Sequence[TrackFlags]) -> None:
    """See that players will find the languages, titles and flags that were asked for.

    Raises:
        VerificationError: naming the track and what is wrong with it.
    """
    if len(headers.tracks) != len(wanted):
        raise VerificationError(
            f"the muxed file has {len(headers.tracks)} tracks, {len(wanted)} were asked for"
        )
    for track, flags in zip(headers.tracks, wanted, strict=True):
        if not flags.new:
            continue
        expected = {
            "language": legacy_language(flags.language or "") or track.language or "a code",
            "language_ietf": flags.language,
            "track_name": flags.title,
            "default_track": "default" in flags.flags,
            f"tag_{MARK}": track.properties.get(f"tag_{MARK}") or "a mark",
        }
        for name, value in expected.items():
            if track.properties.get(name) != value:
                raise VerificationError(
                    f"new track {track.number} has {name} {track.properties.get(name)!r}, not"
                    f" {value!r}"
                )


def _check_chapters(source: ContainerFacts, result: ContainerFacts, shift_us: int) -> int:
    if len(source.chapters) != len(result.chapters):
        raise VerificationError(
            f"{source.path.name} has {len(source.chapters)} chapters, {len(result.chapters)}"
            " in the muxed file"
        )
    # ffmpeg lets every film but a Matroska one begin at 0, see `mux_pass`.
    begin_us = 0 if source.is_matroska else source.start_us
    for number, (old, new) in enumerate(zip(source.chapters, result.chapters, strict=True), 1):
        moved_us = abs(new.start_us - max(0, old.start_us - begin_us + shift_us))
        if moved_us > OFFSET_LIMIT_US or new.title != old.title:
            raise VerificationError(
                f"chapter {number} ({old.title!r}, {old.start_us / 1e6:.3f} s) became"
                f" {new.title!r}, {new.start_us / 1e6:.3f} s in the muxed file"
            )
    return len(source.chapters)


def _check_attachments(source: ContainerFacts, result: ContainerFacts) -> int:
    here, there = (
        [(_file_name(s), s.header, s.header_bytes) for s in facts.streams if s.kind == "attachment"]
        for facts in (source, result)
    )
    if here != there:
        missing = [name for name, *_ in here if name not in {n for n, *_ in there}]
        raise VerificationError(
            f"attachments differ in the muxed file: {len(here)} became {len(there)}, missing"
            f" {missing}"
        )
    return len(here)


def _file_name(stream: StreamFacts) -> str:
    return stream.tags.get("filename", "")


def _check_tags(where: str, old: Mapping[str, str], new: Mapping[str, str]) -> int:
    content = {k: v for k, v in old.items() if _is_content(k, v)}
    for name, value in content.items():
        if new.get(name) != value:
            raise VerificationError(
                f"{where}: the tag {name}={value!r} became {new.get(name)!r} in the muxed file"
            )
    return len(content)


def _is_content(name: str, value: str) -> bool:
    statistic = name.startswith(("bps", "number_of_", "_statistics", "duration-"))
    undefined = name == "language" and value == "und"
    return not (name in _NOT_CONTENT or statistic or undefined or not value)


def _check_header(track: Carried, found: StreamFacts) -> None:
    """See that the codec's private data and the picture's colours are the same."""
    if track.proof == "packets" and track.stream.header and found.header != track.stream.header:
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


def _check_flags(stream: StreamFacts, found: StreamFacts, wanted: frozenset[str]) -> None:
    there = found.flags & KEPT_FLAGS.keys()
    if there != wanted:
        raise VerificationError(
            f"{stream.describe()}: flags are {sorted(there)} in the muxed file, not"
            f" {sorted(wanted)}"
        )
