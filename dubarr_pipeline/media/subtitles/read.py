"""Subtitles as the script of a film: their choice, their cues on the audio clock, and SRT files."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

from dubarr_pipeline.errors import MediaToolError, NoScript
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.matroska import is_codec_id
from dubarr_pipeline.media.container.streams import MediaInfo, Stream
from dubarr_pipeline.media.subtitles.encoding import decode_text
from dubarr_pipeline.media.subtitles.parse import Cue, TimedText, parse_cues
from dubarr_pipeline.media.subtitles.sources import (
    SubtitleSource,
    find_subtitles,
    is_text,
    language_problem,
    stream_form,
)
from dubarr_pipeline.spans import Span
from dubarr_pipeline.text.language_guess import guess_language
from dubarr_pipeline.text.languages import closeness, same_language

_LARGEST_BYTES = 50 << 20
"""Size limit: the subtitles of a 10-hour film are 1 MB."""
_LIMIT = ("-fs", str(_LARGEST_BYTES))
"""ffmpeg's limit: text that its container compresses may be far larger than the film."""
_SLOWEST_BYTES_PER_S = 5 << 20
_PATIENCE_S = 120.0
"""Time limit; an embedded subtitle is scattered over the film, and takes a whole read of it."""


def choose_script(
    info: MediaInfo, language: str | None = None, targets: Sequence[str] = ()
) -> SubtitleSource:
    """Return the subtitle that holds the spoken words; never a forced one, commentary or picture.

    In the wanted language the best of `find_subtitles` is taken; failing that, one that names no
    language. Where the `language` that is spoken is not known, all candidates must agree: one
    language, or one default; translations into the `targets` are none of them, unless there is
    nothing else.

    Raises:
        NoScript: listing the subtitles that there are, with the cures.
    """
    subtitles = find_subtitles(info, language)
    usable = [s for s in subtitles if _is_script(s)]
    if language:
        for source in usable:
            if source.language is None or same_language(source.language, language):
                return source
        raise _no_script(info, subtitles, f"no usable subtitles in {language!r}", language)
    if not usable:
        raise _no_script(info, subtitles, "no usable subtitles", "en")
    usable = [s for s in usable if not any(same_language(s.language, t) for t in targets)] or usable
    default = [s for s in usable if s.is_default and s.language]
    languages = {s.language for s in usable if s.language}
    if len(languages) > 1 and len({s.language for s in default}) != 1:
        problem = "subtitles in several languages, and nothing says which of them is spoken"
        raise _no_script(info, subtitles, problem, "en")
    return default[0] if len(languages) > 1 else usable[0]


def existing_translation(info: MediaInfo, target: str) -> SubtitleSource | None:
    """Return the full subtitle in the target language that a film already has, or None.

    The exact region goes first; plain ones go before SDH, whose names and sounds are not spoken.
    """
    scripts = (s for s in find_subtitles(info, target) if _is_script(s))
    return min(
        (s for s in scripts if same_language(s.language, target)),
        key=lambda s: (-closeness(s.language, target), s.kind != "full", s.rank),
        default=None,
    )


def read_cues(
    source: SubtitleSource, info: MediaInfo, rate: int, offset_s: float
) -> tuple[Cue, ...]:
    """Return a subtitle's cues on the audio clock, in order of their starts.

    The clock has `rate` samples a second; `offset_s` is that of `ExtractedAudio`. Markup is
    removed; line breaks, notes, dashes and names stay. Cues may overlap, as they may on the screen,
    and begin before the sound does: a file for another cut may have its place later.

    Raises:
        NoScript: if it cannot be read, or holds no cue.
    """
    if source.problem:
        raise NoScript(f"{info.path}: subtitle {source.describe()}")
    text = decode_text(_content(source, info), source.language)
    where = f"{info.path}: subtitle {source.describe()}"
    try:
        parsed = parse_cues(text, source.form)
    except NoScript as error:
        raise NoScript(f"{where} {error}: take it away") from error
    if not parsed:
        raise NoScript(f"{where} holds no cue that could be read: repair it, or take it away")
    return on_clock(parsed, rate, offset_s)


def on_clock(parsed: Iterable[TimedText], rate: int, offset_s: float) -> tuple[Cue, ...]:
    """Return texts of a file as cues on the audio clock; `offset_s` as in `read_cues`."""
    offset = round(Fraction(offset_s).limit_denominator(1_000_000) * rate)
    cues: list[Cue] = []
    for cue in parsed:
        start = round(Fraction(cue.start_ms * rate, 1000)) - offset
        end = round(Fraction(cue.end_ms * rate, 1000)) - offset
        span = Span(start, max(start + 1, end))
        cues.append(Cue(span, cue.text, cue.name, cue.style, cue.sign))
    return tuple(cues)


def check_language(source: SubtitleSource, cues: Iterable[Cue], spoken: str | None = None) -> None:
    """Check that cues are in the language that their subtitle names, or else in the one spoken.

    Raises:
        NoScript: if they surely are not; what is too short, or mixed, passes.
    """
    guess = guess_language(cue.text for cue in cues)
    if problem := language_problem(guess, source.language, spoken or ""):
        raise NoScript(f"{source.path}: subtitle {source.describe()} is not usable: {problem}")


def write_srt(path: Path, cues: Iterable[Cue], rate: int) -> None:
    """Write cues as SRT, UTF-8, numbered from 1; the caller makes the file whole."""
    path.write_text(srt_document(cues, rate), encoding="utf-8", newline="\n")


def srt_document(cues: Iterable[Cue], rate: int) -> str:
    """Return cues as SRT, numbered from 1; those without text are left out."""
    blocks: list[str] = []
    for cue in cues:
        if text := srt_text(cue.text):
            times = f"{srt_clock(cue.span.start, rate)} --> {srt_clock(cue.span.end, rate)}"
            blocks.append(f"{len(blocks) + 1}\n{times}\n{text}\n")
    return "\n".join(blocks)


def srt_text(text: str) -> str:
    """Return a text as SRT can hold it: an empty line would end it, an arrow begin another."""
    lines = [line.replace("-->", "→").strip() for line in text.splitlines()]
    return "\n".join(line for line in lines if line)


def _is_script(source: SubtitleSource) -> bool:
    return source.problem is None and source.kind in ("full", "sdh")


def _no_script(
    info: MediaInfo, subtitles: list[SubtitleSource], problem: str, language: str
) -> NoScript:
    listed = "; ".join(subtitle.describe() for subtitle in subtitles) or "none at all"
    example = f"{info.path.stem}.{language}.srt"
    return NoScript(
        f"{info.path} has {problem}. Found: {listed}. Put {example} beside it (SRT, ASS or "
        "WebVTT), name the spoken language with --from (or audio.language), or have the words "
        'recognised, by profile laptop or studio, or by transcript.engine = "faster-whisper" '
        "with its model: dubarr models pull Systran/faster-whisper-small (large-v3 on a GPU)"
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
        if text := _embedded_texts(info).get(index):
            return text
    # One damaged subtitle must not spoil the others.
    try:
        stream = info.stream(index)
        arguments = [*_input(info.path, [stream]), *_output(stream, "pipe:1")]
        return ffmpeg.run(arguments, timeout_s=_patience_s(info.path)).stdout
    except (MediaToolError, OSError) as error:
        raise NoScript(
            f"{info.path}: subtitle {source.describe()} cannot be read: {error}"
        ) from error


_FileState = tuple[Path, int, int, int]
_last_texts: dict[_FileState, dict[int, bytes]] = {}
"""Text subtitles of the last film; they are some hundred kilobytes."""


def _embedded_texts(info: MediaInfo) -> dict[int, bytes]:
    """Return all text subtitles of a film by stream; one pass over the film extracts them all."""
    status = info.path.stat()
    state = (info.path, status.st_size, status.st_mtime_ns, status.st_ino)
    if state in _last_texts:
        return _last_texts[state]
    streams = [stream for stream in info.subtitles if is_text(stream.codec)]
    with tempfile.TemporaryDirectory(prefix="dubarr-subtitles-") as name:
        files = {stream.index: Path(name) / str(stream.index) for stream in streams}
        outputs = [a for s in streams for a in _output(s, ffmpeg.file_url(files[s.index]))]
        arguments = ["-y", *_input(info.path, streams), *outputs]
        ffmpeg.run(arguments, timeout_s=_patience_s(info.path))
        texts = {index: path.read_bytes() for index, path in files.items() if path.exists()}
    _last_texts.clear()
    _last_texts[state] = texts
    return texts


def _input(path: Path, streams: Sequence[Stream]) -> list[str]:
    """Return the input arguments; text that ffmpeg does not know is read as plain blocks."""
    unknown = [s.index for s in streams if is_codec_id(s.codec)]
    named = [part for index in unknown for part in (f"-c:{index}", "srt")]
    return [*named, *ffmpeg.source_arguments(path)]


def _output(stream: Stream, where: str) -> list[str]:
    copied = stream.codec in ("subrip", "ass", "webvtt") or is_codec_id(stream.codec)
    form = {"vtt": "webvtt"}.get(stream_form(stream.codec), stream_form(stream.codec))
    kept = ["-c:s", "copy" if copied else form, *_LIMIT]
    return ["-map", f"0:{stream.index}", *kept, "-f", form, where]


def _patience_s(path: Path) -> float:
    return _PATIENCE_S + path.stat().st_size / _SLOWEST_BYTES_PER_S


def srt_clock(sample: int, rate: int) -> str:
    """Return a time as SRT writes it."""
    total_ms = round(Fraction(sample * 1000, rate))
    seconds, milliseconds = divmod(total_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02},{milliseconds:03}"
