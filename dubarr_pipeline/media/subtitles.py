"""Subtitles as the script of a video: which to take, its cues on the audio clock, writing SRT."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

from dubarr_pipeline.errors import MediaToolError, NoScript
from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.media.languages import closeness
from dubarr_pipeline.media.streams import MediaInfo, Stream
from dubarr_pipeline.media.subtitle_encoding import decode_text
from dubarr_pipeline.media.subtitle_parse import TimedText, parse_cues
from dubarr_pipeline.media.subtitle_sources import (
    SubtitleKind,
    SubtitleSource,
    find_subtitles,
    is_text,
    matches,
    stream_form,
)
from dubarr_pipeline.timeline.script import Cue
from dubarr_pipeline.timeline.spans import Span

__all__ = [
    "SubtitleKind",
    "SubtitleSource",
    "choose_script",
    "existing_translation",
    "find_subtitles",
    "read_cues",
    "write_srt",
]

_LARGEST_BYTES = 50 << 20
"""The subtitles of a 10-hour film are 1 MB: what is larger is no subtitle."""
_LIMIT = ("-fs", str(_LARGEST_BYTES))
"""Compressed by its container, it may be a thousand times larger than its film."""
_SLOWEST_BYTES_PER_S = 5 << 20
_PATIENCE_S = 120.0
"""An embedded subtitle is scattered over the whole film: it is as slow to read as the disk is."""


def choose_script(info: MediaInfo, language: str | None = None) -> SubtitleSource:
    """Return the subtitle that says what is spoken.

    Forced subtitles, commentaries and pictures never are. In the wanted language the best of
    `find_subtitles` is taken; failing that, one that names no language. Where the wanted language
    is not known, all that could be meant must agree: one language, or one default.

    Args:
        info: the video, as probed.
        language: BCP-47 of what is spoken, where it is known.

    Raises:
        NoScript: listing what there is, and saying what to do.
    """
    found = find_subtitles(info, language)
    usable = [s for s in found if _is_script(s)]
    if language:
        for source in usable:
            if source.language is None or matches(source, language):
                return source
        raise _no_script(info, found, f"no usable subtitles in {language!r}", language)
    if not usable:
        raise _no_script(info, found, "no usable subtitles", "en")
    default = [s for s in usable if s.is_default and s.language]
    languages = {s.language for s in usable if s.language}
    if len(languages) > 1 and len({s.language for s in default}) != 1:
        problem = "subtitles in several languages, and nothing says which of them is spoken"
        raise _no_script(info, found, problem, "en")
    return default[0] if len(languages) > 1 else usable[0]


def existing_translation(info: MediaInfo, target: str) -> SubtitleSource | None:
    """Return the full subtitle in the target language that a video already has, or None.

    The exact region first; plain ones before SDH, whose names and sounds nobody speaks.
    """
    found = [s for s in find_subtitles(info, target) if _is_script(s) and matches(s, target)]
    found = [s for s in found if s.language]
    return min(
        found,
        key=lambda s: (-closeness(s.language, target), s.kind != "full", s.rank),
        default=None,
    )


def read_cues(
    source: SubtitleSource, info: MediaInfo, rate: int, offset_s: float
) -> tuple[Cue, ...]:
    """Return a subtitle's cues on the audio clock, in order of their starts.

    Markup is gone; line breaks, notes, dashes and names stay. Cues before the sound's beginning are
    cut there. Cues may overlap, as they may on the screen.

    Args:
        source: one of `find_subtitles`.
        info: the video that it belongs to.
        rate: samples per second of the audio clock.
        offset_s: where sample 0 lies on the player's clock, as `ExtractedAudio.offset_s`.

    Raises:
        NoScript: if it cannot be read, or holds no cue.
    """
    if source.problem:
        raise NoScript(f"{info.path}: subtitle {source.describe()}")
    text = decode_text(_content(source, info), source.language)
    offset = round(Fraction(offset_s).limit_denominator(1_000_000) * rate)
    placed = (_on_clock(cue, rate, offset) for cue in parse_cues(text, source.form))
    cues = tuple(cue for cue in placed if cue)
    if not cues:
        raise NoScript(
            f"{info.path}: subtitle {source.describe()} holds no cue that could be read: "
            "repair it, or take it away"
        )
    return cues


def write_srt(path: Path, cues: Iterable[Cue], rate: int) -> None:
    """Write cues as SRT, UTF-8, numbered from 1; the caller makes the file whole."""
    numbered = enumerate((cue for cue in cues if cue.text.strip()), start=1)
    blocks = (
        f"{number}\n{_clock(cue.span.start, rate)} --> {_clock(cue.span.end, rate)}\n"
        f"{_body(cue.text)}\n"
        for number, cue in numbered
    )
    path.write_text("\n".join(blocks), encoding="utf-8", newline="\n")


def _is_script(source: SubtitleSource) -> bool:
    return source.problem is None and source.kind in ("full", "sdh")


def _no_script(info: MediaInfo, found: list[SubtitleSource], what: str, language: str) -> NoScript:
    there = "; ".join(source.describe() for source in found) or "none at all"
    example = f"{info.path.stem}.{language}.srt"
    return NoScript(
        f"{info.path} has {what}. Found: {there}. Put {example} beside it (SRT, ASS or WebVTT), "
        "name the spoken language, or have the words heard, by profile laptop or studio, or by "
        'transcript.engine = "faster-whisper" with its model: dubarr models pull '
        "Systran/faster-whisper-small (large-v3 on a GPU)"
    )


def _content(source: SubtitleSource, info: MediaInfo) -> bytes:
    if source.index is not None:
        return _extracted(source, source.index, info)
    try:
        if source.path.stat().st_size > _LARGEST_BYTES:
            raise NoScript(f"{source.path} is too large for a subtitle: take it away")
        return source.path.read_bytes()
    except OSError as error:
        raise NoScript(f"{source.path} cannot be read ({error}): check the file") from error


def _extracted(source: SubtitleSource, index: int, info: MediaInfo) -> bytes:
    with contextlib.suppress(OSError, MediaToolError):
        if text := _embedded_texts(info, _version(info.path)).get(index):
            return text
    # One damaged subtitle among them must not take the others along.
    try:
        arguments = [*ffmpeg.source_arguments(info.path), *_output(info.stream(index), "pipe:1")]
        return ffmpeg.run(arguments, timeout_s=_patience_s(info.path)).stdout
    except (MediaToolError, OSError) as error:
        raise NoScript(
            f"{info.path}: subtitle {source.describe()} cannot be read: {error}"
        ) from error


def _version(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _embedded_texts(info: MediaInfo, version: tuple[int, int, int]) -> Mapping[int, bytes]:
    """All text subtitles of a film by stream, taken out in one pass: it is read once for all.

    Those of the last film are kept; they are some hundred kilobytes.
    """
    key = (info.path, version)
    if key not in _LAST_TEXTS:
        _LAST_TEXTS.clear()
        _LAST_TEXTS[key] = _read_embedded(info)
    return _LAST_TEXTS[key]


_LAST_TEXTS: dict[tuple[Path, tuple[int, int, int]], Mapping[int, bytes]] = {}


def _read_embedded(info: MediaInfo) -> dict[int, bytes]:
    streams = [stream for stream in info.subtitles if is_text(stream.codec)]
    with tempfile.TemporaryDirectory(prefix="dubarr-subtitles-") as name:
        files = {stream.index: Path(name) / str(stream.index) for stream in streams}
        outputs = [a for s in streams for a in _output(s, ffmpeg.file_url(files[s.index]))]
        arguments = ["-y", *ffmpeg.source_arguments(info.path), *outputs]
        ffmpeg.run(arguments, timeout_s=_patience_s(info.path))
        return {index: path.read_bytes() for index, path in files.items() if path.exists()}


def _output(stream: Stream, where: str) -> list[str]:
    copied = stream.codec in ("subrip", "ass", "webvtt")
    form = {"vtt": "webvtt"}.get(stream_form(stream.codec), stream_form(stream.codec))
    kept = ["-c:s", "copy" if copied else form, *_LIMIT]
    return ["-map", f"0:{stream.index}", *kept, "-f", form, where]


def _patience_s(path: Path) -> float:
    return _PATIENCE_S + path.stat().st_size / _SLOWEST_BYTES_PER_S


def _on_clock(cue: TimedText, rate: int, offset: int) -> Cue | None:
    start = round(Fraction(cue.start_ms * rate, 1000)) - offset
    end = round(Fraction(cue.end_ms * rate, 1000)) - offset
    start = max(0, start)
    return Cue(Span(start, end), cue.text) if end > start else None


def _clock(sample: int, rate: int) -> str:
    total_ms = round(Fraction(sample * 1000, rate))
    seconds, milliseconds = divmod(total_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02},{milliseconds:03}"


def _body(text: str) -> str:
    """The text without the empty lines that would end the cue."""
    lines = (line.replace("-->", "→").strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)
