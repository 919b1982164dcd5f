"""Streams and times of a media file, by ffprobe; each file is read once."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import struct
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from dubarr_pipeline.errors import ArtifactError, MediaToolError, NotAVideo, SourceMissing
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.matroska import (
    TrackEntry,
    declared_end,
    is_matroska,
    track_entries,
)
from dubarr_pipeline.media.container.mp4 import FIRST_BOXES, boxes_end, track_names
from dubarr_pipeline.media.container.streams import (
    MediaInfo,
    Stream,
    StreamKind,
    with_joined_channels,
)
from dubarr_pipeline.media.container.transport_streams import BROADCASTS, played_about_s
from dubarr_pipeline.text.languages import language_tag
from dubarr_pipeline.text.tables import read_table

PROBE_TIMEOUT_S = 120.0
"""A local file answers within a second; this is for sleeping disks and hostile files."""

_KINDS: tuple[StreamKind, ...] = ("video", "audio", "subtitle", "attachment", "data")
_PACKAGE = "dubarr_pipeline.media.container"
_NOT_MEDIA = frozenset(read_table(_PACKAGE, "formats")["not_media"])
_USUAL_HANDLER = re.compile("|".join(read_table(_PACKAGE, "titles")["handlers"]), re.IGNORECASE)
"""Names that programs give to all tracks of MP4, not people to one."""
_SAME_PACE = 1.2
"""Ratio of a broadcast's declared duration to its pace; beyond, its clock must have jumped."""
_KEPT_FILES = 64
"""Number of files whose description a process keeps: tens of kilobytes each."""
Version = tuple[int, int, int, int]


def probe(path: Path, *, timeout_s: float = PROBE_TIMEOUT_S, kept: Path | None = None) -> MediaInfo:
    """Read the streams of a media file and check that its structure is whole.

    A process reads a file once, and again when its size, dates or inode have changed. What `kept`
    holds of this very file (`keep_answer`) spares ffprobe.

    Raises:
        SourceMissing: if it is not there, not a file, or not readable.
        NotAVideo: if it is empty, truncated, or not media.
        MediaToolError: if it could not be read within `timeout_s` seconds.
    """
    return _probe(path, version(check_readable(path)), timeout_s, kept)


@lru_cache(maxsize=_KEPT_FILES)
def _probe(path: Path, key: Version, timeout_s: float, kept: Path | None) -> MediaInfo:
    check_whole(path)
    info = _kept_info(path, key, kept) if kept else None
    info = info or _info(path, _ffprobe(path, (), timeout_s))
    if any(s.kind == "audio" and not (s.rate and s.channels) for s in info.streams):
        # Sound that starts late in a stream without an index: look further, once.
        further = ("-probesize", "100M", "-analyzeduration", "60M")
        info = _info(path, _ffprobe(path, further, timeout_s))
    if info.format_name in _NOT_MEDIA or info.format_name.endswith("_pipe"):
        raise NotAVideo(f"{path} is not a video but {info.format_name}: choose a video file")
    if not info.video and not info.audio:
        raise NotAVideo(f"{path} holds neither picture nor sound: choose a video file")
    about_s = played_about_s(path) if info.format_name in BROADCASTS else 0.0
    if about_s and not 1 / _SAME_PACE < info.duration_s / about_s < _SAME_PACE:
        streams = tuple(replace(s, duration_s=None) for s in info.streams)
        return replace(info, duration_s=about_s, streams=streams)
    return info


def probe_video(
    path: Path, *, timeout_s: float = PROBE_TIMEOUT_S, kept: Path | None = None
) -> MediaInfo:
    """Read the streams of a film: as `probe`, and it must hold a moving picture."""
    info = probe(path, timeout_s=timeout_s, kept=kept)
    if not info.video:
        raise NotAVideo(f"{path} is not a video, it holds sound alone: choose a video file")
    return info


def keep_answer(path: Path, kept: Path) -> None:
    """Write what ffprobe says of a film to a file, for the processes to come; once per version.

    ffprobe costs a hundred times what reading its answer does: a plan of a large library asks for
    every film.

    Raises:
        MediaToolError, MissingRequirement: as `describe`.
    """
    key = version(check_readable(path))
    if _kept_answer(kept, key) is None:
        answer = _ffprobe(path, (), PROBE_TIMEOUT_S)
        write_json(kept, {"film": key, "ffprobe": _program_version(), "answer": answer})


def kept_document(path: Path, kept: Path | None) -> dict[str, Any] | None:
    """Return what `keep_answer` wrote of this very film, if all its bytes were UTF-8."""
    answer = _kept_answer(kept, version(check_readable(path))) if kept else None
    return answer if "\ufffd" not in json.dumps(answer, ensure_ascii=False) else None


def _kept_info(path: Path, key: Version, kept: Path) -> MediaInfo | None:
    answer = _kept_answer(kept, key)
    try:
        return _info(path, answer) if answer else None
    except (LookupError, TypeError, ValueError, AttributeError):
        # Somebody wrote in it: ffprobe knows better.
        return None


def _kept_answer(kept: Path, key: Version) -> dict[str, Any] | None:
    """Return ffprobe's answer on this version of a film, if this very ffprobe gave it."""
    try:
        document = read_json(kept)
    except ArtifactError:
        return None
    same = (document.get("film"), document.get("ffprobe")) == ([*key], [*_program_version()])
    answer = document.get("answer") if same else None
    return answer if isinstance(answer, dict) else None


@lru_cache(maxsize=1)
def _program_version() -> tuple[int, ...]:
    program = shutil.which("ffprobe")
    return version(os.stat(program)) if program else ()  # noqa: PTH116


def check_readable(path: Path) -> os.stat_result:
    """Check that a path is an ordinary file, not empty and readable; return its status.

    Raises:
        SourceMissing, NotAVideo: naming the path and the cure.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise SourceMissing(f"{path} is not there: check the path") from None
    except (OSError, ValueError) as error:
        raise SourceMissing(f"{path} cannot be reached ({error}): check the path") from error
    if stat.S_ISDIR(status.st_mode):
        raise SourceMissing(f"{path} is a folder: name a video file in it")
    if not stat.S_ISREG(status.st_mode):
        raise NotAVideo(f"{path} is not an ordinary file: choose a video file")
    if not os.access(path, os.R_OK):
        raise SourceMissing(f"{path} may not be read by this user: change its permissions")
    if not status.st_size:
        raise NotAVideo(f"{path} is empty (0 bytes): copy or download it again")
    return status


def check_whole(path: Path) -> None:
    """Check that a file is as long as its first bytes declare (MP4, MOV, Matroska, AVI, WAV).

    A cut one opens without a complaint and plays up to the cut. Of other formats, extraction
    compares the decoded length with the declared one.

    Raises:
        NotAVideo: naming the share that is missing.
        SourceMissing: if it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            front = stream.read(12)
            size = stream.seek(0, 2)
            end = None
            if is_matroska(front):
                end = declared_end(path)
            elif front[4:8] in FIRST_BOXES:
                end = boxes_end(stream, size)
            elif front[:4] == b"RIFF" and front[8:12] in (b"AVI ", b"WAVE"):
                end = _riff_end(stream, size)
    except OSError as error:
        raise SourceMissing(f"{path} cannot be read ({error}): check the disk") from error
    if end is not None and end > size:
        share = 100 * size / end
        raise NotAVideo(
            f"{path} is truncated: {size} of {end} bytes are there ({share:.1f} %); "
            "copy or download it again"
        )


def _riff_end(stream: BinaryIO, size: int) -> int:
    """Return the end of the last RIFF list; large AVI files have several (OpenDML)."""
    position = 0
    while position < size:
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8 or head[:4] != b"RIFF":
            break
        length = struct.unpack("<I", head[4:])[0]
        if length in (0, 0xFFFF_FFFF):
            # The recorder was stopped before it wrote the length: none is declared.
            return size
        position += 8 + length + (length & 1)
    return position


def describe(
    path: Path, options: tuple[str, ...] = (), timeout_s: float = PROBE_TIMEOUT_S
) -> bytes:
    """Return ffprobe's JSON on a file: format, streams, chapters, digests of headers; its version.

    Raises:
        MediaToolError, MissingRequirement: as `ffmpeg.run`.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise MediaToolError(f"{path} cannot be read ({error}): check the path") from error
    return _describe(path, version(status), options, timeout_s)


def version(status: os.stat_result) -> Version:
    """Return size, dates (ns) and inode: what tells a file from others and from its former self."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


@lru_cache(maxsize=_KEPT_FILES)
def _describe(path: Path, _key: Version, options: tuple[str, ...], timeout_s: float) -> bytes:
    arguments = [
        *(*options, "-show_format", "-show_streams", "-show_chapters", "-show_programs"),
        *("-show_program_version", "-show_data_hash", "murmur3", "-of", "json"),
        *ffmpeg.source_arguments(path),
    ]
    return ffmpeg.run(arguments, tool="ffprobe", timeout_s=timeout_s).stdout


def _ffprobe(path: Path, options: tuple[str, ...], timeout_s: float) -> dict[str, Any]:
    try:
        document = json.loads(describe(path, options, timeout_s).decode(errors="replace"))
    except MediaToolError as error:
        if "did not finish" in str(error):
            raise MediaToolError(f"{path} cannot be read in time: {error}") from error
        raise _unreadable(path, str(error)) from error
    except ValueError as error:
        raise _unreadable(path, f"ffprobe's answer is damaged: {error}") from error
    if not isinstance(document, dict) or "format" not in document:
        raise _unreadable(path, "ffprobe recognises nothing in it")
    return document


def _unreadable(path: Path, words: str) -> NotAVideo | SourceMissing:
    if not path.exists():
        return SourceMissing(f"{path} vanished while it was read: check the path")
    if "moov atom not found" in words:
        return NotAVideo(
            f"{path} is truncated, its index is missing (no moov atom): copy or download it again"
        )
    if "not on whitelist" in words:
        return NotAVideo(
            f"{path} is not a video but a list of other files, or of an unsupported format: "
            "choose a video file, or remux it to Matroska"
        )
    return NotAVideo(f"{path} is not a video that can be read: {words[:400]}")


def _info(path: Path, document: dict[str, Any]) -> MediaInfo:
    about = document["format"]
    programs: dict[int, set[int]] = defaultdict(set)
    for program in document.get("programs", ()):
        for found in program.get("streams", ()):
            programs[int(found["index"])].add(int(program.get("program_id", 0)))
    format_name = about.get("format_name", "")
    names = track_names(path, format_name)
    entries, _ = own_entries(path, document)
    streams = tuple(
        replace(
            _stream(s, names, entries.get(s["index"])),
            programs=frozenset(programs[int(s["index"])]),
        )
        for s in document.get("streams", ())
        if s.get("codec_type") in _KINDS
    )
    lengths = [s.duration_s for s in streams if s.duration_s]
    return MediaInfo(
        path,
        format_name,
        _number(about.get("duration")) or max(lengths, default=0.0),
        _number(about.get("start_time")) or 0.0,
        with_joined_channels(streams),
    )


def own_entries(
    path: Path, document: dict[str, Any]
) -> tuple[dict[int, TrackEntry], list[TrackEntry]]:
    """Return Matroska's own words on ffprobe's streams by their number, and on all other tracks."""
    if "matroska" not in document.get("format", {}).get("format_name", ""):
        return {}, []
    others, entries = [*track_entries(path)], dict[int, TrackEntry]()
    for stream in document.get("streams", ()):
        own = [e for e in others if e.kind == stream.get("codec_type")]
        if own and not stream.get("disposition", {}).get("attached_pic"):
            # They are of the same order, and two may be equal.
            entries[int(stream["index"])] = others.pop(others.index(own[0]))
    return entries, others


UNKNOWN = ("none", "unknown")
"""ffprobe's words for a codec without a name."""


def codec_of(found: dict[str, Any], entry: TrackEntry | None) -> str:
    """Return ffmpeg's name of a codec, or Matroska's where ffmpeg knows none."""
    name = found.get("codec_name", "unknown")
    return entry.codec if entry and name in UNKNOWN else name


def _stream(found: dict[str, Any], names: Mapping[int, str], entry: TrackEntry | None) -> Stream:
    tags, title = tags_of(found), title_of(found, names)
    flags = found.get("disposition", {})
    layout = found.get("channel_layout")
    start_s = _number(found.get("start_time")) or 0.0
    duration_s = _number(found.get("duration"))
    # Matroska's DURATION tag, ``01:02:03.456``, is a track's end. Of a track that starts after all
    # that ffprobe looks at, it tells the film's duration.
    clock = [_number(part) for part in tags.get("duration", "").split(":")]
    if len(clock) == 3:
        hours, minutes, seconds = (float("nan") if part is None else part for part in clock)
        end_s = hours * 3600 + minutes * 60 + seconds
        if end_s > 0 and (tagged_s := max(0.0, end_s - max(0.0, start_s))):
            duration_s = min(tagged_s, duration_s or tagged_s)
    language = language_tag(tags.get("language"), title)
    if entry:
        # Matroska's ``LanguageBCP47``, which ffmpeg 5 ignores.
        language = language_tag(entry.language, title) or language
        if entry.language == "zxx":
            language, tags = None, {**tags, "language": "zxx"}
    return Stream(
        index=int(found["index"]),
        kind=found["codec_type"],
        codec=codec_of(found, entry),
        language=language,
        title=title,
        dispositions=frozenset(name for name, on in flags.items() if on),
        start_s=start_s,
        duration_s=duration_s or None,
        rate=int(_number(found.get("sample_rate")) or 0),
        channels=int(_number(found.get("channels")) or 0),
        layout=None if layout in (None, "", "unknown") else layout,
        tags=tags,
    )


def title_of(found: dict[str, Any], names: Mapping[int, str]) -> str | None:
    """Return a stream's title; `names` are those of MP4's tracks, which ffmpeg does not show."""
    tags, number = tags_of(found), int(found.get("id") or "0", 0)
    handler = tags.get("handler_name", "")
    handler = "" if _USUAL_HANDLER.search(handler) else handler
    return tags.get("title") or tags.get("name") or names.get(number) or handler or None


def tags_of(found: dict[str, Any]) -> dict[str, str]:
    """Return the tags of a part of ffprobe's JSON, names in lower case."""
    return {str(key).lower(): str(value) for key, value in found.get("tags", {}).items()}


def _number(text: object) -> float | None:
    try:
        number = float(str(text))
    except ValueError:
        return None
    return number if abs(number) < 1e12 else None
