"""Matroska elements that ffmpeg does not report or keep (RFC 9559, section 5.1).

It reports neither the declared end of a file nor, in version 5, the languages of its tracks, and
silently drops header elements such as cropping, 3D planes and links between files. Those that
mkvpropedit can write are restored, and a file with any other is refused by its name.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dubarr_pipeline.text.tables import read_table

_EBML, _SEGMENT, _TRACKS, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1654AE6B, 0x1F43B675
_INFORMATION, _ATTACHMENTS = 0x1549A966, 0x1941A469
_SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
_ENTRY, _TYPE, _LANGUAGE, _LANGUAGE_BCP47 = 0xAE, 0x83, 0x22B59C, 0x22B59D
_CODEC, _PRIVATE, _UID = 0x86, 0x63A2, 0x73C5
_KINDS = {(1, "V"): "video", (2, "A"): "audio", (17, "S"): "subtitle", (17, "D"): "subtitle"}
"""Tracks that ffmpeg reads, by their type and the first letter of their codec."""
_SCALE, _DURATION, _AUDIO, _CHANNELS = 0x2AD7B1, 0x4489, 0xE1, 0x9F
_TRACKS_LIMIT = 16 << 20


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
    """Return whether these first bytes of a file are those of Matroska or WebM."""
    return front[:4] == _EBML.to_bytes(4, "big")


def declared_end(path: Path) -> int | None:
    """Return the byte at which the file should end; None if it does not declare it."""
    with path.open("rb") as stream:
        segment = _segment(stream)
    return segment.end if segment else None


def declared_sound(path: Path) -> tuple[float, int]:
    """Return a file's declared duration in seconds and its most channels; 0 where it has neither.

    Only its front is read: a thousand films take a second.
    """
    with path.open("rb") as stream:
        about = _find(stream, _INFORMATION)
        found = {e.identity: _content(stream, e) for e in _children(stream, about)} if about else {}
        scale_ns = int.from_bytes(found.get(_SCALE, b""), "big") or 1_000_000
        length = found.get(_DURATION, b"")
        form = {4: ">f", 8: ">d"}.get(len(length))
        duration_s = struct.unpack(form, length)[0] * scale_ns / 1e9 if form else 0.0
        channels = [
            int.from_bytes(_content(stream, part), "big")
            for entry in _track_entries(stream)
            for audio in _children(stream, entry)
            if audio.identity == _AUDIO
            for part in _children(stream, audio)
            if part.identity == _CHANNELS
        ]
    return duration_s, max(channels, default=0)


@dataclass(frozen=True, slots=True)
class TrackEntry:
    """A track as the file itself describes it.

    Attributes:
        kind: as ffprobe names it; ``other`` for what ffmpeg cannot read, such as a DVD's buttons.
        codec: Matroska's name of the codec, e.g. ``S_TEXT/WEBVTT``.
        language: BCP-47 where the file has it.
        uid: by which tags name the track.
    """

    kind: str
    codec: str
    language: str | None
    header_bytes: int
    uid: int = 0


def track_entries(path: Path) -> tuple[TrackEntry, ...]:
    """Return a Matroska file's tracks in their order."""
    entries: list[TrackEntry] = []
    with path.open("rb") as stream:
        for entry in _track_entries(stream):
            children = {c.identity: c for c in _children(stream, entry)}
            found = {i: _content(stream, c).rstrip(b"\0") for i, c in children.items()}
            codec, *languages = (
                found.get(identity, b"").decode(errors="replace")
                for identity in (_CODEC, _LANGUAGE_BCP47, _LANGUAGE)
            )
            form = int.from_bytes(found.get(_TYPE, b""), "big"), codec[:1]
            language = next(filter(None, languages), None)
            private = children.get(_PRIVATE)
            size = (private and private.size) or 0
            uid = int.from_bytes(
                _content(stream, children[_UID]) if _UID in children else b"", "big"
            )
            entries.append(TrackEntry(_KINDS.get(form, "other"), codec, language, size, uid))
    return tuple(entries)


def has_attachments(path: Path) -> bool:
    """Return whether a Matroska file has a place for attachments, be it empty."""
    with path.open("rb") as stream:
        return _find(stream, _ATTACHMENTS) is not None


def is_codec_id(codec: str) -> bool:
    """Return whether a codec bears Matroska's name of it, because ffmpeg does not know it."""
    return codec[:1].isupper()


def _track_entries(stream: BinaryIO) -> Iterator[_Element]:
    tracks = _find(stream, _TRACKS)
    if tracks is None or tracks.size is None or tracks.size > _TRACKS_LIMIT:
        return
    yield from (e for e in _children(stream, tracks) if e.identity == _ENTRY)


def _segment(stream: BinaryIO) -> _Element | None:
    head = _element(stream, 0)
    if head is None or head.identity != _EBML or head.end is None:
        return None
    segment = _element(stream, head.end)
    return segment if segment and segment.identity == _SEGMENT else None


def _find(stream: BinaryIO, identity: int) -> _Element | None:
    """Return an element of the segment, from the front of the film or by the index."""
    segment = _segment(stream)
    indexed: _Element | None = None
    for child in _children(stream, segment) if segment else ():
        if child.identity == identity:
            return child
        if segment and child.identity == _SEEK_HEAD:
            indexed = _sought(stream, segment, child, identity) or indexed
        if child.identity == _CLUSTER:
            break
    return indexed


def _sought(stream: BinaryIO, segment: _Element, head: _Element, identity: int) -> _Element | None:
    """Return an element by the index: editors move elements behind the film."""
    for seek in _children(stream, head):
        if seek.identity != _SEEK:
            continue
        fields = {c.identity: _content(stream, c) for c in _children(stream, seek)}
        if fields.get(_SEEK_ID) == identity.to_bytes(4, "big"):
            position = int.from_bytes(fields.get(_SEEK_POSITION, b"")[:8], "big")
            element = _element(stream, segment.start + position)
            return element if element and element.identity == identity else None
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


ElementPath = tuple[int, ...]
Elements = Mapping[ElementPath, tuple[bytes, ...]]
"""The contents (at most 1024 bytes) of all elements below a track or the segment's information, by
the IDs from its top down to them."""


@dataclass(frozen=True, slots=True)
class Property:
    """mkvpropedit's name of an element, and the kind of its content."""

    name: str
    kind: str

    def text(self, content: bytes) -> str:
        """Return a content as mkvpropedit reads it."""
        if self.kind == "float":
            form = ">f" if len(content) == 4 else ">d"
            return repr(float(struct.unpack(form, content)[0]) if content else 0.0)
        if self.kind == "text":
            return content.rstrip(b"\0").decode("utf-8", "surrogateescape")
        return content.hex() if self.kind == "hex" else str(int.from_bytes(content, "big"))


_TABLES = read_table("dubarr_pipeline.media.container", "elements")


def _path(text: str) -> ElementPath:
    return tuple(int(identity, 16) for identity in text.split("."))


def _properties(table: str) -> dict[ElementPath, Property]:
    return {
        _path(path): Property(name, kind)
        for kind, names in _TABLES[table].items()
        for path, name in names.items()
    }


RESTORED = _properties("restored")
"""Elements of the segment's information and of tracks' headers that mkvpropedit can write."""
_KNOWN = RESTORED | _properties("own")
_NAMED_LOSSES = {_path(path): name for path, name in _TABLES["lost"].items()}
_MASTERS = frozenset(i for path in (*_KNOWN, *_NAMED_LOSSES) for i in path[:-1])


def read_elements(path: Path) -> tuple[Elements, tuple[Elements, ...]]:
    """Return the header elements of a Matroska file's segment, and of each track in order."""
    with path.open("rb") as stream:
        about = _find(stream, _INFORMATION)
        tracks = tuple(_elements(stream, entry) for entry in _track_entries(stream))
        return _elements(stream, about) if about else {}, tracks


def _elements(stream: BinaryIO, parent: _Element, path: ElementPath = ()) -> Elements:
    contents: dict[ElementPath, tuple[bytes, ...]] = {}
    for child in _children(stream, parent):
        here = (*path, child.identity)
        if child.identity in _MASTERS:
            found = _elements(stream, child, here)
        else:
            found = {here: (_content(stream, child),)}
        for at, content in found.items():
            contents[at] = (*contents.get(at, ()), *content)
    return contents


def properties(track: Elements) -> dict[str, str]:
    """Return a track's properties that it has, by mkvpropedit's names, as it reads them."""
    return {
        known.name: known.text(contents[0])
        for path, known in _KNOWN.items()
        if (contents := track.get(path))
    }


def restoring_edits(source: Elements, result: Elements) -> list[str]:
    """Return mkvpropedit's arguments that give the result the elements of the source."""
    return [
        argument
        for name, old, _ in _changes(source, result)
        for argument in (["--delete", name] if old is None else ["--set", f"{name}={old}"])
    ]


def differences(source: Elements, result: Elements) -> tuple[str, ...]:
    """Name the restorable elements of the source that are others in the result."""
    changes = _changes(source, result)
    return tuple(f"{name} is {new}, not {old}" for name, old, new in changes if old is not None)


def _changes(source: Elements, result: Elements) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield the name of each element that differs, with its old and its new text, if any."""
    for path, known in RESTORED.items():
        old, new = (
            known.text(contents[0]) if (contents := found.get(path)) else None
            for found in (source, result)
        )
        if old != new:
            yield known.name, old, new


def losses(source: Elements, result: Elements) -> tuple[str, ...]:
    """Name the source's elements that the result lacks and that cannot be restored."""
    return tuple(
        name
        for path, name in _NAMED_LOSSES.items()
        if any(content.strip(b"\0") for content in source.get(path, ()))
        and _same(source, path) != _same(result, path)
    )


def _same(found: Elements, path: ElementPath) -> tuple[bytes, ...]:
    """Return contents, with Dolby Vision's two codes as one: they only differ by profile."""
    return tuple(c.replace(b"dvvC", b"dvcC") for c in found.get(path, ()))
