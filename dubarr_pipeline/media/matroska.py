"""What ffmpeg does not tell of a Matroska file (RFC 9559): where it ends, and its languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

_EBML, _SEGMENT, _TRACKS, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1654AE6B, 0x1F43B675
_INFORMATION = 0x1549A966
_SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
_ENTRY, _TYPE, _LANGUAGE, _LANGUAGE_BCP47 = 0xAE, 0x83, 0x22B59C, 0x22B59D
TrackKind = Literal["video", "audio", "subtitle"]
_KINDS: dict[int, TrackKind] = {1: "video", 2: "audio", 17: "subtitle"}
_TRACKS_LIMIT = 16 << 20
Content = tuple[tuple[int, ...], bytes]
"""The IDs from an element's top down to it, and what it holds (at most 1024 bytes of it)."""


@dataclass(frozen=True, slots=True)
class _Element:
    identity: int
    start: int
    size: int | None
    """Bytes of the content; None where the file leaves it open."""

    @property
    def end(self) -> int | None:
        return None if self.size is None else self.start + self.size


def is_matroska(front: bytes) -> bool:
    """Whether these first bytes of a file are those of Matroska or WebM."""
    return front[:4] == _EBML.to_bytes(4, "big")


def declared_end(path: Path) -> int | None:
    """Return the byte at which the file should end; None where it does not say."""
    with path.open("rb") as stream:
        segment = _segment(stream)
    return segment.end if segment else None


def track_languages(
    path: Path,
) -> Mapping[TrackKind, tuple[str | None, ...]]:
    """Return the tracks' language codes by kind, in their order; BCP-47 where the file has it."""
    found: dict[TrackKind, list[str | None]] = {}
    for kind, code in _tracks(path):
        found.setdefault(kind, []).append(code)
    return {kind: tuple(codes) for kind, codes in found.items()}


def _tracks(path: Path) -> Iterator[tuple[TrackKind, str | None]]:
    with path.open("rb") as stream:
        for entry in _track_entries(stream):
            yield from _track(stream, entry)


def _track_entries(stream: BinaryIO) -> Iterator[_Element]:
    tracks = _find(stream, _TRACKS)
    if tracks is None or tracks.size is None or tracks.size > _TRACKS_LIMIT:
        return
    yield from (e for e in _children(stream, tracks) if e.identity == _ENTRY)


def header_contents(
    path: Path, masters: frozenset[int]
) -> tuple[tuple[Content, ...], tuple[tuple[Content, ...], ...]]:
    """Return the contents of the segment's information, and of each track's entry.

    Args:
        path: a Matroska file.
        masters: the elements that are looked into; others are contents as they are.
    """
    with path.open("rb") as stream:
        information = _find(stream, _INFORMATION)
        about = tuple(_leaves(stream, information, masters, ())) if information else ()
        entries = tuple(
            tuple(_leaves(stream, entry, masters, ())) for entry in _track_entries(stream)
        )
    return about, entries


def _leaves(
    stream: BinaryIO, parent: _Element, masters: frozenset[int], path: tuple[int, ...]
) -> Iterator[Content]:
    for child in _children(stream, parent):
        here = (*path, child.identity)
        if child.identity in masters:
            yield from _leaves(stream, child, masters, here)
        else:
            yield here, _content(stream, child)


def _track(stream: BinaryIO, entry: _Element) -> Iterator[tuple[TrackKind, str | None]]:
    wanted = {_TYPE, _LANGUAGE, _LANGUAGE_BCP47}
    fields = {
        child.identity: _content(stream, child)
        for child in _children(stream, entry)
        if child.identity in wanted
    }
    kind = _KINDS.get(int.from_bytes(fields.get(_TYPE, b""), "big"))
    code = fields.get(_LANGUAGE_BCP47) or fields.get(_LANGUAGE)
    if kind:
        yield kind, code.rstrip(b"\0").decode(errors="replace") if code else None


def _segment(stream: BinaryIO) -> _Element | None:
    head = _element(stream, 0)
    if head is None or head.identity != _EBML or head.end is None:
        return None
    segment = _element(stream, head.end)
    return segment if segment and segment.identity == _SEGMENT else None


def _find(stream: BinaryIO, identity: int) -> _Element | None:
    """Where an element of the segment lies; in front of the film, or where the index says."""
    segment = _segment(stream)
    told: _Element | None = None
    for child in _children(stream, segment) if segment else ():
        if child.identity == identity:
            return child
        if segment and child.identity == _SEEK_HEAD:
            told = _sought(stream, segment, child, identity) or told
        if child.identity == _CLUSTER:
            break
    return told


def _sought(stream: BinaryIO, segment: _Element, head: _Element, identity: int) -> _Element | None:
    """Where the index says that an element lies: editors move them behind the film."""
    for seek in _children(stream, head):
        if seek.identity != _SEEK:
            continue
        fields = {c.identity: _content(stream, c) for c in _children(stream, seek)}
        if fields.get(_SEEK_ID) == identity.to_bytes(4, "big"):
            position = int.from_bytes(fields.get(_SEEK_POSITION, b"")[:8], "big")
            found = _element(stream, segment.start + position)
            return found if found and found.identity == identity else None
    return None


def _children(stream: BinaryIO, parent: _Element) -> Iterator[_Element]:
    position = parent.start
    while parent.end is None or position < parent.end:
        child = _element(stream, position)
        if child is None:
            return
        yield child
        if child.end is None:
            return
        position = child.end


def _content(stream: BinaryIO, element: _Element) -> bytes:
    stream.seek(element.start)
    return stream.read(min(element.size or 0, 1024))


def _element(stream: BinaryIO, position: int) -> _Element | None:
    stream.seek(position)
    head = stream.read(12)
    identity = _number(head, keep_marker=True)
    if identity is None:
        return None
    size = _number(head[identity[1] :], keep_marker=False)
    if size is None:
        return None
    value, width = size
    unknown = value == (1 << (7 * width)) - 1
    return _Element(identity[0], position + identity[1] + width, None if unknown else value)


def _number(data: bytes, *, keep_marker: bool) -> tuple[int, int] | None:
    """Read a variable-length integer: its value and how many bytes it took."""
    if not data or not data[0]:
        return None
    width = 9 - data[0].bit_length()
    if len(data) < width:
        return None
    value = int.from_bytes(data[:width], "big")
    return (value if keep_marker else value & ((1 << (7 * width)) - 1)), width
