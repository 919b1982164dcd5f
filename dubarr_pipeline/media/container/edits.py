"""The edit list of MP4 and MOV, which plays parts of a stream.

ffmpeg reads a second of sound before each part, and pictures from the last key picture on, for its
decoders alone: it marks those packets, and copies them nevertheless.
"""

from __future__ import annotations

from dubarr_pipeline.media.container.mp4 import PRIMING_S
from dubarr_pipeline.media.container.timelines import Packet, StreamTimeline


class Cuts:
    """Packets of a stream that an edit list plays, and those that it does not."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._packets = self._played = 0
        self._unplayed: list[tuple[int, int]] = []
        # Packets in a row that are not played, with their numbers.
        self._waiting: list[tuple[int, Packet]] = []
        self._needed_s: float | None = None
        self._cut_s: float | None = None

    def add(self, packet: Packet) -> None:
        """Take the stream's next packet."""
        number, picture = self._packets, self._kind == "video"
        # ffmpeg copies from the first key picture on.
        if picture and not number and not packet.key:
            return
        self._packets += 1
        if picture and packet.key:
            self._drop()
            if not packet.dropped:
                # Another part begins, so pictures shown without being played would lie within it.
                self._cut_s = self._cut_s or self._needed_s
        if packet.dropped:
            self._waiting.append((number, packet))
            return
        if self._waiting:
            self._resume(packet.at_s or 0.0, *self._waiting[0])
        self._played += 1

    def _resume(self, at_s: float, _: int, first: Packet) -> None:
        """Judge the packets in front of one that is played."""
        if self._kind != "video":
            if self._played or at_s - (first.at_s or 0.0) >= PRIMING_S:
                self._drop()
        elif self._played:
            self._needed_s = at_s
            if first.key:
                self._cut_s = self._cut_s or at_s
        self._waiting = []

    def _drop(self) -> None:
        if self._waiting:
            self._unplayed.append((self._waiting[0][0], self._waiting[-1][0]))
        self._waiting = []

    def timeline(self) -> StreamTimeline:
        self._drop()
        left_out = sum(last - first + 1 for first, last in self._unplayed)
        stay = self._packets - left_out
        return StreamTimeline(unplayed=tuple(self._unplayed), packets=stay, cut_s=self._cut_s)
