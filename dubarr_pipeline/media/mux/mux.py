"""Dubbed tracks added to a film's own streams, with proof that those were not touched.

One pass of ffmpeg copies every stream and fingerprints what it reads; mkvtoolnix writes what ffmpeg
cannot; then the finished file is read back and compared packet by packet.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from dubarr_pipeline.errors import MediaToolError, SettingsError
from dubarr_pipeline.files import whole_file
from dubarr_pipeline.media.container.facts import ContainerFacts, bare_facts, read_facts
from dubarr_pipeline.media.container.ffmpeg import run
from dubarr_pipeline.media.container.matroska_headers import MatroskaFile, header_tracks
from dubarr_pipeline.media.container.packet_times import read_timelines
from dubarr_pipeline.media.container.timelines import Timelines
from dubarr_pipeline.media.mux import copy_pass
from dubarr_pipeline.media.mux.copy_pass import AddedFile, MuxPass
from dubarr_pipeline.media.mux.headers import Finish, check_elements, finish_headers
from dubarr_pipeline.media.mux.options import DubSubtitle, DubTrack, MuxOptions
from dubarr_pipeline.media.mux.proof import (
    Expected,
    FileChecks,
    StreamProof,
    check_file,
    check_new_tracks,
    prove_streams,
    reference_us,
)
from dubarr_pipeline.media.mux.stream_plan import StreamPlan, carry, plan_streams
from dubarr_pipeline.media.mux.track_flags import TrackFlags, track_flags
from dubarr_pipeline.progress import OnSeconds

# The result is read back once after it was written; writing takes the larger part of the time.
_WRITING_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class Converted:
    """A source stream that was not copied as it is, and its conversion."""

    name: str
    source_index: int
    codec: str
    outcome: str


@dataclass(frozen=True, slots=True)
class MuxReport:
    """Contents of the finished file, and their proof.

    Attributes:
        streams: one row for each stream of the result, in its order.
        converted: source streams that Matroska cannot hold as they are; each is named.
        shift_s: how far the whole film moved on its clock (a container cannot begin before 0).
        max_offset_ms: the largest change of any stream's time against the picture.
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

    Players list the dubbed tracks in their order. `destination` appears whole, or stays as it was.

    Raises:
        VerificationError: if the finished file is not what it must be; it names the stream.
        SettingsError, LanguageError: if an option does not fit the source.
        MediaToolError, MissingRequirement, DiskFull, NotWritable: if it cannot be made.
    """
    options = options or MuxOptions()
    wanted = tuple(subtitles) if options.subtitles else ()
    if options.container == "mka" and not tracks:
        raise SettingsError("a .mka file holds new tracks alone, and none was given")
    job = _MuxJob(source, tuple(tracks), wanted, options)
    with (
        whole_file(destination) as result,
        tempfile.TemporaryDirectory(prefix=".mux.", dir=destination.parent) as folder,
    ):
        return job.run(result, Path(folder), on_progress or (lambda *_: None))


def joined(reports: Sequence[MuxReport]) -> MuxReport:
    """Put the reports of files that lie beside a film into one; a single one stays as it is."""
    return replace(
        reports[0],
        streams=tuple(row for report in reports for row in report.streams),
        flags=tuple(flags for report in reports for flags in report.flags),
        max_offset_ms=max(report.max_offset_ms for report in reports),
    )


class _MuxJob:
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
        if alone:
            self._source, self._plan = None, StreamPlan((), (), (), ())
            options = replace(options, original_stream=None)
        else:
            self._source = facts
            self._plan = plan_streams(facts, options)
        self._added = (
            *(_added(t.path, "audio", round(t.offset_s * 1_000_000), facts) for t in dubs),
            *(_added(s.path, "subtitle", 0, facts) for s in subtitles),
        )
        originals = [carried.stream for carried in self._plan.tracks]
        self._flags = track_flags(originals, dubs, subtitles, options)
        new = self._flags[len(originals) :]
        self._expected = _expected(self._plan, self._added, [t.language or "" for t in new])

    def run(self, result: Path, folder: Path, on_progress: OnSeconds) -> MuxReport:
        """Write the file at `result`, with `folder` for scratch files, and prove it."""
        lines = read_timelines(self._source.path) if self._source else Timelines()
        work = MuxPass(self._source, self._plan, self._added, lines)
        work = copy_pass.with_moves(work, folder)
        writing = _part(on_progress, work.duration_s, 0.0, _WRITING_SHARE)
        read = copy_pass.write_and_log(work, result, folder / "source", writing)
        # Only chapters must move with the clock.
        moves = self._source and self._source.chapters
        shift_us = copy_pass.first_shift_us(read, result, folder / "first") if moves else 0
        finished = MatroskaFile(result, folder, "result.mkv")
        finish = Finish(self._source, self._plan, self._flags, shift_us)
        origins = finish_headers(finish, finished)
        facts = read_facts(result)
        proving = _part(on_progress, work.duration_s, _WRITING_SHARE, 1.0)
        written = copy_pass.log_result(work, facts, folder / "result", proving)
        tracks = header_tracks(result)
        check_new_tracks(tracks, facts, self._expected, self._flags)
        check_elements(finish, result, tracks, origins)
        report = self._report(prove_streams(self._expected, read, written), facts)
        on_progress(work.duration_s, work.duration_s)
        return report

    def _report(self, rows: tuple[StreamProof, ...], result: ContainerFacts) -> MuxReport:
        shift_us = reference_us(rows)
        checks = FileChecks(0, 0, 0, 0)
        if self._source:
            checks = check_file(self._source, self._plan.tracks, result, self._flags, shift_us)
        changed = [
            *((c.stream, f"became {c.encoder}") for c in self._plan.tracks if c.encoder != "copy"),
            *((o.stream, f"left out: {o.reason}") for o in self._plan.left_out),
        ]
        return MuxReport(
            streams=rows,
            converted=tuple(
                Converted(s.describe(), s.index, s.codec, outcome) for s, outcome in changed
            ),
            flags=self._flags,
            checks=checks,
            shift_s=shift_us / 1e6,
            max_offset_ms=max((abs(row.offset_us) for row in rows), default=0) / 1000,
            tools=(result.read_by, _mkvtoolnix()),
        )


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


def _added(path: Path, kind: str, offset_us: int, film: ContainerFacts) -> AddedFile:
    facts = bare_facts(path, film.duration_s) or read_facts(path)
    stream = next((s for s in facts.streams if s.kind == kind), None)
    if stream is None:
        raise MediaToolError(f"{path} holds no {kind} stream: it cannot be added to the film")
    return AddedFile(facts, carry(stream, facts.has_raw_framing), offset_us)


def _part(
    on_progress: OnSeconds, total_s: float, start: float, end: float
) -> Callable[[float], None]:
    """Show one of two readings of the film as its share of the whole."""

    def on_time(seconds: float) -> None:
        share = min(1.0, seconds / total_s) if total_s else 1.0
        on_progress(total_s * (start + share * (end - start)), total_s)

    return on_time


@cache
def _mkvtoolnix() -> str:
    return run(["--version"], tool="mkvpropedit").stdout.decode().strip()
