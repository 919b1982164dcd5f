"""Facts of a film for its estimate, from the front of its file, or from all that it tells."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from dubarr_pipeline.errors import DubbingError
from dubarr_pipeline.files import composed
from dubarr_pipeline.library.estimates.costs import FilmFacts, Pace, RiskyLines, risky_lines
from dubarr_pipeline.library.source import Source
from dubarr_pipeline.media.container.matroska import declared_sound, is_matroska
from dubarr_pipeline.media.container.mp4 import FIRST_BOXES, declared_duration_s
from dubarr_pipeline.media.container.probe import probe_video
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.media.subtitles.read import read_cues
from dubarr_pipeline.media.subtitles.sources import SUBTITLE_SUFFIXES

_CUE_MARKS = (b"-->", b"\nDialogue:")
_RATE = 1000


def glance(path: Path, languages: int, pace: Pace) -> FilmFacts:
    """Return what the front of a film's file and the subtitles beside it tell, in milliseconds.

    Raises:
        SourceError: if it cannot be read as a film.
    """
    duration_s, channels = _declared(path)
    if not duration_s:
        info = probe_video(path)
        duration_s = info.duration_s
        channels = max((stream.channels for stream in info.audio), default=0)
    assumed = [] if channels else ["stereo sound"]
    minutes, lines = duration_s / 60, float(max(_cues_beside(path), default=0))
    if not lines:
        lines = minutes * pace.lines_per_minute
        assumed.append(f"{pace.lines_per_minute:.0f} lines a minute")
    size = path.stat().st_size
    return FilmFacts(minutes, channels or 2, lines, languages, size, tuple(assumed))


def look_into(
    source: Source, targets: tuple[str, ...], pace: Pace
) -> tuple[FilmFacts, RiskyLines | None]:
    """Return a film's facts from its streams and its script, and the lines at risk."""
    info = source.info
    cues: tuple[Cue, ...] = ()
    risks = None
    if source.script:
        cues = read_cues(source.script, info, _RATE, 0.0)
        there: dict[str, tuple[Cue, ...]] = {}
        for target, subtitle in source.translations(targets).items():
            with suppress(DubbingError):
                there[target] = read_cues(subtitle, info, _RATE, 0.0)
        risks = risky_lines(cues, _RATE, source.language or "", targets, there)
    minutes = info.duration_s / 60
    lines = float(risks.lines) if risks else minutes * pace.lines_per_minute
    assumed = () if risks else (f"{pace.lines_per_minute:.0f} lines a minute",)
    size = info.path.stat().st_size
    return FilmFacts(minutes, source.audio.channels, lines, len(targets), size, assumed), risks


def _declared(path: Path) -> tuple[float, int]:
    with suppress(OSError, struct.error, ValueError):
        with path.open("rb") as file:
            front = file.read(12)
        if is_matroska(front):
            return declared_sound(path)
        if front[4:8] in FIRST_BOXES:
            return declared_duration_s(path), 0
    return 0.0, 0


def _cues_beside(path: Path) -> Iterator[int]:
    """Yield the number of cues of each text subtitle that has the film's name."""
    own = composed(path.stem)
    with suppress(OSError):
        for name, whole in _subtitles_in(path.parent, path.parent.stat().st_mtime_ns):
            if whole.startswith(own):
                text = (path.parent / name).read_bytes()
                yield max(text.count(mark) for mark in _CUE_MARKS)


@lru_cache(maxsize=8)
def _subtitles_in(folder: Path, _changed_ns: int) -> tuple[tuple[str, str], ...]:
    """Return the names of a folder's text subtitles, as they are and with accents composed."""
    names = (each.name for each in folder.iterdir() if each.suffix.lower() in SUBTITLE_SUFFIXES)
    return tuple((name, composed(name)) for name in names)
