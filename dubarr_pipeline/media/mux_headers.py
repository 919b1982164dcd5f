"""Gives a muxed file what ffmpeg could not: languages, flags, tags, chapters, attachments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dubarr_pipeline import __version__
from dubarr_pipeline.errors import MediaToolError
from dubarr_pipeline.media.container_facts import ContainerFacts, StreamFacts
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
from dubarr_pipeline.media.mux_pass import dump_covers
from dubarr_pipeline.media.stream_plan import MARK, StreamPlan
from dubarr_pipeline.media.track_flags import TrackFlags

_IMAGE_TYPES = {"mjpeg": "image/jpeg", "png": "image/png", "bmp": "image/bmp", "gif": "image/gif"}
_IMAGE_SUFFIX = {"mjpeg": "jpg"}


@dataclass(frozen=True, slots=True)
class Finish:
    """What the headers of a result shall say.

    Attributes:
        source: the film's container; None for a file of new tracks alone.
        plan: where the film's streams went.
        flags: how each track of the result shall be seen.
        shift_us: how far the result's clock lies behind the source's.
    """

    source: ContainerFacts | None
    plan: StreamPlan
    flags: tuple[TrackFlags, ...]
    shift_us: int


def finish_headers(finish: Finish, result: MatroskaFile) -> None:
    """Write a result's headers, in one edit.

    Raises:
        MediaToolError, MissingRequirement: if mkvtoolnix cannot.
    """
    source = finish.source
    original = None
    if source and source.is_matroska:
        original = result.beside(source.path, "source.mkv")
    old = original.headers() if original else Headers((), ())
    matches = _counterparts(source, old) if source and original else {}
    origins = [matches.get(track.stream.index) for track in finish.plan.tracks]
    written = result.headers().tracks
    uids = [o.uid if o else w.uid for o, w in zip(origins, written, strict=False)]
    uids += [track.uid for track in written[len(origins) :]]
    edits = [
        *_track_edits(finish.flags, origins),
        *_tag_edits(finish.flags, uids, result, original),
        *_chapter_edits(finish, result, original),
        *_attachment_edits(finish, result, original, old),
    ]
    result.edit(edits)


def _track_edits(flags: Sequence[TrackFlags], origins: Sequence[HeaderTrack | None]) -> list[str]:
    edits: list[str] = []
    for number, track in enumerate(flags):
        edits += ["--edit", f"track:{number + 1}", *track.edits()]
        origin = origins[number] if number < len(origins) else None
        if origin:
            edits += restored_properties(origin)
    return edits


def _tag_edits(
    flags: Sequence[TrackFlags],
    uids: Sequence[int],
    result: MatroskaFile,
    original: MatroskaFile | None,
) -> list[str]:
    mark = {MARK.upper(): f"machine-made dub, dubarr {__version__}"}
    marks = {uid: mark for uid, track in zip(uids, flags, strict=True) if track.new}
    tags = mark_tags((original or result).read_xml("tags"), marks)
    return ["--tags", f"all:{result.write_xml(tags, 'all-tags.xml')}"] if len(tags) else []


def _chapter_edits(
    finish: Finish, result: MatroskaFile, original: MatroskaFile | None
) -> list[str]:
    if not finish.source or not finish.source.chapters:
        return []
    chapters = (original or result).read_xml("chapters")
    if chapters is None:
        return []
    shifted = shift_chapters(chapters, finish.shift_us)
    return ["--chapters", result.write_xml(shifted, "all-chapters.xml")]


def _attachment_edits(
    finish: Finish, result: MatroskaFile, original: MatroskaFile | None, old: Headers
) -> list[str]:
    if original:
        attachments, files = old.attachments, original.extract_attachments(old.attachments)
    elif finish.source:
        covers = finish.plan.covers
        attachments = tuple(_still(stream, number) for number, stream in enumerate(covers))
        files = dump_covers(finish.source, covers, result.folder)
    else:
        return []
    pairs = zip(attachments, files, strict=True)
    return [part for attachment, file in pairs for part in attachment_edits(attachment, file)]


def _still(stream: StreamFacts, number: int) -> HeaderAttachment:
    """Name a still picture as players look for it: ``cover.jpg``."""
    stem = f"cover_{number}" if number else "cover"
    name = f"{stem}.{_IMAGE_SUFFIX.get(stream.codec, stream.codec)}"
    return HeaderAttachment(0, 0, name, _IMAGE_TYPES.get(stream.codec, "image/x-unknown"), "")


def _counterparts(source: ContainerFacts, headers: Headers) -> dict[int, HeaderTrack]:
    """Match ffmpeg's streams with mkvtoolnix's tracks: the nth of a kind with the nth."""
    found: dict[int, HeaderTrack] = {}
    for kind in ("video", "audio", "subtitle"):
        streams = [s for s in source.streams if s.kind == kind and not s.is_cover]
        tracks = [t for t in headers.tracks if t.kind == kind]
        if len(streams) != len(tracks):
            seen = f"ffmpeg sees {len(streams)} {kind} streams, mkvtoolnix {len(tracks)}"
            raise MediaToolError(f"{source.path}: {seen}; the file is damaged, remux it first")
        found.update({s.index: t for s, t in zip(streams, tracks, strict=True)})
    return found
