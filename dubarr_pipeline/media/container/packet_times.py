"""The timelines of a file's streams, from the times of all its packets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.clock import Clock
from dubarr_pipeline.media.container.edits import Cuts
from dubarr_pipeline.media.container.facts import ContainerFacts, read_facts
from dubarr_pipeline.media.container.mp4 import has_cuts
from dubarr_pipeline.media.container.timelines import Packet, Timelines
from dubarr_pipeline.media.container.transport_streams import BROADCASTS


def read_timelines(path: Path) -> Timelines:
    """Read the time stamps of a whole broadcast, or of an MP4 that its edit list cuts.

    Of other containers nothing is read. Raises as `ffmpeg.run`.
    """
    facts = read_facts(path)
    if facts.format_name in BROADCASTS:
        found = path.stat()
        return _read_clock(path, found.st_size, found.st_mtime_ns)
    return read_edits(facts)


def read_edits(facts: ContainerFacts) -> Timelines:
    """Read which packets the edit list of an MP4 or MOV plays, if it cuts. Raises as above."""
    if "mp4" not in facts.format_name:
        return Timelines()
    found = facts.path.stat()
    return _read_edits(facts.path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=8)
def _read_clock(path: Path, _size: int, _changed_ns: int) -> Timelines:
    clock = Clock(read_facts(path))
    for packet in _packets(path):
        clock.add(packet)
    return clock.timelines()


@lru_cache(maxsize=8)
def _read_edits(path: Path, _size: int, _changed_ns: int) -> Timelines:
    if not has_cuts(path):
        return Timelines()
    cuts = {s.index: Cuts(s.kind) for s in read_facts(path).streams}
    for packet in _packets(path):
        cuts[packet.stream].add(packet)
    return Timelines({index: found.timeline() for index, found in cuts.items()})


def _packets(path: Path) -> Iterator[Packet]:
    wanted = "packet=stream_index,pts_time,dts,duration,flags"
    arguments = ["-show_entries", wanted, "-of", "csv=p=0", *ffmpeg.source_arguments(path)]
    with ffmpeg.reader(arguments, tool="ffprobe") as pipe:
        for line in _lines(pipe):
            # Side data leave lines of their own.
            if len(fields := line.split(b",")) >= 5:
                stream, at, ticks, length, flags = fields[:5]
                yield Packet(
                    int(stream),
                    None if at == b"N/A" else float(at),
                    None if ticks == b"N/A" else int(ticks),
                    0 if length == b"N/A" else int(length),
                    b"K" in flags,
                    b"D" in flags,
                )


def _lines(pipe: ffmpeg.ToolPipe) -> Iterator[bytes]:
    rest = b""
    while block := pipe.read(1 << 20):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    yield rest
