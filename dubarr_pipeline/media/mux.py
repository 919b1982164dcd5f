"""Puts dubbed tracks beside a film's own streams, and proves that the film's were not touched.

One pass of ffmpeg copies every stream and fingerprints what it reads; mkvtoolnix writes what ffmpeg
cannot (BCP-47 languages, editions, attachments); then the finished file is read back and compared packet
by packet. Only what passed takes the destination's name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline import __version__
from dubarr_pipeline.errors import MediaToolError, SettingsError
from dubarr_pipeline.media import mux_pass
from dubarr_pipeline.media.container_facts import ContainerFacts, read_facts
from dubarr_pipeline.media.ffmpeg import run
from dubarr_pipeline.media.matroska_headers import (
    HeaderAttachment,
    Headers,
    HeaderTrack,
    MatroskaFile,
    attachment_edits,
    mark_tags,
    restored_properties,
    shift_chapters,
)
from dubarr_pipeline.media.mux_check import FileChecks, check_file, check_new_tracks
from dubarr_pipeline.media.mux_options import DubSubtitle, DubTrack, MuxOptions, OnSeconds
from dubarr_pipeline.media.mux_pass import AddedFile, MuxPass
from dubarr_pipeline.media.packet_log import PacketTrack
from dubarr_pipeline.media.stream_plan import MARK, Carried, StreamPlan, plan_streams
from dubarr_pipeline.media.stream_proof import Expected, StreamProof, prove_streams
from dubarr_pipeline.media.track_flags import TrackFlags, track_flags
from dubarr_pipeline.workdir import whole_file

__all__ = ["DubSubtitle", "DubTrack", "MuxOptions", "MuxReport", "mux", "sidecar_path"]

# The result is read back once after it was written; writing takes the larger part of the time.
_WRITING_SHARE = 0.7
_IMAGE_TYPES = {"mjpeg": "image/jpeg", "png": "image/png", "bmp": "image/bmp", "gif": "image/gif"}
_IMAGE_SUFFIX = {"mjpeg": "jpg"}


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
    with whole_file(destination) as result:
        with tempfile.TemporaryDirectory(prefix=".mux.", dir=destination.parent) as name:
            job = _Job(source, tuple(tracks), wanted, options, Path(name), result)
            return job.run(on_progress or (lambda _done, _total: None))


def sidecar_path(source: Path, language: str, suffix: str = ".mka") -> Path:
    """Where players look for a track beside the film: ``Film.es.mka`` for ``Film.mkv``."""
    return source.with_name(f"{source.stem}.{language}{suffix}")


class _Job:
    """One mux from its inputs to its proof, in a scratch folder of its own."""

    def __init__(
        self,
        source: Path,
        dubs: tuple[DubTrack, ...],
        subtitles: tuple[DubSubtitle, ...],
        options: MuxOptions,
        folder: Path,
        result: Path,
    ) -> None:
        self._dubs = dubs
        self._subtitles = subtitles
        self._options = options
        self._folder = folder
        self._result = result
        self._source = read_facts(source)
        self._plan = _plan(self._source, options)
        self._originals = [c.stream for c in self._plan.tracks]
        self._flags = track_flags(self._originals, dubs, subtitles, options)

    def run(self, on_progress: OnSeconds) -> MuxReport:
        work = mux_pass.with_codec_delays(self._work(), self._folder)
        total_s = work.duration_s
        read = mux_pass.write_and_log(
            work,
            self._result,
            self._folder / "source",
            _part(on_progress, total_s, 0.0, _WRITING_SHARE),
        )
        shift_us = mux_pass.first_shift_us(read, self._result, self._folder / "first")
        self._finish_headers(shift_us)
        result = read_facts(self._result)
        written = mux_pass.log_result(
            work, result, self._folder / "result", _part(on_progress, total_s, _WRITING_SHARE, 1.0)
        )
        report = self._prove(work, read, written, result)
        on_progress(total_s, total_s)
        return report

    def _work(self) -> MuxPass:
        added = [_added(t.path, "audio", round(t.offset_s * 1_000_000)) for t in self._dubs] + [
            _added(s.path, "subtitle", 0) for s in self._subtitles
        ]
        alone = self._options.container == "mka"
        return MuxPass(None if alone else self._source, self._plan, tuple(added))

    def _finish_headers(self, shift_us: int) -> None:
        """Write what ffmpeg could not: properties, flags, languages, tags, chapters, attachments."""
        result = MatroskaFile(self._result, self._folder, "result.mkv")
        source = self._matroska_source()
        old = source.headers() if source else Headers((), ())
        new = result.headers()
        uids = [t.uid for t in new.tracks]
        edits: list[str] = []
        matches = _counterparts(self._source, old) if source else {}
        for number, flags in enumerate(self._flags):
            edits += ["--edit", f"track:{number + 1}", *flags.edits()]
            own = self._originals[number].index if number < len(self._originals) else None
            if own in matches:
                edits += restored_properties(matches[own])
                uids[number] = matches[own].uid
        edits += self._tag_edits(result, source, uids)
        edits += self._chapter_edits(result, source, shift_us)
        result.edit([*edits, *self._attachment_edits(source, old)])

    def _matroska_source(self) -> MatroskaFile | None:
        if self._source.is_matroska and self._options.container == "mkv":
            return MatroskaFile(self._source.path, self._folder, "source.mkv")
        return None

    def _tag_edits(
        self, result: MatroskaFile, source: MatroskaFile | None, uids: Sequence[int]
    ) -> list[str]:
        marks = {
            uids[number]: {MARK.upper(): f"machine-made dub, dubarr {__version__}"}
            for number, flags in enumerate(self._flags)
            if flags.new
        }
        tags = mark_tags((source or result).read_xml("tags"), marks)
        return ["--tags", f"all:{result.write_xml(tags, 'all-tags.xml')}"] if len(tags) else []

    def _chapter_edits(
        self, result: MatroskaFile, source: MatroskaFile | None, shift_us: int
    ) -> list[str]:
        if not self._source.chapters or self._options.container == "mka":
            return []
        chapters = (source or result).read_xml("chapters")
        if chapters is None:
            return []
        name = result.write_xml(shift_chapters(chapters, shift_us), "all-chapters.xml")
        return ["--chapters", name]

    def _attachment_edits(self, source: MatroskaFile | None, old: Headers) -> list[str]:
        if source:
            files = source.extract_attachments(old.attachments)
            found = list(zip(old.attachments, files, strict=True))
        else:
            covers = self._plan.covers
            files = mux_pass.dump_covers(self._source, covers, self._folder) if covers else []
            stills = [
                HeaderAttachment(0, 0, _cover_name(s.codec, n), _IMAGE_TYPES.get(s.codec, ""), "")
                for n, s in enumerate(covers)
            ]
            found = list(zip(stills, files, strict=True))
        return [part for attachment, file in found for part in attachment_edits(attachment, file)]

    def _prove(
        self,
        work: MuxPass,
        read: dict[int, PacketTrack],
        written: dict[int, PacketTrack],
        result: ContainerFacts,
    ) -> MuxReport:
        check_new_tracks(
            MatroskaFile(self._result, self._folder, "proof.mkv").headers(), self._flags
        )
        rows = prove_streams(self._expected(), read, written)
        shift_us = sum(rows[0].shift_us) // 2 if rows else 0
        checks = FileChecks(0, 0, 0, 0)
        if work.source:
            checks = check_file(work.source, self._plan.tracks, result, self._flags, shift_us)
        return MuxReport(
            streams=rows,
            converted=_converted(self._plan),
            flags=self._flags,
            checks=checks,
            shift_s=shift_us / 1e6,
            max_offset_ms=max((abs(r.offset_us) for r in rows), default=0) / 1000,
            tools=_tools(),
        )

    def _expected(self) -> list[Expected]:
        own = [
            Expected(c.stream.describe(), c.stream.index, c.stream.kind, c.stream.codec, c.proof)
            for c in self._plan.tracks
        ]
        added = [
            Expected(f"new track {a.path.name} ({a.language})", None, kind, "")
            for kind, group in (("audio", self._dubs), ("subtitle", self._subtitles))
            for a in group
        ]
        covers = [
            Expected(s.describe(), s.index, "video", s.codec, "attachment", timed=False)
            for s in self._plan.covers
        ]
        return [*own, *added, *covers]


def _plan(source: ContainerFacts, options: MuxOptions) -> StreamPlan:
    if options.container == "mka":
        return StreamPlan((), (), (), ())
    return plan_streams(source, replace_own=options.replace_own)


def _added(path: Path, kind: str, offset_us: int) -> AddedFile:
    facts = read_facts(path)
    for stream in facts.streams:
        if stream.kind == kind:
            raw = facts.has_raw_framing and stream.codec == "aac"
            carried = Carried(stream, source_filter="aac_adtstoasc" if raw else "")
            return AddedFile(facts, carried, offset_us)
    raise MediaToolError(f"{path} holds no {kind} stream: it cannot be added to the film")


def _counterparts(source: ContainerFacts, headers: Headers) -> dict[int, HeaderTrack]:
    """Match ffmpeg's streams with mkvtoolnix's tracks: the nth of a kind is the nth of that kind."""
    found: dict[int, HeaderTrack] = {}
    for kind in ("video", "audio", "subtitle"):
        streams = [s for s in source.streams if s.kind == kind and not s.is_cover]
        tracks = [t for t in headers.tracks if t.kind == kind]
        if len(streams) != len(tracks):
            raise MediaToolError(
                f"{source.path}: ffmpeg sees {len(streams)} {kind} streams, mkvtoolnix {len(tracks)}"
            )
        found.update({s.index: t for s, t in zip(streams, tracks, strict=True)})
    return found


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


def _cover_name(codec: str, number: int) -> str:
    stem = "cover" if not number else f"cover_{number}"
    return f"{stem}.{_IMAGE_SUFFIX.get(codec, codec)}"


def _part(
    on_progress: OnSeconds, total_s: float, start: float, end: float
) -> Callable[[float], None]:
    """Show one of two readings of the film as its share of the whole."""

    def on_time(seconds: float) -> None:
        share = min(1.0, seconds / total_s) if total_s else 1.0
        on_progress(total_s * (start + share * (end - start)), total_s)

    return on_time


def _tools() -> tuple[str, ...]:
    ffmpeg = run(["-version"]).stdout.split(b"\n", 1)[0].decode()
    mkvtoolnix = run(["--version"], tool="mkvpropedit").stdout.decode().strip()
    return (" ".join(ffmpeg.split()[:3]), mkvtoolnix)
