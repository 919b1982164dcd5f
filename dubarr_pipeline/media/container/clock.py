"""The clock of a broadcast, which jumps where a break was cut out or recordings were joined.

ffmpeg closes such jumps stream by stream: that moves sound away from its picture where one of them
has a hole. Here a jump is closed once for all streams, without an overlap; a hole stays a hole.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from dubarr_pipeline.media.container.facts import ContainerFacts
from dubarr_pipeline.media.container.timelines import Packet, Step, StreamTimeline, Timelines
from dubarr_pipeline.media.container.transport_streams import TICKS_PER_S

_NEAR = 10 * TICKS_PER_S
"""Streams of one clock are muxed closer than this; ffmpeg's own limit for a jump."""
_BACK = TICKS_PER_S // 10
"""Step back that no stream makes by itself; ffmpeg's limit, too."""
_HOLE = TICKS_PER_S
_MS = TICKS_PER_S // 1000
_WRAP = 1 << 33
_TIMED = ("video", "audio")


@dataclass(frozen=True, slots=True)
class _Change:
    """A stream's change to another stretch of the clock."""

    packet: int
    old: int
    new: int
    last: int | None
    end: int
    at: int


@dataclass(slots=True)
class _Track:
    kind: str
    packets: int = 0
    stretch: int = 0
    last: int | None = None
    end: int = 0
    wrapped: int = 0
    changes: list[_Change] = field(default_factory=list[_Change])
    holes: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])


class Clock:
    """Stretches between jumps, found packet by packet."""

    def __init__(self, facts: ContainerFacts) -> None:
        self._start = round(facts.start_us * TICKS_PER_S / 1_000_000)
        self._tracks = {s.index: _Track(s.kind) for s in facts.streams}
        # How far each stretch is moved, and the latest time so far, moved.
        self._moved = [0]
        self._head: int | None = None

    def add(self, packet: Packet) -> None:
        """Take the next packet of the file."""
        track, ticks = self._tracks.get(packet.stream), packet.ticks
        # ffmpeg copies from the first key picture on.
        if track is None or (track.kind == "video" and not track.packets and not packet.key):
            return
        number, track.packets = track.packets, track.packets + 1
        if ticks is None:
            return
        stretch = self._stretch(track, ticks)
        if track.last is None and ticks - self._start > _WRAP // 2:
            # ffmpeg takes a stream that begins so late for one that wrapped.
            track.wrapped = _WRAP
        if stretch != track.stretch or (track.last is None and track.wrapped):
            change = _Change(number, track.stretch, stretch, track.last, track.end, ticks)
            track.changes.append(change)
        elif track.last is not None and ticks - track.end > _HOLE:
            track.holes.append((stretch, track.end, ticks))
        track.stretch, track.last, track.end = stretch, ticks, ticks + packet.length
        if track.kind in _TIMED:
            self._head = max(self._head or 0, track.end + self._moved[stretch])

    def _stretch(self, track: _Track, ticks: int) -> int:
        """Return the stretch in which a packet continues its stream; a new one if there is none."""
        latest = len(self._moved) - 1
        head = ticks if self._head is None else self._head
        due, least, own = head, None, latest
        if track.last is not None:
            own = track.stretch
            due, least = track.end + self._moved[own], track.last + self._moved[own] - _BACK
            # The end of a stream may lie in the file behind what others play later.
            if abs(ticks - track.end) < _HOLE:
                head = due
        fitting = [
            (abs(at - max(due, head - _HOLE)), stretch)
            for stretch in {own, latest}
            for at in [ticks + self._moved[stretch]]
            if abs(at - head) < _NEAR and (least is None or at > least)
        ]
        if fitting:
            return min(fitting)[1]
        if track.kind in _TIMED:
            self._moved.append((self._head or 0) - ticks)
        return len(self._moved) - 1

    def timelines(self) -> Timelines:
        changes: dict[int, list[_Change]] = defaultdict(list)
        for track in self._tracks.values():
            for change in track.changes:
                changes[change.new].append(change)
        moved = [0]
        for new in range(1, len(self._moved)):
            ends = [
                moved[c.old] + c.end - c.at
                for track in self._tracks.values()
                if track.kind in _TIMED
                for c in track.changes
                if c.new == new and c.last is not None and c.old < new
            ]
            least = max(ends, default=moved[-1] + self._moved[new] - self._moved[new - 1])
            # Whole milliseconds, Matroska's unit, so that times are rounded once.
            moved.append(-(-least // _MS) * _MS)
        return Timelines(
            {index: self._line(track, moved) for index, track in self._tracks.items()},
            tuple(
                (
                    self._s(met.at + moved[new]),
                    last % _WRAP / TICKS_PER_S,
                    met.at % _WRAP / TICKS_PER_S,
                )
                for new, found in sorted(changes.items())
                for met in [min(found, key=lambda change: change.at)]
                for last in [met.at if met.last is None else met.end]
            ),
        )

    def _line(self, track: _Track, moved: list[int]) -> StreamTimeline:
        return StreamTimeline(
            tuple(
                Step(c.packet, last - start, c.at - start, moved[c.new] + track.wrapped)
                for c in track.changes
                for start, last in [(self._start, c.at if c.last is None else c.last)]
            ),
            tuple(
                (self._s(end + moved[stretch]), self._s(at + moved[stretch]))
                for stretch, end, at in track.holes
            ),
            self._s(track.end + moved[track.stretch]) if track.last is not None else 0.0,
        )

    def _s(self, ticks: int) -> float:
        return (ticks - self._start) / TICKS_PER_S
