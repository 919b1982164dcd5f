"""The one pass of ffmpeg over the source that writes the result and fingerprints what it read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from dubarr_pipeline.errors import MediaToolError, NotMuxable, VerificationError
from dubarr_pipeline.media.container import ffmpeg_graph as graph
from dubarr_pipeline.media.container.facts import ContainerFacts, StreamFacts
from dubarr_pipeline.media.container.ffmpeg import run
from dubarr_pipeline.media.container.timelines import StreamTimeline, Timelines
from dubarr_pipeline.media.container.transport_streams import TICKS_PER_S
from dubarr_pipeline.media.mux.packet_log import UNTIMED, PacketTrack, hashed, log_packets
from dubarr_pipeline.media.mux.proof import OFFSET_LIMIT_US, moved_us
from dubarr_pipeline.media.mux.stream_plan import Carried, StreamPlan

# AVI, and video from AVI in other containers, has only decoding times.
_READING: graph.Options = {"fflags": "+genpts"}
# Beside a second input ffmpeg reads each in a thread of its own, a packet at a time: the threads'
# turns cost as much as the copying.
_IN_TURN: graph.Options = {"thread_queue_size": 0}
_COPY: graph.Options = {"c": "copy", "copyinkf": None}
"""Packets before the first key picture too: a broadcast is cut anywhere."""
_REFUSED_CODEC = re.compile(
    r"No wav codec tag found for codec (\w+)|Raw RGB is not supported|codec (\w+) .*not supported"
)
_TRIAL_SHIFT_S = 10
_TRIAL_PACKETS = 50
# ffmpeg reserves what a long title takes: room for mkvpropedit in front of the film.
_ROOM_PER_TRACK = 48
_ROOM = 1200


@dataclass(frozen=True, slots=True)
class AddedFile:
    """A new track's own file, and where its time 0 lies on the source's playback clock."""

    facts: ContainerFacts
    carried: Carried
    offset_us: int


@dataclass(frozen=True, slots=True)
class MuxPass:
    """Inputs of one result, without a source one of new tracks alone.

    `moves` are the filters that move tracks, by their numbers in the result.
    """

    source: ContainerFacts | None
    plan: StreamPlan
    added: tuple[AddedFile, ...]
    timelines: Timelines = field(default_factory=Timelines)
    moves: tuple[tuple[int, str], ...] = ()

    @property
    def tracks(self) -> tuple[Carried, ...]:
        """The tracks in the result's order."""
        return (*self.plan.tracks, *(a.carried for a in self.added))

    @property
    def lines(self) -> Mapping[int, StreamTimeline]:
        """The timelines of copied streams, by the track's number."""
        return {
            number: self.timelines.line(track.stream.index)
            for number, track in enumerate(self.plan.tracks)
            if track.encoder == _COPY["c"]
        }

    @property
    def shifts(self) -> Mapping[int, str]:
        """Moves of copied streams, as `StreamTimeline.packet_shift`, by the track's number."""
        return {n: line.packet_shift() for n, line in self.lines.items() if line.steps}

    @property
    def keeps_clock(self) -> bool:
        """True if the result keeps the source's own clock, as linked Matroska files need."""
        return self.source is not None and self.source.is_matroska

    @property
    def duration_s(self) -> float:
        """The longest of all inputs, in seconds."""
        # Of edits no end is known.
        if self.timelines.end_s:
            return self.timelines.end_s
        files = [a.facts for a in self.added] + ([self.source] if self.source else [])
        return max((f.duration_s for f in files), default=0.0)


def write_and_log(
    work: MuxPass, result: Path, folder: Path, on_time: Callable[[float], None]
) -> dict[int, PacketTrack]:
    """Write the result's streams, and log the sources' packets in the same reading.

    The covers' packets follow the tracks' in the numbering of the log.

    Raises:
        NotMuxable: if Matroska has no place for a codec, or a stream begins too late to be seen.
        MediaToolError, MissingRequirement, DiskFull: as `ffmpeg.run`.
    """
    command = _command(work, result)
    try:
        read = log_packets(command, folder, on_time, side_data=_with_side_data(work))
        _check_timelines(work, read)
        return read
    except MediaToolError as error:
        refused = _REFUSED_CODEC.search(str(error))
        if work.source and "unknown timestamp" in str(error):
            raise NotMuxable(
                f"{work.source.path} has packets without a valid time (negative or missing):"
                " remux it first (mkvmerge -o film.mkv FILM), or set mux.container to 'mka'"
            ) from error
        if refused is None or work.source is None:
            raise
        codec = refused[1] or refused[2] or "raw RGB pictures in AVI"
        raise NotMuxable(
            f"{work.source.path}: Matroska has no place for {codec} ({refused[0]}): convert that"
            " stream first, or set mux.container to 'mka'"
        ) from error


def _check_timelines(work: MuxPass, read: dict[int, PacketTrack]) -> None:
    """See that ffmpeg moved and left out the packets that the timelines name."""
    for number, line in work.lines.items():
        stream, track = work.plan.tracks[number].stream, read[number]
        if line.unplayed and track.packets != line.packets:
            raise VerificationError(
                f"{stream.describe()}: its edits play {line.packets} packets, {track.packets} came"
                " out: set mux.container to 'mka'"
            )
        for packet, ticks in line.checkpoints() if stream.kind == "audio" else ():
            apart_us = track.time_us(packet) - ticks * 1_000_000 // TICKS_PER_S
            if abs(apart_us) > OFFSET_LIMIT_US:
                raise VerificationError(
                    f"{stream.describe()}: packet {packet} lies {apart_us / 1e6:+.3f} s off where"
                    " the clock jumps: cut the recording there, and dub the parts"
                )


def log_result(
    work: MuxPass, result: ContainerFacts, folder: Path, on_time: Callable[[float], None]
) -> dict[int, PacketTrack]:
    """Log the finished file's packets, numbered as `write_and_log` does; raises as it."""
    tracks = [s for s in result.streams if s.kind != "attachment" and not s.is_cover]
    covers = [s for s in result.streams if s.is_cover]
    file = graph.open_source(result.path, _READING)
    filters = {n: [t.result_filter] for n, t in enumerate(work.tracks)}
    links = [file.stream(s.index) for s in (*tracks, *covers)]
    log = hashed(links, {**_COPY, **_bitstream(filters)})
    command = graph.command(log, flags=["-copyts"])
    return log_packets(command, folder, on_time, side_data=_with_side_data(work))


def with_moves(work: MuxPass, folder: Path) -> MuxPass:
    """Name how each stream is moved in the mux: by its timeline, and to undo what ffmpeg does.

    ffmpeg 5.1 writes Opus's delay of 6.5 ms into the header but leaves the packets where they were,
    so that players start the sound early, again with every copy. The first packets of each such
    stream are copied for a trial and read back.
    """
    own = [(work.source.path, c.stream) for c in work.plan.tracks] if work.source else []
    added = [(a.facts.path, a.carried.stream) for a in work.added]
    moves: list[tuple[int, str]] = []
    for number, (path, stream) in enumerate([*own, *added]):
        shift, delay = work.shifts.get(number, ""), 0
        if stream.codec == "opus":
            delay = _moved_by_us(path, stream, folder / f"trial.{number}", "")
        if shift or abs(delay) > OFFSET_LIMIT_US:
            moves.append((number, _moving(f"{delay}/1000000+{shift or 0}", "SECOND")))
    if moves:
        second = _second(*added[0] if added else own[moves[0][0]], folder / "trial.second")
        moves = [(number, move.replace("SECOND", second)) for number, move in moves]
    return replace(work, moves=tuple(moves))


def _second(path: Path, stream: StreamFacts, folder: Path) -> str:
    """Return a second in the units of setts: versions count in the input's or the result's."""
    plain = _moved_by_us(path, stream, folder / "plain", "")
    later = _moved_by_us(path, stream, folder / "later", _moving("1", "1/TB"))
    return "1/TB" if abs(plain - later - 1_000_000) <= OFFSET_LIMIT_US else "1000"


def _moving(seconds: str, second: str) -> str:
    """Return the bitstream filter that moves packets; `second` is one in the filter's units."""
    return f"setts=pts='PTS+({seconds})*{second}':dts='DTS+({seconds})*{second}'"


def first_shift_us(source: dict[int, PacketTrack], result: Path, folder: Path) -> int:
    """Return how far the result's clock lies behind the source's, by the first timed packet."""
    for number, track in source.items():
        before = _first_time_us(track)
        if before is None:
            continue
        link = graph.open_source(result, _READING).stream(number)
        command = graph.command(hashed([link], {**_COPY, "frames:0": 1}), flags=["-copyts"])
        after = _first_time_us(log_packets(command, folder)[0])
        if after is not None:
            return after - before
    return 0


def dump_covers(source: ContainerFacts, covers: Sequence[StreamFacts], folder: Path) -> list[Path]:
    """Write still pictures out as files. Raises as `ffmpeg.run`."""
    files = [folder / f"cover.{stream.index}" for stream in covers]
    for stream, file in zip(covers, files, strict=True):
        link = graph.open_source(source.path).stream(stream.index)
        one: graph.Options = {**_COPY, "frames:v": 1, "f": "image2pipe"}
        run(graph.command(graph.output([link], file, one)))
    return files


def _moved_by_us(path: Path, stream: StreamFacts, folder: Path, undone: str) -> int:
    """Copy the first packets into Matroska; return how much earlier they lie there on average."""
    folder.mkdir(parents=True)
    trial = folder / "trial.mkv"
    some: graph.Options = {**_COPY, "frames:0": _TRIAL_PACKETS}
    later: graph.Options = {"output_ts_offset": _TRIAL_SHIFT_S, **_bitstream({0: [undone]})}
    link = graph.open_source(path).stream(stream.index)
    written = graph.output([link], trial, {**some, **later})
    command = graph.command(written, hashed([link], some), flags=["-y", "-copyts"])
    before = log_packets(command, folder / "before")[0]
    copied = hashed([graph.open_source(trial).stream(0)], _COPY)
    again = graph.command(copied, flags=["-copyts"])
    after = log_packets(again, folder / "after")[0]
    moved = moved_us(before, after)
    # Rounding to milliseconds moves single packets to and fro: the middle is what all share.
    return _TRIAL_SHIFT_S * 1_000_000 - sum(moved) // 2 if moved else 0


def _first_time_us(track: PacketTrack) -> int | None:
    for block in track.blocks():
        first = int(block["time_us"][0])
        return None if first == UNTIMED else first
    return None


def _with_side_data(work: MuxPass) -> frozenset[int]:
    """Return the tracks whose side data must be equal, too: one demuxer reads both files."""
    return frozenset(range(len(work.plan.tracks)) if work.keeps_clock else ())


def _command(work: MuxPass, result: Path) -> list[str]:
    """Return the pass with two outputs: the result, and the log of the sources' packets."""
    disguises = {f"c:{t.stream.index}": t.disguise for t in work.plan.tracks if t.disguise}
    reading = {**_READING, **_IN_TURN, **disguises}
    source = graph.open_source(work.source.path, reading) if work.source else None
    links = [source.stream(t.stream.index) for t in work.plan.tracks] if source else []
    covers = [source.stream(s.index) for s in work.plan.covers] if source else []
    # Without -copyts ffmpeg lets each input begin at 0; with it, each keeps its own times.
    start_us = work.source.start_us if work.source and work.keeps_clock else 0
    for added in work.added:
        offset = start_us + added.offset_us - (added.facts.start_us if work.keeps_clock else 0)
        late: graph.Options = {"itsoffset": f"{float(Fraction(offset, 1_000_000)):.6f}"}
        file = graph.open_source(added.facts.path, {**_IN_TURN, **late})
        links.append(file.stream(added.carried.stream.index))
    encoders = {f"c:{n}": t.encoder for n, t in enumerate(work.tracks) if t.encoder != _COPY["c"]}
    for number, track in enumerate(work.plan.tracks):
        line = work.timelines.line(track.stream.index)
        if line.steps and f"c:{number}" in encoders:
            # A damaged packet decodes to none: what is encoded is moved before that.
            encoders[f"filter:{number}"] = f"asetpts='{line.sound_filter()}'"
    own = len(work.plan.tracks)
    filters = {n: [t.source_filter] for n, t in enumerate(work.tracks)}
    moves = dict(work.moves)
    wrote = {n: [moves.get(n, "")] for n in moves}
    for number, line in work.lines.items():
        choice = line.packet_choice()
        wrote[number] = [choice, *wrote.get(number, ())]
        shift = _moving(work.shifts[number], "1/TB") if number in work.shifts else ""
        filters[number] = [choice, shift, *filters[number]]
    log = hashed([*links, *covers], {**_COPY, **encoders, **_bitstream(filters)})
    options = dict(_bitstream(wrote))
    room = "." * (_ROOM + _ROOM_PER_TRACK * len(work.tracks))
    for number in range(own, len(work.tracks)):
        options[f"disposition:{number}"] = 0
        options[f"metadata:s:{number}"] = f"title={room if number == own else '.'}"
    about: graph.Options = {"map_metadata": 0, "map_chapters": 0}
    options |= about if source else {"map_metadata": -1}
    options |= {"default_mode": "passthrough", "max_muxing_queue_size": 4096, "f": "matroska"}
    options["flush_packets"] = 0
    written = graph.output(links, result, {**_COPY, **encoders, **options})
    flags = ["-copyts"] if work.keeps_clock else work.timelines.reading_flags
    return graph.command(written, log, flags=["-y", *flags])


def _bitstream(filters: Mapping[int, Sequence[str]]) -> graph.Options:
    """Return the option for each output stream that bitstream filters go over."""
    return {
        f"bsf:{number}": ",".join(name for name in names if name)
        for number, names in filters.items()
        if any(names)
    }
