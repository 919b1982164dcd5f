"""Timelines: how the packets of a stream differ from its playback, for ffmpeg's filters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dubarr_pipeline.media.container.transport_streams import TICKS_PER_S


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet as ffprobe shows it: times in the stream's units, or in seconds (`_s`)."""

    stream: int
    at_s: float | None
    ticks: int | None
    length: int = 0
    key: bool = True
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """Packet from which on a stream's time stamps are moved, by its number among the copied ones.

    Ticks: of the last time stamp before it and its own, since the file's start; to add from here.
    """

    packet: int
    before: int
    at: int
    add: int


@dataclass(frozen=True, slots=True)
class StreamTimeline:
    """Difference between the packets of a stream and its playback.

    Attributes:
        holes: where packets are missing, in seconds of playback.
        end_s: when it ends, in seconds of playback.
        unplayed: first and last numbers of packets that no edit plays, nor needs.
        packets: how many stay without them.
        cut_s: where an edit needs pictures that it does not play; None if it is nowhere.
    """

    steps: tuple[Step, ...] = ()
    holes: tuple[tuple[float, float], ...] = ()
    end_s: float = 0.0
    unplayed: tuple[tuple[int, int], ...] = ()
    packets: int = 0
    cut_s: float | None = None

    def packet_shift(self) -> str:
        """Return the seconds by which packets move, as an expression of setts; may be empty."""
        moved = self._sum("gte(N,{step.packet})")
        return f"({moved})/{TICKS_PER_S}" if moved else ""

    def packet_choice(self) -> str:
        """Return the bitstream filter that drops what is never played; may be empty."""
        ranges = "+".join(f"between(n,{first},{last})" for first, last in self.unplayed)
        return f"noise=amount=0:drop='{ranges}'" if ranges else ""

    def checkpoints(self) -> Iterator[tuple[int, int]]:
        """Yield packets around each step, with their ticks of playback."""
        moved = 0
        for step in self.steps:
            if step.packet:
                yield step.packet - 1, step.before + moved
            yield step.packet, step.at + step.add
            moved = step.add

    def sound_filter(self) -> str:
        """Return the same for decoded sound, as an expression of asetpts.

        Frames are not numbered as packets are: a step is passed where the time stamp jumps.
        """
        steps = [step for step in self.steps if step.packet]
        passed = [
            f"eq(ld(0),{number})*"
            + (
                f"gt(T,{(step.before + step.at) / 2 / TICKS_PER_S})"
                if step.at > step.before
                else f"lt(T,PREV_INT-{(step.before - step.at) / 2 / TICKS_PER_S})"
            )
            for number, step in enumerate(steps)
        ]
        first = len(self.steps) - len(steps)
        moved = self._sum("gte(ld(0),{number})", -first)
        return f"st(0,ld(0)+{'+'.join(passed) or 0});PTS+({moved})/{TICKS_PER_S}/TB"

    def _sum(self, reached: str, shift: int = 0) -> str:
        adds = [0, *(step.add for step in self.steps)]
        return "+".join(
            f"{reached.format(step=step, number=number + shift)}*({step.add - before})"
            for number, (step, before) in enumerate(zip(self.steps, adds, strict=False), 1)
        )


@dataclass(frozen=True, slots=True)
class Timelines:
    """The timelines of a broadcast's streams, by ffmpeg's numbers.

    `jumps` tell when they are met, in seconds of playback, and from where to where the clock jumps.
    """

    streams: Mapping[int, StreamTimeline] = field(default_factory=dict[int, StreamTimeline])
    jumps: tuple[tuple[float, float, float], ...] = ()

    def line(self, index: int) -> StreamTimeline:
        """Return the timeline of a stream; an empty one where its packets say it all."""
        return self.streams.get(index, StreamTimeline())

    @property
    def uneven(self) -> bool:
        """True if ffmpeg must not correct the time stamps by itself."""
        return bool(self.jumps) or any(line.holes for line in self.streams.values())

    @property
    def reading_flags(self) -> tuple[str, ...]:
        """Flags for a run of ffmpeg over such a file; its times begin at 0."""
        return ("-copyts", "-start_at_zero") if self.uneven else ()

    @property
    def end_s(self) -> float:
        """When the last stream ends, in seconds of playback."""
        return max((line.end_s for line in self.streams.values()), default=0.0)
