"""Cues of SRT, WebVTT and ASS files, read as tolerantly as players read them.

Numbering is ignored; times are recognised by their arrow. A cue that ends before it starts gets the
time that its text takes to read.
"""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from dubarr_pipeline.errors import NoScript
from dubarr_pipeline.spans import Span
from dubarr_pipeline.text.tables import read_table

_CLOCK = r"(?:(\d{1,3})\s*:\s*)?(\d{1,2})\s*:\s*(\d{1,2})(?:\s*[,.:;]\s*(\d{1,9}))?"
_SIGNED = rf"([-−]\s*)?{_CLOCK}"
_TIMES = re.compile(rf"^\W*?{_SIGNED}\s*-{{1,3}}\s*>\s*{_SIGNED}(?!\d)")
_NUMBER = re.compile(r"^\s*\d{1,6}\s*$")
_NOTE = re.compile(r"(NOTE|STYLE|REGION)\b")
_ASS_EVENT = re.compile(r"^\s*Dialogue\s*:\s*(.*)$", re.IGNORECASE)
_ASS_FORMAT = re.compile(r"^\s*Format\s*:\s*(.*)$", re.IGNORECASE)
_ASS_CLOCK = re.compile(rf"^\s*{_SIGNED}\s*$")
_ASS_FIELDS = ("layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect")
_NAMES = {
    of: re.compile(pattern, re.IGNORECASE)
    for of, pattern in read_table("dubarr_pipeline.media.subtitles", "names")["ass"].items()
}
_LONGEST_SONG_MS = 180_000
"""A style named "Ed" that is used for longer is a person's."""
_PLACED = re.compile(r"\\(?:pos|move|i?clip|org|fr[xyz])\b|\\(?:pos|move|i?clip|org)\(")
_SUNG = re.compile(r"\\[kK][fot]?\d")
_LONGEST_FRAME_MS = 120
"""Signs that move have an event for each frame, or for every second or third."""
_READING_MS, _SHORTEST_MS = 60, 700
"""A reader takes about 60 ms for a letter (17 a second: Netflix timed text guide)."""
_ROLLING_SHARE, _ROLLED_WORDS, _LONGEST_ROLL = 0.2, 8, 60
"""Share of cues that continue the one before, words that they repeat in all, and at once."""
_ROLL_PAUSE_MS, _TYPED_MS, _UNREADABLE_MS = 1000, 1000, 50


@dataclass(frozen=True, slots=True)
class Cue:
    """A subtitle as it is in the file: times in samples, text with its line breaks, no markup.

    Attributes:
        span: it may begin before 0, where the file's clock does.
        name: of the speaker, where the file has a field for it.
        sign: True for what may be writing in the picture: it is placed there, most of its style is,
            or the style's name says so.
    """

    span: Span
    text: str
    name: str = ""
    style: str = ""
    sign: bool = False


@dataclass(frozen=True, slots=True)
class TimedText:
    """A cue in milliseconds on the player's clock; the rest as in `Cue`."""

    start_ms: int
    end_ms: int
    text: str
    name: str = ""
    style: str = ""
    sign: bool = False


_MOST_CUES, _LONGEST_CUE, _LONGEST_MARKUP = 100_000, 4_000, 20_000
"""No film has more cues, and no screen holds more letters: what does is no subtitle."""


def parse_cues(text: str, form: str) -> list[TimedText]:
    """Return a file's cues in order of their starts, without markup, empty ones and doubles.

    `form` is ``srt``, ``vtt`` or ``ass``; the file's own header overrides it.

    Raises:
        NoScript: if there are more cues, or more text in one, than any film has.
    """
    # Joined files have a byte order mark before each part.
    text = text.replace("\ufeff", "").replace("\0", "")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if form == "ass" or any(line.strip().lower() == "[events]" for line in lines):
        cues = list(_ass(lines))
    else:
        webvtt = form == "vtt" or lines[0].lstrip(" \t").startswith("WEBVTT")
        cues = list(_arrows(lines, webvtt))
    kept: dict[tuple[int, int, str], TimedText] = {}
    for cue in cues:
        if cue.text:
            kept.setdefault((cue.start_ms, cue.end_ms, cue.text), cue)
    if len(kept) > _MOST_CUES:
        raise NoScript(f"holds {len(kept):,} cues, and no film has over {_MOST_CUES:,}")
    ordered = sorted(kept.values(), key=lambda cue: (cue.start_ms, cue.end_ms))
    return list(_with_length(_unrolled(ordered)))


def _arrows(lines: list[str], webvtt: bool) -> Iterator[TimedText]:
    """Yield the cues of SRT and WebVTT: an arrow, then text up to the next (or an empty line)."""
    times = [(i, found) for i, line in enumerate(lines) if (found := _TIMES.match(line))]
    heads = [lines[at + 1 : i] for (at, _), (i, _) in pairwise([(-1, None), *times])]
    rests = [_without_number(head, numbered=True) for head in heads]
    # A cue's whole text may be a number, so that it proves no numbering.
    told = (i == 0 or any(map(str.strip, rest)) for i, rest in enumerate(rests) if rest != heads[i])
    numbered = sum(told) * 2 > len(times)
    bounds = [*(i for i, _ in times[1:]), len(lines)]
    for (i, found), end in zip(times, bounds, strict=False):
        body = lines[i + 1 : end]
        if webvtt and not all(map(str.strip, body)):
            body = _webvtt_body(body)
        elif end < len(lines):
            body = _without_number(body, numbered)
        elif numbered:
            # A file that breaks off may end with the number of the next cue.
            body = _without_number("\n".join(body).rstrip().split("\n"), numbered=False)
        clock, text, name = found.groups(), _bounded("\n".join(body), _LONGEST_MARKUP), ""
        if len(voices := _VOICE.findall(text)) == 1 and _VOICE.match(text.lstrip()):
            name, text = plain_text(voices[0]), _VOICE.sub("", text)
        yield TimedText(_ms(clock[:5]), _ms(clock[5:10]), _bounded(plain_text(text)), name)


def _bounded(text: str, longest: int = _LONGEST_CUE) -> str:
    if len(text) > longest:
        raise NoScript(f"holds a cue of {len(text):,} letters, and no screen has room for it")
    return text


def _without_number(body: list[str], numbered: bool) -> list[str]:
    """Return the lines before a cue's times without the number of that cue, a doubled one too.

    Between a blank line and times there is nothing but a number; elsewhere it is one in files that
    are `numbered`.
    """
    filled = [i for i, line in enumerate(body) if line.strip()]
    if not filled or not _NUMBER.match(body[filled[-1]]):
        return body
    end = filled.pop()
    if not numbered and not (end == len(body) - 1 and end and not body[end - 1].strip()):
        return body
    while len(filled) > 1 and _NUMBER.match(body[filled[-1]]):
        at = filled[-1]
        if int(body[at]) != int(body[end]) and (at < end - 1 or body[at - 1].strip()):
            break
        end = filled.pop()
    return body[:end]


def _webvtt_body(lines: list[str]) -> list[str]:
    """Return the lines up to the empty one that ends a cue; blanks alone do not end it.

    YouTube's first cues begin with a line of one blank, which an editor may have taken away.
    """
    start = next((n for n, line in enumerate(lines) if line.strip()), len(lines))
    body = lines[start:]
    blank = (n for n, line in enumerate(body) if not line.strip())
    end = body.index("") if "" in body else next(blank, len(body))
    # Behind an empty cue lies the next one's name, or a note.
    empty = "" in lines[:start] and (end == len(body) or _NOTE.match(body[0]))
    return [] if empty else body[:end]


def _ms(clock: tuple[str | None, ...]) -> int:
    sign, hours, minutes, seconds, fraction = clock
    whole = (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)
    ms = whole * 1000 + int((fraction or "0").ljust(3, "0")[:3])
    return -ms if sign else ms


def _unrolled(cues: list[TimedText]) -> list[TimedText]:
    """Return rolling captions with each line once, at the time of the cue that brought it.

    Captions of broadcasts (CEA-608 roll-up) and of recognisers (YouTube) repeat what was said
    before the new words. A file is one of them if a fifth of its cues do: people repeat less often.
    """
    repeats = [_repeated_words(before, cue) for before, cue in pairwise(cues)]
    grown = [n for n, cue in zip(repeats, cues[1:], strict=False) if n < len(cue.text.split())]
    grown = list(filter(None, grown))
    if sum(grown) < _ROLLED_WORDS or len(grown) < max(2, _ROLLING_SHARE * len(cues)):
        return cues
    lines = cues[:1]
    for before, cue, repeated in zip(cues, cues[1:], repeats, strict=False):
        if not repeated:
            lines.append(cue)
            continue
        words = cue.text.split(maxsplit=repeated)
        last, shown = lines[-1], before.text.split()[-1]
        # Live captions are typed: a cue may go on with the line, or the word, of the one before.
        rest = cue.text.removeprefix(before.text)
        typed = last.end_ms == before.end_ms < before.start_ms + _TYPED_MS
        if typed and rest != cue.text and not rest.startswith("\n"):
            lines[-1] = replace(last, end_ms=cue.end_ms, text=last.text + rest)
            continue
        lines[-1] = replace(last, text=last.text + words[repeated - 1].removeprefix(shown))
        if len(words) > repeated:
            lines.append(replace(cue, text=words[repeated]))
    return lines


def _repeated_words(before: TimedText, cue: TimedText) -> int:
    """Return how many words at the beginning of a cue are the end of the one before."""
    if cue.start_ms - before.end_ms > _ROLL_PAUSE_MS:
        return 0
    old, new = before.text.split(), cue.text.split()
    longest = min(len(old), len(new), _LONGEST_ROLL)
    # A line at least, or three words; or all of a cue that nobody could read.
    least = min(3, len(before.text.splitlines()[-1].split()))
    least = least if cue.end_ms - cue.start_ms > _UNREADABLE_MS else len(new)
    for n in range(longest, least - 1, -1):
        if old[-n:-1] == new[: n - 1] and new[n - 1].startswith(old[-1]):
            return n
    return 0


def _with_length(cues: list[TimedText]) -> Iterator[TimedText]:
    """Extend cues without a duration by their reading time, up to the next cue."""
    for cue, following in zip(cues, [*cues[1:], None], strict=False):
        if cue.end_ms > cue.start_ms:
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
    placed: bool
    sung: bool


def _ass(lines: list[str]) -> Iterator[TimedText]:
    events = _standing(event for event in _events(lines) if event.text)
    names = {event.name for event in events if not _NAMES["no_name"].match(event.name)}
    styles: defaultdict[str, list[_Event]] = defaultdict(list)
    for event in events:
        styles[event.style].append(event)
    signs = {
        style
        for style, used in styles.items()
        if _NAMES["sign"].search(style) or sum(event.placed for event in used) * 2 > len(used)
    }
    for event in events:
        used = styles[event.style]
        short = used[-1].end_ms - used[0].start_ms <= _LONGEST_SONG_MS
        song = _NAMES["song"].search(event.style)
        song = song or (short and _NAMES["maybe_song"].search(event.style))
        sung = bool(song or event.sung)
        text = f"♪ {event.text} ♪" if sung and "♪" not in event.text else event.text
        sign = event.placed or event.style in signs or bool(_NAMES["sign_name"].match(event.name))
        name = event.name if len(names) > 1 and event.name in names else ""
        times = event.start_ms, event.end_ms
        yield TimedText(*times, text, name, event.style, sign and not sung)


def _standing(events: Iterable[_Event]) -> list[_Event]:
    """Return events in order of their starts, one for writing that moves frame by frame."""
    joined: dict[int, _Event] = {}
    last: dict[tuple[str, str, str], int] = {}
    for number, event in enumerate(sorted(events, key=lambda event: event.start_ms)):
        key = (event.style, event.name, event.text)
        before = joined.get(last.get(key, -1))
        moving = event.placed or event.end_ms - event.start_ms <= _LONGEST_FRAME_MS
        if before and moving and event.start_ms - before.end_ms <= _LONGEST_FRAME_MS:
            end_ms = max(before.end_ms, event.end_ms)
            joined[last[key]] = replace(before, end_ms=end_ms, placed=before.placed or event.placed)
        else:
            last[key] = number
            joined[number] = event
    return list(joined.values())


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
    style, text = values.get("style", "").strip(), values["text"]
    name = values.get("name", values.get("actor", "")).strip()
    placed, sung = bool(_PLACED.search(text)), bool(_SUNG.search(text))
    times = _ms(start.groups()), _ms(end.groups())
    return _Event(*times, style, name, _bounded(plain_ass(text)), placed, sung)


# No pattern may look past the next bracket: a line of 50,000 of them must not take long.
_OVERRIDE = re.compile(r"\{[^{}]*\}")
_DRAWING = re.compile(r"\\p(\d+)")
_SRT_BRACES = re.compile(r"\{\\[^{}]*\}|\{[yYfFsScCpP]:[^{}]*\}")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]+)>", re.IGNORECASE)
_RUBY = re.compile(r"<(rt|image|shape)(?:[.\s][^<>]*)?>[^<]*</\1>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>|</text>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:i|b|u|s|em|strong|font|span|p|c|v|ruby|rt|lang|sub|sup|big|small|div|center|text|k)"
    r"(?:[.\s][^<>]*)?/?>|<\d\d:[\d:.]+>",
    re.IGNORECASE,
)
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
)
_SPACES = re.compile("[ \t\u00a0\u2007\u202f\u3000]+")
_LABEL = re.compile(r"^\s*(?:[-–—>\[(]|[^\W\d_][\w .'’-]{0,30}:)")


def plain_text(text: str) -> str:
    """Strip the markup of SRT and WebVTT; ``<v Roger>`` becomes ``ROGER: ``; notes and dashes stay.

    Text that merely looks like a tag (``<3``, ``a < b``) stays too.
    """
    text = _SRT_BRACES.sub("", text).replace("\\N", "\n").replace("\\h", " ")
    text = _VOICE.sub(lambda voice: "\n" + with_name(voice.group(1), ""), text)
    text = _TAG.sub("", _BREAK.sub("\n", _RUBY.sub("", text)))
    return tidy(html.unescape(text))


def plain_ass(text: str) -> str:
    """Strip the markup of ASS and SSA, vector drawings included."""
    kept: list[str] = []
    position, drawing = 0, False
    for block in _OVERRIDE.finditer(text):
        if not drawing:
            kept.append(text[position : block.start()])
        for scale in _DRAWING.findall(block.group()):
            drawing = scale.strip("0") != ""
        position = block.end()
    if not drawing:
        kept.append(text[position:])
    bare = "".join(kept)
    return tidy(bare.replace("\\N", "\n").replace("\\n", " ").replace("\\h", " "))


def tidy(text: str) -> str:
    """Trim lines, drop empty ones and invisible characters, and replace all blanks by spaces."""
    lines = (_SPACES.sub(" ", _INVISIBLE.sub("", line)).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def with_name(name: str, text: str) -> str:
    """Put a speaker's name in front, as SDH subtitles do, unless there is one."""
    label = tidy(html.unescape(_TAG.sub("", name))).replace("\n", " ").rstrip(":")
    return f"{label.upper()}: {text}" if label and not _LABEL.match(text) else text
