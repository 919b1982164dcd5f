"""Puts dubbed tracks beside a film's own streams, and proves that the film's were not touched.

One pass of ffmpeg copies every stream and fingerprints what it reads; mkvtoolnix writes what ffmpeg
cannot (BCP-47 languages, editions, attachments); then the finished file is read back and compared
packet
by packet. Only what passed takes the destination's name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from dubarr_pipeline.errors import MediaToolError, SettingsError
from dubarr_pipeline.media import mux_pass
from dubarr_pipeline.media.container_facts import ContainerFacts, read_facts
from dubarr_pipeline.media.ffmpeg import run
from dubarr_pipeline.media.matroska_headers import MatroskaFile
from dubarr_pipeline.media.mux_check import FileChecks, check_file, check_new_tracks
from dubarr_pipeline.media.mux_headers import Finish, check_elements, finish_headers
from dubarr_pipeline.media.mux_options import DubSubtitle, DubTrack, MuxOptions, OnSeconds
from dubarr_pipeline.media.mux_pass import AddedFile, MuxPass
from dubarr_pipeline.media.packet_log import PacketTrack
from dubarr_pipeline.media.stream_plan import StreamPlan, carry, plan_streams
from dubarr_pipeline.media.stream_proof import (
    Expected,
    StreamProof,
    prove_streams,
    reference_us,
)
from dubarr_pipeline.media.track_flags import TrackFlags, track_flags
from dubarr_pipeline.workdir import whole_file

__all__ = [
    "Converted",
    "DubSubtitle",
    "DubTrack",
    "MuxOptions",
    "MuxReport",
    "StreamProof",
    "TrackFlags",
    "joined",
    "mux",
    "sidecar_path",
]

# The result is read back once after it was written; writing takes the larger part of the time.
_WRITING_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class Converted:
    """A source stream that did not move as it was, and what was done with it."""

    name: str
    source_index: int
    codec: str
    outcome: str


@dataclass(frozen=True, slots=True)
class MuxReport:
    """What the finished file holds, and how it was proven.

    Attributes:
        streams: one row for each stream of the result, in its order.
        converted: source streams that Matroska cannot hold as they are; each is named.
        flags: the flags of all tracks, as they were found in the result.
        checks: what was compared beside the packets.
        shift_s: how far the whole film moved on its clock (a container cannot begin before 0).
        max_offset_ms: the largest change of any stream's time against the picture.
        tools: the versions that made it.
    """

    streams: tuple[StreamProof, ...]
    converted: tuple[Converted, ...]
    flags: tuple[TrackFlags, ...]
    checks: FileChecks
    shift_s: float
    max_offset_ms: float
    tools: tuple[str, ...]


def mux(
    source: Path,
    tracks: Sequence[DubTrack],
    subtitles: Sequence[DubSubtitle],
    destination: Path,
    options: MuxOptions | None = None,
    on_progress: OnSeconds | None = None,
) -> MuxReport:
    """Write `destination`: every stream of `source` bit for bit, and the new tracks behind them.

    Args:
        source: the film; never changed.
        tracks: the dubbed tracks, in the order that players shall list them.
        subtitles: the dubbed texts; left away if the options say so.
        destination: the finished file; it appears whole, or stays as it was.
        options: see `MuxOptions`.
        on_progress: told the seconds of film done, and of how many.

    Raises:
        VerificationError: if the finished file is not what it must be; it names the stream.
        SettingsError, LanguageError: if an option does not fit the source.
        MediaToolError, MissingRequirement, DiskFull, NotWritable: if it cannot be made.
    """
    options = options or MuxOptions()
    wanted = tuple(subtitles) if options.subtitles else ()
    if options.container == "mka" and not tracks:
        raise SettingsError("a .mka file holds new tracks alone, and none was given")
    job = _Job(source, tuple(tracks), wanted, options)
    with whole_file(destination) as result:
        scratch = tempfile.TemporaryDirectory(prefix=".mux.", dir=destination.parent)
        with scratch as folder:
            return job.run(result, Path(folder), on_progress or _nobody)


def joined(reports: Sequence[MuxReport]) -> MuxReport:
    """Put the reports of files that lie beside a film into one; a single one stays as it is."""
    first, *others = reports
    return (
        replace(
            first,
            streams=tuple(row for report in reports for row in report.streams),
            flags=tuple(flags for report in reports for flags in report.flags),
            max_offset_ms=max(report.max_offset_ms for report in reports),
        )
        if others
        else first
    )


def _nobody(_done: float, _total: float) -> None:
    """Where nobody watches."""


def sidecar_path(source: Path, language: str, suffix: str = ".mka") -> Path:
    """Where players look for a track beside the film: ``Film.es.mka`` for ``Film.mkv``."""
    return source.with_name(f"{source.stem}.{language}{suffix}")


class _Job:
    """One mux, from what is asked to what was proven."""

    def __init__(
        self,
        source: Path,
        dubs: tuple[DubTrack, ...],
        subtitles: tuple[DubSubtitle, ...],
        options: MuxOptions,
    ) -> None:
        facts = read_facts(source)
        alone = options.container == "mka"
        self._source = None if alone else facts
        self._plan = _NO_STREAMS if alone else plan_streams(facts, replace_own=options.replace_own)
        if alone:
            options = replace(options, original_stream=None)
        self._added = (*map(_dub, dubs), *map(_subtitle, subtitles))
        originals = [carried.stream for carried in self._plan.tracks]
        self._flags = track_flags(originals, dubs, subtitles, options)
        new = self._flags[len(originals) :]
        self._expected = _expected(self._plan, self._added, [t.language or "" for t in new])

    def run(self, result: Path, folder: Path, on_progress: OnSeconds) -> MuxReport:
        """Write the file at `result`, with `folder` for scratch files, and prove it."""
        work = MuxPass(self._source, self._plan, self._added)
        work = mux_pass.with_codec_delays(work, folder)
        writing = _part(on_progress, work.duration_s, 0.0, _WRITING_SHARE)
        read = mux_pass.write_and_log(work, result, folder / "source", writing)
        shift_us = self._chapter_shift_us(read, result, folder / "first")
        finished = MatroskaFile(result, folder, "result.mkv")
        finish = Finish(self._source, self._plan, self._flags, shift_us)
        origins = finish_headers(finish, finished)
        facts = read_facts(result)
        proving = _part(on_progress, work.duration_s, _WRITING_SHARE, 1.0)
        written = mux_pass.log_result(work, facts, folder / "result", proving)
        headers = finished.headers()
        check_new_tracks(headers, self._flags)
        check_elements(finish, result, headers, origins)
        report = self._report(prove_streams(self._expected, read, written), facts)
        on_progress(work.duration_s, work.duration_s)
        return report

    def _chapter_shift_us(self, read: dict[int, PacketTrack], result: Path, folder: Path) -> int:
        """Ask how far the clock moved only where something must move with it."""
        if not self._source or not self._source.chapters:
            return 0
        return mux_pass.first_shift_us(read, result, folder)

    def _report(self, rows: tuple[StreamProof, ...], result: ContainerFacts) -> MuxReport:
        shift_us = reference_us(rows)
        checks = FileChecks(0, 0, 0, 0)
        if self._source:
            checks = check_file(self._source, self._plan.tracks, result, self._flags, shift_us)
        return MuxReport(
            streams=rows,
            converted=_converted(self._plan),
            flags=self._flags,
            checks=checks,
            shift_s=shift_us / 1e6,
            max_offset_ms=max((abs(row.offset_us) for row in rows), default=0) / 1000,
            tools=_tools(),
        )


_NO_STREAMS = StreamPlan((), (), (), ())


def _expected(
    plan: StreamPlan, added: Sequence[AddedFile], languages: Sequence[str]
) -> tuple[Expected, ...]:
    own = [
        Expected(c.stream.describe(), c.stream.index, c.stream.kind, c.stream.codec, c.proof)
        for c in plan.tracks
    ]
    new = [
        Expected(
            f"new track {a.facts.path.name} ({language})", None, s.kind, s.codec, a.carried.proof
        )
        for a, language in zip(added, languages, strict=True)
        for s in [a.carried.stream]
    ]
    covers = [
        Expected(s.describe(), s.index, "video", s.codec, "attachment", timed=False)
        for s in plan.covers
    ]
    return (*own, *new, *covers)


def _dub(track: DubTrack) -> AddedFile:
    return _added(track.path, "audio", round(track.offset_s * 1_000_000))


def _subtitle(subtitle: DubSubtitle) -> AddedFile:
    return _added(subtitle.path, "subtitle", 0)


def _added(path: Path, kind: str, offset_us: int) -> AddedFile:
    facts = read_facts(path)
    stream = next((s for s in facts.streams if s.kind == kind), None)
    if stream is None:
        raise MediaToolError(f"{path} holds no {kind} stream: it cannot be added to the film")
    return AddedFile(facts, carry(stream, facts.has_raw_framing), offset_us)


def _converted(plan: StreamPlan) -> tuple[Converted, ...]:
    changed = [
        Converted(c.stream.describe(), c.stream.index, c.stream.codec, f"became {c.encoder}")
        for c in plan.tracks
        if c.encoder != "copy"
    ]
    left = [
        Converted(o.stream.describe(), o.stream.index, o.stream.codec, f"left out: {o.reason}")
        for o in plan.left_out
    ]
    return (*changed, *left)


def _part(
    on_progress: OnSeconds, total_s: float, start: float, end: float
) -> Callable[[float], None]:
    """Show one of two readings of the film as its share of the whole."""

    def on_time(seconds: float) -> None:
        share = min(1.0, seconds / total_s) if total_s else 1.0
        on_progress(total_s * (start + share * (end - start)), total_s)

    return on_time


@cache
def _tools() -> tuple[str, ...]:
    ffmpeg = run(["-version"]).stdout.split(b"\n", 1)[0].decode()
    mkvtoolnix = run(["--version"], tool="mkvpropedit").stdout.decode().strip()
    return (" ".join(ffmpeg.split()[:3]), mkvtoolnix)
