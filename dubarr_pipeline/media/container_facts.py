"""What a container says about itself: its streams with their flags and tags, chapters, attachments.

`probe` answers what can be dubbed; this answers what must be found again in the muxed file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dubarr_pipeline.media.ffmpeg import run, source_arguments

BROADCASTS = frozenset({"mpegts", "mpeg"})
"""Containers whose framing is that of a broadcast."""


DISPLAY_MATRIX = "Display Matrix"
"""ffmpeg's name of how a picture is turned before it is shown."""


_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """One stream as its container describes it.

    Attributes:
        index: its number in the file, as ffmpeg counts.
        kind: ``video``, ``audio``, ``subtitle``, ``attachment`` or ``data``.
        codec: ffmpeg's name of the codec; empty if it knows none.
        flags: the dispositions that are set, e.g. ``default``, ``forced``, ``comment``.
        tags: names in lower case.
        header: a digest of the codec's private data; for an attachment, of its content.
        sample_format: ffmpeg's name of what a sound decodes to, e.g. ``s16``.
        picture: what a decoder must know of colour, light levels, shape and rotation.
        known: whether ffmpeg could tell what it is: rate and channels, or the picture's size.
        pid: its number in a transport stream; 0 elsewhere.
    """

    index: int
    kind: str
    codec: str
    flags: frozenset[str]
    tags: Mapping[str, str]
    header: str = ""
    header_bytes: int = 0
    sample_format: str = ""
    picture: Mapping[str, str] | None = None
    known: bool = True
    pid: int = 0

    @property
    def is_cover(self) -> bool:
        """Whether it is a still picture that belongs to the file, not a moving one."""
        return "attached_pic" in self.flags

    @property
    def turned_deg(self) -> float:
        """By how many degrees players turn the picture counter-clockwise, as telephones ask for."""
        return float(self._display_matrix().get("rotation", 0))

    @property
    def is_mirrored(self) -> bool:
        """Whether players show the picture as in a mirror."""
        rows = re.findall(r"-?\d+(?=\s)", self._display_matrix().get("displaymatrix", "") + "\n")
        if len(rows) < 9:
            return False
        # ffmpeg prints each row behind its hexadecimal place, which a colon ends.
        a, b, _, c, d = map(int, rows[:5])
        return a * d - b * c < 0

    def _display_matrix(self) -> dict[str, Any]:
        return json.loads((self.picture or {}).get(DISPLAY_MATRIX, "{}"))

    def describe(self) -> str:
        """Name it in a message: ``stream 2 (audio, ac3, "Commentary")``."""
        title = self.tags.get("title") or self.tags.get("filename")
        named = f', "{title}"' if title else ""
        return f"stream {self.index} ({self.kind}, {self.codec or 'unknown codec'}{named})"


@dataclass(frozen=True, slots=True)
class ChapterFacts:
    """One chapter, in microseconds on the container's own clock."""

    start_us: int
    end_us: int
    title: str


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """A whole container. `start_us` is where its playback clock begins on its own clock."""

    path: Path
    format_name: str
    start_us: int
    duration_s: float
    streams: tuple[StreamFacts, ...]
    chapters: tuple[ChapterFacts, ...]
    tags: Mapping[str, str]

    @property
    def is_matroska(self) -> bool:
        """Whether mkvtoolnix can read and edit its headers."""
        return "matroska" in self.format_name

    @property
    def has_raw_framing(self) -> bool:
        """Whether H.264, HEVC and AAC lie in it in the framing of a broadcast, not of a file."""
        return self.format_name in BROADCASTS | {"avi", "h264", "hevc", "aac"}


def read_facts(path: Path) -> ContainerFacts:
    """Ask ffprobe for everything that a mux must keep.

    Raises:
        MediaToolError: if it is not a container that ffmpeg can read.
        MissingRequirement: if ffprobe is not installed.
    """
    document = _ffprobe(path)
    about = document.get("format", {})
    return ContainerFacts(
        path=path,
        format_name=about.get("format_name", ""),
        start_us=_microseconds(about.get("start_time")),
        duration_s=float(about.get("duration", 0) or 0),
        streams=tuple(_stream(found) for found in document.get("streams", [])),
        chapters=tuple(_chapter(found) for found in document.get("chapters", [])),
        tags=_tags(about),
    )


def _ffprobe(path: Path) -> dict[str, Any]:
    asked = ["-show_streams", "-show_format", "-show_chapters", "-show_data_hash", "murmur3"]
    command = [*asked, "-of", "json", *source_arguments(path)]
    # Tags may hold bytes that are no UTF-8; they are compared, never repaired.
    output = run(command, tool="ffprobe", timeout_s=_PATIENCE_S)
    return json.loads(output.stdout.decode("utf-8", "surrogateescape"))


def _stream(found: dict[str, Any]) -> StreamFacts:
    kind = found.get("codec_type", "data")
    # A disposition of a font means nothing, but ffprobe prints it.
    flags = () if kind == "attachment" else found.get("disposition", {}).items()
    return StreamFacts(
        index=found["index"],
        kind=kind,
        codec=found.get("codec_name", ""),
        flags=frozenset(name for name, value in flags if value),
        tags=_tags(found),
        header=found.get("extradata_hash", ""),
        header_bytes=int(found.get("extradata_size", 0)),
        sample_format=found.get("sample_fmt", ""),
        picture=_picture(found) if kind == "video" else None,
        known=all(_is_positive(found.get(name)) for name in _ESSENTIAL.get(kind, ())),
        pid=int(found.get("id") or "0", 0),
    )


_ESSENTIAL = {"audio": ("sample_rate", "channels"), "video": ("width", "height")}


def _is_positive(value: object) -> bool:
    return str(value or "").isdigit() and int(str(value)) > 0


_PICTURE_FIELDS = (
    "width",
    "height",
    "sample_aspect_ratio",
    "pix_fmt",
    "color_range",
    "color_space",
    "color_transfer",
    "color_primaries",
)
# Which side data make a picture look as it must; the others belong to one container only.
_PICTURE_SIDE_DATA = (
    "Mastering display metadata",
    "Content light level metadata",
    "DOVI configuration record",
    DISPLAY_MATRIX,
    "Stereo 3D",
    "Spherical Mapping",
)


def _picture(found: dict[str, Any]) -> dict[str, str]:
    seen = {name: str(found[name]) for name in _PICTURE_FIELDS if name in found}
    for side in found.get("side_data_list", []):
        name = side.get("side_data_type", "")
        if name in _PICTURE_SIDE_DATA:
            seen[name] = json.dumps(side, sort_keys=True)
    return seen


def _chapter(found: dict[str, Any]) -> ChapterFacts:
    return ChapterFacts(
        _microseconds(found.get("start_time")),
        _microseconds(found.get("end_time")),
        _tags(found).get("title", ""),
    )


def _tags(found: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): str(value) for name, value in found.get("tags", {}).items()}


def _microseconds(seconds: str | None) -> int:
    return round(float(seconds or 0) * 1_000_000)
