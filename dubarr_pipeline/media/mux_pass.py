"""The one pass of ffmpeg over the source that writes the result and fingerprints what it read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from dubarr_pipeline.errors import MediaToolError, NotMuxable
from dubarr_pipeline.media.container_facts import ContainerFacts, StreamFacts
from dubarr_pipeline.media.ffmpeg import file_url, run, source_arguments
from dubarr_pipeline.media.packet_log import HASH_OUTPUT, UNTIMED, PacketTrack, log_packets
from dubarr_pipeline.media.stream_plan import Carried, StreamPlan, per_track
from dubarr_pipeline.media.stream_proof import OFFSET_LIMIT_US, moved_us

# AVI, and video from AVI in other containers, has only decoding times.
_READING = ("-fflags", "+genpts")
_REFUSED_CODEC = re.compile(
    r"No wav codec tag found for codec (\w+)|Raw RGB is not supported|codec (\w+) .*not supported"
)
_TRIAL_SHIFT_S = 10
_TRIAL_PACKETS = "50"
# ffmpeg reserves what a long title takes; mkvpropedit then finds room for languages in front of
# the film.
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
    """All that goes into one result.

    Attributes:
        source: None for a file that holds new tracks alone.
        delays: by the track's number in the result, the filter that undoes how this ffmpeg moves
        it.
    """

    source: ContainerFacts | None
    plan: StreamPlan
    added: tuple[AddedFile, ...]
    delays: tuple[tuple[int, str], ...] = ()

    @property
    def tracks(self) -> tuple[Carried, ...]:
        """The tracks in the result's order."""
        return (*self.plan.tracks, *(a.carried for a in self.added))

    @property
    def duration_s(self) -> float:
        """The longest of all inputs, in seconds."""
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
    command = [*_inputs(work), *_result_output(work, result), *_log_output(work)]
    try:
        return log_packets(command, folder, on_time, side_data=_with_side_data(work))
    except MediaToolError as error:
        refused = _REFUSED_CODEC.search(str(error))
        if work.source and "unknown timestamp" in str(error):
            raise NotMuxable(
                f"{work.source.path} has packets whose time cannot be told (negative, or none):"
                " remux it first (mkvmerge -o film.mkv FILM), or set mux.container to 'mka'"
            ) from error
        if refused is None or work.source is None:
            raise
        codec = refused[1] or refused[2] or "raw RGB pictures in AVI"
        raise NotMuxable(
            f"{work.source.path}: Matroska has no place for {codec} ({refused[0]}): convert that"
            " stream first, or set mux.container to 'mka'"
        ) from error


def log_result(
    work: MuxPass, result: ContainerFacts, folder: Path, on_time: Callable[[float], None]
) -> dict[int, PacketTrack]:
    """Log the finished file's packets, numbered as `write_and_log` does; raises as it."""
    tracks = [s for s in result.streams if s.kind != "attachment" and not s.is_cover]
    covers = [s for s in result.streams if s.is_cover]
    maps = [part for s in (*tracks, *covers) for part in ("-map", f"0:{s.index}")]
    options = per_track(work.tracks, lambda t: t.result_filter, encode=False)
    command = ["-copyts", *_READING, *source_arguments(result.path), *maps, *options, *HASH_OUTPUT]
    return log_packets(command, folder, on_time, side_data=_with_side_data(work))


def with_codec_delays(work: MuxPass, folder: Path) -> MuxPass:
    """Measure how far this ffmpeg moves each Opus stream that it copies, to undo it in the mux.

    ffmpeg 5.1 writes Opus's delay of 6.5 ms into the track's header but leaves the packets where
    they
    were, so that players start the sound 6.5 ms early, again with every copy. Later versions do
    not.
    The first packet of each such stream is copied for a trial and read back.
    """
    delays: list[tuple[int, str]] = []
    for number, (path, stream) in enumerate(_origins(work)):
        if stream.codec == "opus":
            undone = _undo_delay(path, stream, folder / f"trial.{number}")
            delays += [(number, undone)] if undone else []
    return replace(work, delays=tuple(delays))


def first_shift_us(source: dict[int, PacketTrack], result: Path, folder: Path) -> int:
    """Return how far the result's clock lies behind the source's, by the first timed packet."""
    for number, track in source.items():
        before = _first_time_us(track)
        if before is None:
            continue
        first = ["-map", f"0:{number}", "-c", "copy", "-frames:0", "1"]
        command = ["-copyts", *_READING, *source_arguments(result), *first, *HASH_OUTPUT]
        after = _first_time_us(log_packets(command, folder, _nobody)[0])
        if after is not None:
            return after - before
    return 0


def dump_covers(source: ContainerFacts, covers: Sequence[StreamFacts], folder: Path) -> list[Path]:
    """Write still pictures out as files. Raises as `ffmpeg.run`."""
    files = [folder / f"cover.{stream.index}" for stream in covers]
    for stream, file in zip(covers, files, strict=True):
        one = ["-map", f"0:{stream.index}", "-c", "copy", "-frames:v", "1", "-f", "image2pipe"]
        run([*source_arguments(source.path), *one, file_url(file)])
    return files


def _origins(work: MuxPass) -> list[tuple[Path, StreamFacts]]:
    own = [(work.source.path, c.stream) for c in work.plan.tracks] if work.source else []
    return [*own, *((a.facts.path, a.carried.stream) for a in work.added)]


def _undo_delay(path: Path, stream: StreamFacts, folder: Path) -> str:
    """Return the filter under which a copied stream keeps its time; empty for none."""
    moved = _moved_by_us(path, stream, folder / "plain", "")
    if abs(moved) <= OFFSET_LIMIT_US:
        return ""
    # Whether the filter counts in the input's units or in the result's differs between versions.
    for number, units in enumerate((f"{moved}/1000000/TB", str((moved + 500) // 1000))):
        undone = f"setts=pts=PTS+{units}:dts=DTS+{units}"
        if abs(_moved_by_us(path, stream, folder / str(number), undone)) <= OFFSET_LIMIT_US:
            return undone
    return ""


def _moved_by_us(path: Path, stream: StreamFacts, folder: Path, undone: str) -> int:
    """Copy the first packets into Matroska; return how much earlier they lie there on average."""
    folder.mkdir(parents=True)
    trial = folder / "trial.mkv"
    some = ["-map", f"0:{stream.index}", "-c", "copy", "-frames:0", _TRIAL_PACKETS]
    filtered = ["-bsf:0", undone] if undone else []
    later = ["-output_ts_offset", str(_TRIAL_SHIFT_S)]
    written = [*some, *filtered, *later, file_url(trial)]
    command = ["-y", "-copyts", *source_arguments(path), *written, *some, *HASH_OUTPUT]
    before = log_packets(command, folder / "before", _nobody)[0]
    again = ["-copyts", *source_arguments(trial), "-map", "0", "-c", "copy", *HASH_OUTPUT]
    after = log_packets(again, folder / "after", _nobody)[0]
    moved = moved_us(before, after)
    # Rounding to milliseconds moves single packets to and fro: the middle is what all share.
    return _TRIAL_SHIFT_S * 1_000_000 - sum(moved) // 2 if moved else 0


def _nobody(_: float) -> None:
    """Where nobody watches."""


def _first_time_us(track: PacketTrack) -> int | None:
    for block in track.blocks():
        first = int(block["time_us"][0])
        return None if first == UNTIMED else first
    return None


def _with_side_data(work: MuxPass) -> frozenset[int]:
    """The tracks whose side data must be equal too: where one demuxer reads both files."""
    same = work.source is not None and work.source.is_matroska
    return frozenset(range(len(work.plan.tracks)) if same else ())


def _keeps_clock(work: MuxPass) -> bool:
    """Whether the result keeps the source's own clock, as linked Matroska files need it."""
    return work.source is not None and work.source.is_matroska


def _inputs(work: MuxPass) -> list[str]:
    command = ["-y"]
    start_us = 0
    if work.source:
        if _keeps_clock(work):
            command += ["-copyts"]
            start_us = work.source.start_us
        command += [*_READING, *source_arguments(work.source.path)]
    for added in work.added:
        # Without -copyts ffmpeg lets each input begin at 0; with it, each keeps its own times.
        offset = start_us + added.offset_us - (added.facts.start_us if _keeps_clock(work) else 0)
        command += ["-itsoffset", _seconds(offset), *source_arguments(added.facts.path)]
    return command


def _maps(work: MuxPass) -> list[str]:
    maps = [f"0:{track.stream.index}" for track in work.plan.tracks]
    first = 1 if work.source else 0
    maps += [f"{first + n}:{a.carried.stream.index}" for n, a in enumerate(work.added)]
    return [part for one in maps for part in ("-map", one)]


def _result_output(work: MuxPass, result: Path) -> list[str]:
    options = per_track(work.tracks, lambda _: "", encode=True)
    for number, undone in work.delays:
        options += [f"-bsf:{number}", undone]
    room = "." * (_ROOM + _ROOM_PER_TRACK * len(work.tracks))
    own = len(work.plan.tracks)
    for number in range(own, len(work.tracks)):
        flags = [f"-disposition:{number}", "0"]
        options += [*flags, f"-metadata:s:{number}", f"title={room if number == own else '.'}"]
    info = ["-map_metadata", "0", "-map_chapters", "0"] if work.source else ["-map_metadata", "-1"]
    writing = ["-default_mode", "passthrough", "-max_muxing_queue_size", "4096", "-f", "matroska"]
    return [*_maps(work), *options, *info, *writing, file_url(result)]


def _log_output(work: MuxPass) -> list[str]:
    options = per_track(work.tracks, lambda t: t.source_filter, encode=True)
    covers = [part for s in work.plan.covers for part in ("-map", f"0:{s.index}")]
    return [*_maps(work), *covers, *options, *HASH_OUTPUT]


def _seconds(microseconds: int) -> str:
    return f"{float(Fraction(microseconds, 1_000_000)):.6f}"
