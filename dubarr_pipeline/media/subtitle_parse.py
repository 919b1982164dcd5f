"""Cues of SRT, WebVTT and ASS files, read as players read them: what can be made out counts.

Numbering is ignored; times are found by their arrow. A cue that ends before it starts gets the time
that its text takes to read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from dubarr_pipeline.media.subtitle_markup import plain_ass, plain_text, with_name

_CLOCK = r"(?:(\d{1,3})\s*:\s*)?(\d{1,2})\s*:\s*(\d{1,2})(?:\s*[,.:;]\s*(\d{1,9}))?"
_TIMES = re.compile(rf"^\W*?{_CLOCK}\s*-{{1,3}}\s*>\s*{_CLOCK}(?!\d)")
_NUMBER = re.compile(r"^\s*\d{1,6}\s*$")
_ASS_EVENT = re.compile(r"^\s*Dialogue\s*:\s*(.*)$", re.IGNORECASE)
_ASS_FORMAT = re.compile(r"^\s*Format\s*:\s*(.*)$", re.IGNORECASE)
_ASS_CLOCK = re.compile(rf"^\s*{_CLOCK}\s*$")
_ASS_FIELDS = ("layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect")
_SIGN = re.compile(
    r"(?<![a-z])(signs?|titles?|typeset|ts|credits?|staff|logo|notes?|eyecatch|preview|caption)(?![a-z])",
    re.IGNORECASE,
)
_SONG = re.compile(
    r"(?<![a-z])(op|ed|opening|ending|songs?|lyrics?|karaoke|kara|romaji|insert)(?![a-z])",
    re.IGNORECASE,
)
_PLACED = re.compile(r"\\(?:pos|move|i?clip|org|fr[xyz])\b|\\(?:pos|move|i?clip|org)\(")
_SUNG = re.compile(r"\\[kK][fot]?\d")
_NO_NAME = re.compile(
    r"^(ntp|default|main|dialog(ue)?|text|actor|alt|top|italics?|flashback|\W*|\d+)$", re.I
)
_READING_MS, _SHORTEST_MS = 60, 700
"""A reader takes about 60 ms for a letter (17 a second: Netflix timed text guide)."""


@dataclass(frozen=True, slots=True)
class TimedText:
    """A cue before it is put on the audio clock: milliseconds on the player's clock."""

    start_ms: int
    end_ms: int
    text: str


def parse_cues(text: str, form: str) -> list[TimedText]:
    """Return the cues in order of their starts, without markup, empty ones and doubles.

    Args:
        text: the whole file.
        form: ``srt``, ``vtt`` or ``ass``; what the file says of itself goes before it.
    """
    text = text.lstrip("\ufeff").replace("\0", "")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if form == "ass" or any(line.strip().lower() == "[events]" for line in lines):
        found = list(_ass(lines))
    else:
        webvtt = form == "vtt" or lines[0].lstrip(" \t").startswith("WEBVTT")
        found = list(_arrows(lines, webvtt))
    kept = dict.fromkeys(cue for cue in found if cue.text)
    return list(_with_length(sorted(kept, key=lambda cue: (cue.start_ms, cue.end_ms))))


def _arrows(lines: list[str], webvtt: bool) -> Iterator[TimedText]:
    """SRT and WebVTT: an arrow, then text up to the next one (WebVTT: to an empty line)."""
    times = [(i, found) for i, line in enumerate(lines) if (found := _TIMES.match(line))]
    numbered = sum(i > 0 and bool(_NUMBER.match(lines[i - 1])) for i, _ in times) * 2 > len(times)
    bounds = [*(i for i, _ in times[1:]), len(lines)]
    for (i, found), end in zip(times, bounds, strict=False):
        body = lines[i + 1 : end]
        if webvtt:
            body = body[: next((n for n, line in enumerate(body) if not line.strip()), len(body))]
        elif numbered and end < len(lines) and body and _NUMBER.match(body[-1]):
            body = body[:-1]
        clock = found.groups()
        yield TimedText(_ms(clock[:4]), _ms(clock[4:8]), plain_text("\n".join(body)))


def _ms(clock: tuple[str | None, ...]) -> int:
    hours, minutes, seconds, fraction = clock
    whole = (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)
    return whole * 1000 + int((fraction or "0").ljust(3, "0")[:3])


def _with_length(cues: list[TimedText]) -> Iterator[TimedText]:
    """Give cues that last no time, or less, what their text takes to read, up to the next cue."""
    for cue, following in pairwise([*cues, None]):
        if cue is None or cue.end_ms > cue.start_ms:
            if cue:
                yield cue
            continue
        wanted = cue.start_ms + max(_SHORTEST_MS, _READING_MS * len(cue.text))
        if following and following.start_ms > cue.start_ms:
            wanted = min(wanted, following.start_ms)
        yield replace(cue, end_ms=wanted)


@dataclass(frozen=True, slots=True)
class _Event:
    start_ms: int
    end_ms: int
    style: str
    name: str
    text: str


def _ass(lines: list[str]) -> Iterator[TimedText]:
    events = list(_events(lines))
    names = Counter(e.name for e in events if not _NO_NAME.match(e.name))
    placed = sum(bool(_PLACED.search(e.text)) for e in events)
    usual = placed * 2 > len(events)
    for event in events:
        if _SIGN.search(event.style) or _SIGN.search(event.name):
            continue
        if not usual and _PLACED.search(event.text):
            continue
        text = plain_ass(event.text)
        if text and (_SONG.search(event.style) or _SUNG.search(event.text)) and "♪" not in text:
            text = f"♪ {text} ♪"
        elif text and len(names) > 1 and event.name in names:
            text = with_name(event.name, text)
        yield TimedText(event.start_ms, event.end_ms, text)


def _events(lines: list[str]) -> Iterator[_Event]:
    fields, inside = (*_ASS_FIELDS, "text"), False
    for line in lines:
        if line.lstrip().startswith("["):
            inside = line.strip().lower() == "[events]"
        elif inside and (found := _ASS_FORMAT.match(line)):
            fields = tuple(field.strip().lower() for field in found.group(1).split(","))
        elif found := _ASS_EVENT.match(line):
            values = dict(zip(fields, found.group(1).split(",", len(fields) - 1), strict=False))
            if event := _event(values):
                yield event


def _event(values: dict[str, str]) -> _Event | None:
    start, end = (_ASS_CLOCK.match(values.get(key, "")) for key in ("start", "end"))
    if not start or not end or "text" not in values:
        return None
    style, name = (
        values.get("style", "").strip(),
        values.get("name", values.get("actor", "")).strip(),
    )
    return _Event(_ms(start.groups()), _ms(end.groups()), style, name, values["text"])
