"""What a container holds, as values: streams, chapters, times and tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

StreamKind = Literal["video", "audio", "subtitle", "attachment", "data"]


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of a container.

    Attributes:
        index: its number in the container, as ffmpeg counts.
        language: BCP-47, or None where none is named.
        start_s: first time stamp on the container's own clock; 0.0 where there is none.
        duration_s: as the container declares it for this stream; None where it does not.
        rate, channels, layout: of audio streams (layout by ffmpeg's names, or None).
        tags: with lower-case keys.
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

    @property
    def is_picture(self) -> bool:
        """Whether this is a moving picture, not cover art."""
        return self.kind == "video" and not self.dispositions & {"attached_pic", "still_image"}

    def describe(self) -> str:
        """One line that tells a person which stream this is."""
        about = [self.language or "language unknown", self.codec]
        if self.kind == "audio":
            about.append(self.layout or f"{self.channels} channels")
        about += [f'"{self.title}"'] if self.title else []
        about += sorted(self.dispositions)
        return f"#{self.index} {self.kind} ({', '.join(about)})"


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter mark, in seconds on the container's own clock."""

    start_s: float
    end_s: float
    title: str | None


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a container holds.

    Attributes:
        format_name: ffmpeg's name, e.g. ``matroska,webm``.
        duration_s: of the whole; 0.0 where neither the container nor a stream declares one.
        start_s: the first time stamp of all; a player's clock shows it as zero.
    """

    path: Path
    format_name: str
    duration_s: float
    start_s: float
    streams: tuple[Stream, ...]
    chapters: tuple[Chapter, ...]
    tags: Mapping[str, str]

    @property
    def video(self) -> tuple[Stream, ...]:
        """The moving pictures, without cover art."""
        return tuple(s for s in self.streams if s.is_picture)

    @property
    def audio(self) -> tuple[Stream, ...]:
        return self.of_kind("audio")

    @property
    def subtitles(self) -> tuple[Stream, ...]:
        return self.of_kind("subtitle")

    @property
    def attachments(self) -> tuple[Stream, ...]:
        return self.of_kind("attachment")

    def of_kind(self, kind: StreamKind) -> tuple[Stream, ...]:
        return tuple(s for s in self.streams if s.kind == kind)

    def stream(self, index: int) -> Stream:
        """Return the stream of that number. Raises `KeyError` if there is none."""
        for stream in self.streams:
            if stream.index == index:
                return stream
        raise KeyError(f"{self.path} has no stream #{index}")
