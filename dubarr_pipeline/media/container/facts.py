"""Container facts: streams with flags and tags, chapters and attachments.

`probe` reads what dubbing needs; these are the facts that a muxed file must preserve.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.matroska import TrackEntry, is_codec_id
from dubarr_pipeline.media.container.mp4 import track_names
from dubarr_pipeline.media.container.probe import (
    UNKNOWN,
    codec_of,
    describe,
    kept_document,
    own_entries,
    tags_of,
    title_of,
)
from dubarr_pipeline.media.container.transport_streams import BROADCASTS
from dubarr_pipeline.text.languages import language_tag

DISPLAY_MATRIX = "Display Matrix"
"""ffmpeg's name of a picture's rotation before display."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """A stream as its container describes it.

    Attributes:
        kind: ``video``, ``audio``, ``subtitle``, ``attachment`` or ``data``.
        codec: ffmpeg's name of the codec, or Matroska's where ffmpeg knows none.
        flags: the dispositions that are set, e.g. ``default``, ``forced``, ``comment``.
        header: a digest of the codec's private data; for an attachment, of its content.
        sample_format: ffmpeg's name of the decoded samples' format, e.g. ``s16``.
        picture: colour, light levels, shape and rotation, as a decoder needs them.
        known: True if ffmpeg recognised rate and channels, or the picture's size; of a codec that
            it does not know, all of the header of sound or text.
        pid: its number in a transport stream, or in MP4; 0 elsewhere.
        unseen_title: its title where ffmpeg does not carry it over: the name of a track of MP4.
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
    unseen_title: str | None = None

    @property
    def is_cover(self) -> bool:
        """True for a still picture that belongs to the file, not a moving one."""
        return "attached_pic" in self.flags

    @property
    def first_language(self) -> str | None:
        """BCP-47 of the first language where a broadcast names several: Matroska has one."""
        code = self.tags.get("language", "")
        return (language_tag(code) or "und") if "," in code else None

    @property
    def turned_deg(self) -> float:
        """Degrees by which players turn the picture counter-clockwise, as telephones request."""
        return float(self._display_matrix().get("rotation", 0))

    @property
    def is_mirrored(self) -> bool:
        """True if players show the picture mirrored."""
        rows = re.findall(r"-?\d+(?=\s)", self._display_matrix().get("displaymatrix", "") + "\n")
        if len(rows) < 9:
            return False
        # ffmpeg prints each row after its hexadecimal offset, which a colon ends.
        a, b, _, c, d = map(int, rows[:5])
        return a * d - b * c < 0

    def _display_matrix(self) -> dict[str, Any]:
        return json.loads((self.picture or {}).get(DISPLAY_MATRIX, "{}"))

    def describe(self) -> str:
        """Return its name for messages: ``stream 2 (audio, ac3, "Commentary")``."""
        title = self.tags.get("title") or self.unseen_title or self.tags.get("filename")
        named = f', "{title}"' if title else ""
        return f"stream {self.index} ({self.kind}, {self.codec or 'unknown codec'}{named})"


@dataclass(frozen=True, slots=True)
class ChapterFacts:
    """One chapter; its start in microseconds on the container's own clock."""

    start_us: int
    title: str


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """A whole container.

    Attributes:
        start_us: the start of playback on its own clock.
        unseen: its tracks that ffmpeg does not read at all, by their codecs.
        read_by: name and version of ffmpeg, which read this.
        build: how that ffmpeg was configured; empty where its parts may be of several builds.
    """

    path: Path
    format_name: str
    start_us: int
    duration_s: float
    streams: tuple[StreamFacts, ...]
    chapters: tuple[ChapterFacts, ...]
    tags: Mapping[str, str]
    unseen: tuple[str, ...] = ()
    read_by: str = ""
    build: str = ""

    @property
    def is_matroska(self) -> bool:
        """True if mkvtoolnix can read and edit its headers."""
        return "matroska" in self.format_name

    @property
    def has_raw_framing(self) -> bool:
        """True if its H.264, HEVC and AAC have the framing of a broadcast, not of a file."""
        return self.format_name in BROADCASTS | {"avi", "h264", "hevc", "aac"}


def read_facts(path: Path, kept: Path | None = None) -> ContainerFacts:
    """Read everything that a mux must preserve, by ffprobe or where `probe.keep_answer` kept it.

    Raises as `probe.describe`.
    """
    document = kept_document(path, kept)
    # Tags may hold bytes that are not UTF-8; they are compared, never repaired.
    document = document or json.loads(describe(path).decode("utf-8", "surrogateescape"))
    about = document.get("format", {})
    names = track_names(path, about.get("format_name", ""))
    entries, others = own_entries(path, document)
    program = document.get("program_version", {})
    return ContainerFacts(
        path=path,
        format_name=about.get("format_name", ""),
        start_us=_microseconds(about.get("start_time")),
        duration_s=float(about.get("duration", 0) or 0),
        streams=tuple(
            _stream(found, names, entries.get(found["index"]))
            for found in document.get("streams", [])
        ),
        chapters=tuple(
            ChapterFacts(
                _microseconds(chapter.get("start_time")), tags_of(chapter).get("title", "")
            )
            for chapter in document.get("chapters", [])
        ),
        tags=tags_of(about),
        unseen=tuple(f"a track of {entry.codec or 'no codec'}" for entry in others),
        read_by=f"ffmpeg version {program.get('version', '')}",
        build=program.get("configuration", "") if ffmpeg.is_one_build() else "",
    )


_BARE = {".ac3": ("audio", "ac3"), ".eac3": ("audio", "eac3"), ".srt": ("subtitle", "subrip")}


def bare_facts(path: Path, duration_s: float) -> ContainerFacts | None:
    """Return the facts of a file of ours without a container, by its name; None of any other.

    Its one stream begins at 0 and is taken to last `duration_s`: nothing is read.
    """
    if path.suffix not in _BARE:
        return None
    kind, codec = _BARE[path.suffix]
    stream = StreamFacts(0, kind, codec, frozenset(), {})
    return ContainerFacts(path, codec, 0, duration_s, (stream,), (), {})


def _stream(
    found: dict[str, Any], names: Mapping[int, str], entry: TrackEntry | None
) -> StreamFacts:
    kind = found.get("codec_type", "data")
    # A disposition of a font means nothing, but ffprobe prints it.
    flags = () if kind == "attachment" else found.get("disposition", {}).items()
    seen = {name: str(found[name]) for name in _PICTURE_FIELDS if name in found}
    for side in found.get("side_data_list", []):
        name = side.get("side_data_type", "")
        if name in _PICTURE_SIDE_DATA:
            seen[name] = json.dumps(side, sort_keys=True)
    essential = [str(found.get(name) or "") for name in _ESSENTIAL.get(kind, ())]
    number = int(found.get("id") or "0", 0)
    header_bytes, codec = int(found.get("extradata_size", 0)), codec_of(found, entry)
    known = all(number.isdigit() and int(number) > 0 for number in essential)
    if kind != "attachment" and (codec in UNKNOWN or is_codec_id(codec)):
        # Pictures have an order that must be known, and a header may be of two parts.
        known &= entry is not None and entry.header_bytes == header_bytes and kind != "video"
    return StreamFacts(
        index=found["index"],
        kind=kind,
        codec=codec,
        flags=frozenset(name for name, value in flags if value),
        tags=tags_of(found),
        header=found.get("extradata_hash", ""),
        header_bytes=header_bytes,
        sample_format=found.get("sample_fmt", ""),
        picture=seen if kind == "video" else None,
        known=known,
        pid=number,
        unseen_title=None if entry or "title" in tags_of(found) else title_of(found, names),
    )


_ESSENTIAL = {"audio": ("sample_rate", "channels"), "video": ("width", "height")}
_PICTURE_FIELDS = (
    *("width", "height", "sample_aspect_ratio", "pix_fmt"),
    *("color_range", "color_space", "color_transfer", "color_primaries"),
)
# Side data that decide how a picture looks; all others belong to one container only.
_PICTURE_SIDE_DATA = (
    "Mastering display metadata",
    "Content light level metadata",
    "DOVI configuration record",
    DISPLAY_MATRIX,
    "Stereo 3D",
    "Spherical Mapping",
)


def _microseconds(seconds: str | None) -> int:
    return round(float(seconds or 0) * 1_000_000)
