"""Subtitle text without its markup: what a reader would read, with its line breaks."""

from __future__ import annotations

import html
import re

# No pattern may look past the next bracket: a line of 50,000 of them must not take long.
_OVERRIDE = re.compile(r"\{[^{}]*\}")
_DRAWING = re.compile(r"\\p(\d+)")
_SRT_BRACES = re.compile(r"\{\\[^{}]*\}|\{[yYfFsScCpP]:[^{}]*\}")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]+)>", re.IGNORECASE)
_RUBY = re.compile(r"<rt(?:[.\s][^<>]*)?>[^<]*</rt>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:i|b|u|s|em|strong|font|span|p|c|v|ruby|rt|lang|sub|sup|big|small|div|center)"
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

    What only looks like a tag (``<3``, ``a < b``) stays too.
    """
    text = _SRT_BRACES.sub("", text).replace("\\N", "\n").replace("\\h", " ")
    text = _VOICE.sub(lambda found: _spoken_by(found.group(1)), text)
    text = _TAG.sub("", _BREAK.sub("\n", _RUBY.sub("", text)))
    return tidy(html.unescape(text))


def plain_ass(text: str) -> str:
    """Strip the markup of ASS and SSA; vector drawings vanish with it."""
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
    """Trim lines, drop empty ones and invisible characters, and make all blanks plain."""
    lines = (_SPACES.sub(" ", _INVISIBLE.sub("", line)).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def with_name(name: str, text: str) -> str:
    """Put a speaker's name in front, as SDH subtitles do, unless one stands there."""
    label = tidy(html.unescape(_TAG.sub("", name))).replace("\n", " ").rstrip(":")
    return f"{label.upper()}: {text}" if label and not _LABEL.match(text) else text


def _spoken_by(name: str) -> str:
    return "\n" + with_name(name, "")
