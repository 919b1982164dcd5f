"""What a video file holds: its streams, chapters, tags and times."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dubarr_pipeline.errors import MediaToolError, NotAVideo, SourceMissing
from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.media.audio_choice import choose_audio
from dubarr_pipeline.media.languages import language_tag
from dubarr_pipeline.media.matroska import TrackKind, track_languages
from dubarr_pipeline.media.streams import Chapter, MediaInfo, Stream, StreamKind
from dubarr_pipeline.media.wholeness import check_whole

__all__ = ["Chapter", "MediaInfo", "Stream", "StreamKind", "choose_audio", "probe", "probe_video"]

PROBE_TIMEOUT_S = 120.0
"""A local file answers within a second; this is for sleeping disks and hostile files."""

_KINDS: tuple[StreamKind, ...] = ("video", "audio", "subtitle", "attachment", "data")
_NOT_MEDIA = frozenset(
    (
        *("tty", "srt", "ass", "webvtt", "microdvd", "subviewer", "subviewer1", "sami", "realtext"),
        *("mpl2", "jacosub", "vplayer", "pjs", "stl", "sup", "vobsub", "lrc", "scc", "ffmetadata"),
        *(
            "hls",
            "applehttp",
            "concat",
            "dash",
            "sdp",
            "rtsp",
            "image2",
            "image2pipe",
            "gif",
            "apng",
        ),
    )
)
"""Formats that ffmpeg reads, and nobody calls a video: text, pictures, lists of other files."""


def probe(path: Path, *, timeout_s: float = PROBE_TIMEOUT_S) -> MediaInfo:
    """Look at a media file: what streams it has, and that its structure is whole.

    Sound alone is media too; `probe_video` asks for a picture.

    Raises:
        SourceMissing: if it is not there, no file, or not readable.
        NotAVideo: if it is empty, truncated, or not media.
        MediaToolError: if it could not be read within `timeout_s` seconds.
    """
    check_readable(path)
    check_whole(path)
    info = _info(path, _ffprobe(path, (), timeout_s))
    if any(s.kind == "audio" and not (s.rate and s.channels) for s in info.streams):
        # Sound that starts late in a stream without an index: look further, once.
        further = ("-probesize", "100M", "-analyzeduration", "60M")
        info = _info(path, _ffprobe(path, further, timeout_s))
    if info.format_name in _NOT_MEDIA or info.format_name.endswith("_pipe"):
        raise NotAVideo(f"{path} is not a video but {info.format_name}: choose a video file")
    if not info.video and not info.audio:
        raise NotAVideo(f"{path} holds neither picture nor sound: choose a video file")
    return info


def probe_video(path: Path, *, timeout_s: float = PROBE_TIMEOUT_S) -> MediaInfo:
    """Look at a file that is to be dubbed: as `probe`, and it must hold a moving picture."""
    info = probe(path, timeout_s=timeout_s)
    if not info.video:
        raise NotAVideo(f"{path} is not a video, it holds sound alone: choose a video file")
    return info


def check_readable(path: Path) -> None:
    """See that a path is an ordinary file with something in it, which we may read.

    Raises:
        SourceMissing, NotAVideo: naming the path and the cure.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise SourceMissing(f"{path} is not there: check the path") from None
    except (OSError, ValueError) as error:
        raise SourceMissing(f"{path} cannot be reached ({error}): check the path") from error
    if stat.S_ISDIR(found.st_mode):
        raise SourceMissing(f"{path} is a folder: name a video file in it")
    if not stat.S_ISREG(found.st_mode):
        raise NotAVideo(f"{path} is not an ordinary file: choose a video file")
    if not os.access(path, os.R_OK):
        raise SourceMissing(f"{path} may not be read by this user: change its permissions")
    if not found.st_size:
        raise NotAVideo(f"{path} is empty (0 bytes): copy or download it again")


def _ffprobe(path: Path, options: tuple[str, ...], timeout_s: float) -> dict[str, Any]:
    wanted = ["-show_format", "-show_streams", "-show_chapters", "-of", "json"]
    arguments = [*options, *wanted, *ffmpeg.source_arguments(path)]
    try:
        output = ffmpeg.run(arguments, tool="ffprobe", timeout_s=timeout_s)
        document = json.loads(output.stdout.decode(errors="replace"))
    except MediaToolError as error:
        if "did not finish" in str(error):
            raise MediaToolError(f"{path} cannot be read in time: {error}") from error
        raise _unreadable(path, str(error)) from error
    except ValueError as error:
        raise _unreadable(path, f"ffprobe's answer is damaged: {error}") from error
    if not isinstance(document, dict) or "format" not in document:
        raise _unreadable(path, "ffprobe found nothing in it")
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
            f"{path} is not a video but a list of other files, or of a format that is not taken: "
            "choose a video file, or remux it to Matroska"
        )
    return NotAVideo(f"{path} is not a video that can be read: {words[:400]}")


def _info(path: Path, document: dict[str, Any]) -> MediaInfo:
    about = document["format"]
    streams = tuple(
        _stream(s) for s in document.get("streams", ()) if s.get("codec_type") in _KINDS
    )
    format_name = about.get("format_name", "")
    if "matroska" in format_name:
        streams = _with_languages(streams, track_languages(path))
    lengths = [s.duration_s for s in streams if s.duration_s]
    return MediaInfo(
        path,
        format_name,
        _number(about.get("duration")) or max(lengths, default=0.0),
        _number(about.get("start_time")) or 0.0,
        streams,
        tuple(_chapter(c) for c in document.get("chapters", ())),
        _tags(about),
    )


def _stream(found: dict[str, Any]) -> Stream:
    tags = _tags(found)
    title = tags.get("title") or None
    flags = found.get("disposition", {})
    return Stream(
        index=int(found["index"]),
        kind=found["codec_type"],
        codec=found.get("codec_name", "unknown"),
        language=language_tag(tags.get("language"), title),
        title=title,
        dispositions=frozenset(name for name, on in flags.items() if on),
        start_s=_number(found.get("start_time")) or 0.0,
        duration_s=_number(found.get("duration")) or _length(found, tags),
        rate=int(_number(found.get("sample_rate")) or 0),
        channels=int(_number(found.get("channels")) or 0),
        layout=_layout(found.get("channel_layout")),
        tags=tags,
    )


def _with_languages(
    streams: tuple[Stream, ...], languages: Mapping[TrackKind, tuple[str | None, ...]]
) -> tuple[Stream, ...]:
    """Put in the languages of Matroska's ``LanguageBCP47``, which ffmpeg 5 does not read."""
    pending: dict[str, Iterator[str | None]] = {k: iter(found) for k, found in languages.items()}
    renamed: list[Stream] = []
    for stream in streams:
        tag = None
        if "attached_pic" not in stream.dispositions and stream.kind in pending:
            tag = language_tag(next(pending[stream.kind], None), stream.title)
        renamed.append(replace(stream, language=tag) if tag else stream)
    return tuple(renamed)


def _chapter(found: dict[str, Any]) -> Chapter:
    start, end = _number(found.get("start_time")) or 0.0, _number(found.get("end_time"))
    return Chapter(start, start if end is None else end, _tags(found).get("title"))


def _tags(found: dict[str, Any]) -> dict[str, str]:
    return {str(key).lower(): str(value) for key, value in found.get("tags", {}).items()}


def _layout(name: str | None) -> str | None:
    return None if name in (None, "", "unknown") else name


def _number(text: object) -> float | None:
    try:
        number = float(str(text))
    except ValueError:
        return None
    return number if abs(number) < 1e12 else None


def _length(found: dict[str, Any], tags: Mapping[str, str]) -> float | None:
    """How long a Matroska track lasts: ffmpeg writes its end, counted from 0, as its DURATION."""
    end_s = _clock(tags.get("duration"))
    start_s = _number(found.get("start_time")) or 0.0
    return max(0.0, end_s - max(0.0, start_s)) or None if end_s else None


def _clock(text: str | None) -> float | None:
    """Seconds of ``01:02:03.456``, the DURATION tag of Matroska."""
    parts = [_number(part) for part in (text or "").split(":")]
    if len(parts) != 3 or any(part is None for part in parts):
        return None
    hours, minutes, seconds = (part or 0.0 for part in parts)
    return hours * 3600 + minutes * 60 + seconds
