"""Sheet for quality control: one page with the lines in doubt and their sounds, to be sent around.

It needs no server, no network and no script. Its size is bounded: what does not fit in is named.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from dubarr_pipeline.errors import ArtifactError, MediaToolError
from dubarr_pipeline.library.gate import GateFigure
from dubarr_pipeline.media.audio.reader import SoundsTogether, read_mono
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.reports import pictures
from dubarr_pipeline.reports.quality import failure_name
from dubarr_pipeline.reports.summary import Report
from dubarr_pipeline.segments.results import LineResult
from dubarr_pipeline.spans import Span, to_samples
from dubarr_pipeline.text.languages import display_name
from dubarr_pipeline.workdir.layout import WorkDir

MOST_BYTES = 25_000_000
_FOR_THE_PAGE = 1_500_000
"""Share of the bytes that texts may take; the rest is for sounds."""
_MOST_LINES = 1000
_AROUND_S, _LONGEST_S = 0.5, 20.0
_MP3 = ("-ac", "1", "-ar", "22050", "-c:a", "libmp3lame", "-b:a", "40k", "-f", "mp3", "pipe:1")
_WAV = ("-ac", "1", "-ar", "16000", "-c:a", "pcm_s16le", "-f", "wav", "pipe:1")
_LONGEST_TEXT = 600


@dataclass(frozen=True, slots=True)
class DoubtedLine:
    """A line in doubt.

    Attributes:
        doubts: why it is shown, in words.
        original, dub: data URIs of its sounds; empty where they do not fit in, or there are none.
    """

    index: int
    time: str
    speaker: str
    source: str
    text: str
    doubts: tuple[str, ...]
    original: str = ""
    dub: str = ""


@dataclass(slots=True)
class _Room:
    """Bytes that are left for sounds, and the lines that found none."""

    left: int
    without: list[str] = field(default_factory=list[str])

    def take(self, sounds: Sequence[str]) -> bool:
        size = sum(map(len, sounds))
        if size > self.left:
            self.left = 0
            return False
        self.left -= size
        return True


def qc_sheet(
    report: Report, work: WorkDir, languages: Sequence[str] = (), most_bytes: int = MOST_BYTES
) -> str:
    """Return the page, of at most `most_bytes` bytes in UTF-8; `languages`: all by default.

    Lines of the gate's reasons come first in each language, then the failed and the flagged ones.

    Raises:
        ArtifactError: if a stem of the film's sound is missing or damaged.
    """
    room = _Room(max(0, most_bytes - _FOR_THE_PAGE))
    parts: list[dict[str, Any]] = []
    left_out = 0
    names = {found.profile.speaker: found.profile.name for found in report.speakers}
    for found in report.languages:
        if languages and found.language not in languages:
            continue
        doubted = list(_doubted(report, found.language))
        left_out += len(doubted[_MOST_LINES:])
        sounds = _sounds(report, work, [line for line, _ in doubted[:_MOST_LINES]], room)
        shown = [
            _sheet_line(report, line, names, doubts, pair)
            for (line, doubts), pair in zip(doubted, sounds, strict=False)
        ]
        figures = report.figures.get(found.language, ())
        reasons = report.gate.languages.get(found.language, ())
        part = {"name": display_name(found.language), "quality": found, "lines": shown}
        parts.append({**part, "figures": figures, "reasons": reasons})
    page = _template().render(report=report, parts=parts, without=room.without, left_out=left_out)
    if len(page.encode("utf-8", "replace")) > most_bytes:
        raise ArtifactError(f"the texts of {report.video.key} alone exceed {most_bytes} bytes")
    return page


@cache
def _template() -> Template:
    # Subtitles are untrusted text: everything is escaped, and nothing is marked as safe.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("dubarr_pipeline.reports").joinpath("qc_sheet.html").read_text("utf-8")
    return environment.from_string(source)


def _doubted(report: Report, language: str) -> Iterator[tuple[LineResult, tuple[str, ...]]]:
    """Yield the lines in doubt, with the doubts."""
    figures: Iterable[GateFigure] = report.figures.get(language, ())
    at_fault = {index: each.words for each in figures for index in each.lines}
    lines = report.evidence.lines(language)
    doubts: dict[int, tuple[str, ...]] = {}
    for line in lines:
        said = [f"failed: {failure_name(line)} {line.message}"] if failure_name(line) else []
        if not said and line.index in at_fault:
            said.append(at_fault[line.index])
        doubts[line.index] = (*said, *line.flags)
    ranked = sorted(lines, key=lambda x: (x.index not in at_fault, not failure_name(x), x.index))
    yield from ((line, doubts[line.index]) for line in ranked if doubts[line.index])


def _sounds(
    report: Report, work: WorkDir, lines: Sequence[LineResult], room: _Room
) -> list[tuple[str, str]]:
    """Return the data URIs of the original and of the dub around each line."""
    found: list[tuple[str, str]] = []
    rate = report.evidence.production.rate
    with ExitStack() as opened:
        stems = [opened.enter_context(WaveFile(p)) for p in (work.vocals, work.accompaniment)]
        film = SoundsTogether(*stems)
        for line in lines:
            sounds = ("", "")
            if room.left:
                span = _span(line, rate)
                sounds = (_original(film, span, rate), _dub(report, work, line, span))
                if not room.take(sounds):
                    sounds = ("", "")
            if not any(sounds):
                room.without.append(f"{line.language} {line.index}")
            found.append(sounds)
    return found


def _span(line: LineResult, rate: int) -> Span:
    """Return the stretch of film to hear: the original, the take, and a little before and after."""
    around, longest = to_samples(_AROUND_S, rate), to_samples(_LONGEST_S, rate)
    start, end = line.source.start, line.source.end
    if line.placed:
        start, end = min(start, line.start), max(end, line.start + line.length)
    start = max(0, start - around)
    return Span(start, min(end + around, start + longest))


def _original(film: SoundsTogether, span: Span, rate: int) -> str:
    mono = read_mono(film, span).astype("<f4").tobytes()
    return _encoded(["-f", "f32le", "-ar", str(rate), "-ac", "1", "-i", "pipe:0"], mono)


def _dub(report: Report, work: WorkDir, line: LineResult, span: Span) -> str:
    """Return the stretch of the finished track; empty where the language has none."""
    mix = report.evidence.mixes.get(line.language)
    path = work.track(line.language, mix.codec) if mix else None
    if path is None or not path.is_file():
        return ""
    rate = report.evidence.production.rate
    place = ["-ss", f"{span.start / rate:.3f}", "-t", f"{span.length / rate:.3f}"]
    return _encoded([*place, "-i", ffmpeg.file_url(path)])


def _encoded(source: Sequence[str], stdin: bytes | None = None) -> str:
    """Return a sound as a data URI: MP3, which every browser plays, else WAV."""
    kind, arguments = ("mpeg", _MP3) if _has_mp3() else ("wav", _WAV)
    made = ffmpeg.run([*source, "-map", "0:a:0", *arguments], stdin=stdin, timeout_s=60.0).stdout
    return f"data:audio/{kind};base64,{base64.b64encode(made).decode('ascii')}"


@cache
def _has_mp3() -> bool:
    try:
        return b"libmp3lame" in ffmpeg.run(["-encoders"]).stdout
    except MediaToolError:
        return False


def _sheet_line(
    report: Report,
    line: LineResult,
    names: Mapping[str, str | None],
    doubts: tuple[str, ...],
    sounds: tuple[str, str],
) -> DoubtedLine:
    segment = report.segments.get(line.index)
    return DoubtedLine(
        line.index,
        pictures.clock(line.source.start / report.evidence.production.rate),
        names.get(line.speaker) or line.speaker,
        (segment.text if segment else "")[:_LONGEST_TEXT],
        line.text[:_LONGEST_TEXT],
        tuple(each[:_LONGEST_TEXT] for each in doubts),
        *sounds,
    )
