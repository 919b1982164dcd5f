"""Streams of a container, and the choice of the audio stream to dub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Literal

from dubarr_pipeline.errors import NoAudio
from dubarr_pipeline.media.audio.channels import LAYOUT_MASKS, positions
from dubarr_pipeline.media.container.matroska import is_codec_id
from dubarr_pipeline.text.languages import closeness
from dubarr_pipeline.text.tables import read_table

StreamKind = Literal["video", "audio", "subtitle", "attachment", "data"]

_ASIDE_FLAGS = frozenset(("comment", "visual_impaired", "descriptions"))
_SPEECHLESS_FLAGS = frozenset(("clean_effects", "karaoke", "lyrics"))
_TITLES = read_table("dubarr_pipeline.media.container", "titles")
_ASIDE_TITLE = re.compile("|".join(_TITLES["aside"]), re.IGNORECASE)
_SPEECHLESS_TITLE = re.compile("|".join(_TITLES["speechless"]), re.IGNORECASE)
_NO_FRAMES = re.compile("0")
_NO_TIME = re.compile(r"0+(:0+)*(\.0+)?")
_JOINED = (8, 7, 6, 5, 2)
"""Numbers of mono tracks that may be one sound: with three or four, one is a track of its own."""
_DUB_TITLE = re.compile(r"·\s*dub\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of a container.

    Attributes:
        language: BCP-47, or None where none is named.
        start_s: first time stamp on the container's own clock; 0.0 without one.
        duration_s: as the container declares it for this stream; None if it does not.
        programs: numbers of a broadcast's programmes that it belongs to.
        parts: numbers of the mono tracks that are this sound's channels, in its layout's order, its
            own first; empty where one track holds them all.
    """

    index: int
    kind: StreamKind
    codec: str
    language: str | None = None
    title: str | None = None
    dispositions: frozenset[str] = frozenset()
    start_s: float = 0.0
    duration_s: float | None = None
    rate: int = 0
    channels: int = 0
    layout: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    programs: frozenset[int] = frozenset()
    parts: tuple[int, ...] = ()

    @property
    def is_picture(self) -> bool:
        """True for a moving picture, False for cover art."""
        return self.kind == "video" and not self.dispositions & {"attached_pic", "still_image"}

    @property
    def is_decodable(self) -> bool:
        """True for a sound that ffmpeg can read."""
        known = self.codec != "unknown" and not is_codec_id(self.codec)
        return known and bool(self.channels and self.rate)

    def describe(self) -> str:
        """Return a line that names this stream for people."""
        about = [self.language or "language unknown", self.codec]
        if self.kind == "audio":
            about.append(self.layout or f"{self.channels} channels")
        about += [f'"{self.title}"'] if self.title else []
        about += sorted(self.dispositions)
        return f"#{self.index} {self.kind} ({', '.join(about)})"


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """The contents of a container.

    Attributes:
        format_name: ffmpeg's name, e.g. ``matroska,webm``.
        duration_s: of the whole; 0.0 if neither the container nor a stream declares one.
        start_s: the first time stamp of all; a player's clock shows it as zero.
    """

    path: Path
    format_name: str
    duration_s: float
    start_s: float
    streams: tuple[Stream, ...]

    @property
    def video(self) -> tuple[Stream, ...]:
        """The moving pictures, without cover art."""
        return tuple(s for s in self.streams if s.is_picture)

    @property
    def audio(self) -> tuple[Stream, ...]:
        """The sounds; tracks that are channels of another are not among them."""
        parts = {part for stream in self.streams for part in stream.parts[1:]}
        return tuple(s for s in self.of_kind("audio") if s.index not in parts)

    @property
    def subtitles(self) -> tuple[Stream, ...]:
        return self.of_kind("subtitle")

    def in_programme(self, stream: Stream) -> bool:
        """Return whether a stream may go with the first picture; another programme's does not."""
        own = self.video[0].programs if self.video else frozenset[int]()
        return not own or not stream.programs or bool(own & stream.programs)

    def of_kind(self, kind: StreamKind) -> tuple[Stream, ...]:
        return tuple(s for s in self.streams if s.kind == kind)

    def stream(self, index: int) -> Stream:
        """Return the stream of that number. Raises `KeyError` if there is none."""
        for stream in self.streams:
            if stream.index == index:
                return stream
        raise KeyError(f"{self.path} has no stream #{index}")


def with_joined_channels(streams: tuple[Stream, ...]) -> tuple[Stream, ...]:
    """Make one sound of mono tracks with a place each (left, right, ...), as QuickTime has them."""
    joined: dict[int, Stream] = {}
    sounds = [stream for stream in streams if stream.kind == "audio"]
    taken: set[int] = set()
    for number, first in enumerate(sounds):
        if first.index in taken or _place(first) not in ("FL", "FR"):
            continue
        for size in _JOINED:
            tracks = sounds[number : number + size]
            same = all((s.rate, s.language) == (first.rate, first.language) for s in tracks)
            places = frozenset(map(_place, tracks))
            layout = _layouts().get(places)
            if same and layout and len(places) == size:
                order = {place: n for n, place in enumerate(positions(size, layout))}
                tracks.sort(key=lambda stream: order[_place(stream)])
                parts = tuple(stream.index for stream in tracks)
                left = tracks[0]
                joined[left.index] = replace(left, channels=size, layout=layout, parts=parts)
                taken.update(parts)
                break
    return tuple(joined.get(stream.index, stream) for stream in streams)


def _place(stream: Stream) -> str:
    return positions(1, stream.layout)[0] if stream.channels == 1 else ""


@cache
def _layouts() -> Mapping[frozenset[str], str]:
    return {
        frozenset(positions(size, name)): name
        for name, mask in LAYOUT_MASKS.items()
        for size in [mask.bit_count()]
        if size in _JOINED
    }


def choose_audio(info: MediaInfo, language: str | None = None, index: int | None = None) -> Stream:
    """Return the audio stream that is dubbed: that of `index`, or else the first of `_rank`.

    Streams that cannot be decoded, are empty by their own statistics, or belong to another
    programme of a broadcast than the first picture, are left out. A `language` that is known to be
    spoken overrules a single stream's label.

    Raises:
        NoAudio: if there is none, or none in that language or of that index; it lists the choices.
    """
    if index is not None:
        if named := [s for s in info.audio if index in (s.index, *s.parts)]:
            return named[0]
        raise NoAudio(f"{info.path} has no audio stream #{index}: {list_audio(info)}")
    shown = [s for s in info.audio if info.in_programme(s)]
    if not shown:
        others = f" in the programme of its first picture: {list_audio(info)}" if info.audio else ""
        raise NoAudio(f"{info.path} has no audio stream{others or ': there is nothing to dub'}")
    known = [s for s in shown if s.is_decodable]
    counted = [s for s in known if not _has_statistic(s, "number_of_frames", _NO_FRAMES)]
    if known and not counted:
        raise NoAudio(f"no audio stream of {info.path} holds any sound: {list_audio(info)}")
    # A duration of 0 may be a sound shorter than the container's clock: extraction checks it.
    usable = [s for s in counted if not _has_statistic(s, "duration", _NO_TIME)] or counted
    if not usable:
        raise NoAudio(f"no audio stream of {info.path} can be decoded: {list_audio(info)}")
    best = max(usable, key=lambda stream: _rank(stream, language))
    wrong = language and best.language and not closeness(best.language, language)
    # Of a single one the label may be wrong.
    if wrong and sum(not is_aside(stream) for stream in usable) > 1:
        raise NoAudio(
            f"{info.path} has no audio in {language!r}: {list_audio(info)}; "
            "name one by its number, or another source language"
        )
    return best


def _has_statistic(stream: Stream, name: str, pattern: re.Pattern[str]) -> bool:
    """Return whether one of the container's own statistics on a stream matches a pattern."""
    # Matroska's muxers append a language to the name: NUMBER_OF_FRAMES-eng.
    return any(
        pattern.fullmatch(value.strip())
        for tag, value in stream.tags.items()
        if tag.split("-")[0] == name
    )


def other_audio(info: MediaInfo, silent: Stream) -> tuple[Stream, ...]:
    """Return the streams that may hold the speech where nobody speaks in the chosen one.

    They are of the same programme and language, or name none; no commentary is among them.
    """
    return tuple(
        sorted(
            (
                s
                for s in info.audio
                if s is not silent and s.is_decodable and info.in_programme(s)
                if not is_aside(s)
                if not (s.language and silent.language) or closeness(s.language, silent.language)
            ),
            key=lambda stream: _rank(stream, silent.language),
            reverse=True,
        )
    )


def is_aside(stream: Stream) -> bool:
    """Return whether a stream is not the programme: commentary, audio description, score alone."""
    title = stream.title or ""
    commented = stream.dispositions & _ASIDE_FLAGS or _ASIDE_TITLE.search(title)
    return bool(commented) or _is_speechless(stream)


def _is_speechless(stream: Stream) -> bool:
    """Return whether a stream says of itself that nobody speaks in it (``zxx``: ISO 639-2)."""
    flagged = stream.dispositions & _SPEECHLESS_FLAGS
    language = stream.tags.get("language", "").lower()
    return bool(flagged) or language == "zxx" or bool(_SPEECHLESS_TITLE.search(stream.title or ""))


def _rank(stream: Stream, language: str | None) -> tuple[int, ...]:
    """Return what decides between sounds, the greatest first: each only where all before are equal.

    Of the wanted language the exact region goes before another one.
    """
    close = closeness(stream.language, language) if stream.language and language else 0
    # A stream that names no language beats one that names a wrong one.
    match = bool(language) if not stream.language else 1 + close if close else 0
    dub = "dub" in stream.dispositions or bool(_DUB_TITLE.search(stream.title or ""))
    return (
        not is_aside(stream),
        not _is_speechless(stream),
        match,
        not dub,
        "original" in stream.dispositions,
        "default" in stream.dispositions,
        stream.channels,
        -stream.index,
    )


def list_audio(info: MediaInfo, *tried: Stream) -> str:
    """Return the audio streams in words for people, without those that were tried."""
    return "; ".join(s.describe() for s in info.audio if s not in tried)
