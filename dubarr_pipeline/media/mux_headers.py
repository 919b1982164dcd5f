"""Gives a muxed file what ffmpeg could not: languages, flags, tags, chapters, attachments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline import __version__
from dubarr_pipeline.errors import NotMuxable, VerificationError
from dubarr_pipeline.media.container_facts import ContainerFacts, StreamFacts
from dubarr_pipeline.media.matroska_elements import (
    SEGMENT,
    TRACK,
    differences,
    losses,
    read_elements,
    restoring_edits,
)
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


Origins = tuple[HeaderTrack | None, ...]
"""For each copied track the source's, as mkvtoolnix sees it; None where it reads no source."""


def finish_headers(finish: Finish, result: MatroskaFile) -> Origins:
    """Write a result's headers, in one edit; return where its tracks come from.

    Raises:
        MediaToolError, MissingRequirement: if mkvtoolnix cannot.
        NotMuxable: if the source's headers hold what nothing can restore.
    """
    source = finish.source
    original = None
    if source and source.is_matroska:
        original = result.beside(source.path, "source.mkv")
    old = original.headers() if original else Headers((), ())
    matches = _counterparts(source, old) if source and original else {}
    origins = tuple(matches.get(track.stream.index) for track in finish.plan.tracks)
    written = result.headers().tracks
    uids = [o.uid if o else w.uid for o, w in zip(origins, written, strict=False)]
    uids += [track.uid for track in written[len(origins) :]]
    edits = [
        *_element_edits(finish, result.path, origins),
        *_turning_edits(finish.plan),
        *_track_edits(finish.flags, origins),
        *_tag_edits(finish.flags, uids, result, original),
        *_chapter_edits(finish, result, original),
        *_attachment_edits(finish, result, original, old),
    ]
    result.edit(edits)
    return origins


def _element_edits(
    finish: Finish, result: Path, origins: Sequence[HeaderTrack | None]
) -> list[str]:
    """Restore what ffmpeg dropped from the headers, or refuse the film for what stays lost."""
    if not finish.source or not finish.source.is_matroska:
        return []
    (old, old_tracks), (new, new_tracks) = map(read_elements, (finish.source.path, result))
    lost = list(losses(old, new))
    changes = restoring_edits(old, new, SEGMENT)
    edits = ["--edit", "info", *changes] if changes else []
    for number, origin in enumerate(origins):
        if origin is None:
            continue
        was, became = old_tracks[origin.number - 1], new_tracks[number]
        changes = restoring_edits(was, became, TRACK)
        edits += ["--edit", f"track:{number + 1}", *changes] if changes else []
        lost += [f"{name} in track {origin.number}" for name in losses(was, became)]
    if lost:
        raise NotMuxable(
            f"{finish.source.path} holds {', '.join(lost)}, which would be lost: set mux.container"
            " to 'mka', so that the new tracks lie beside the film"
        )
    return edits


def _turning_edits(plan: StreamPlan) -> list[str]:
    """Have players turn the picture as MP4 says it: Matroska calls that the projection's roll."""
    return [
        part
        for number, track in enumerate(plan.tracks, 1)
        if track.stream.turned_deg
        for part in (
            *("--edit", f"track:{number}", "--set", "projection-type=0"),
            *("--set", f"projection-pose-roll={track.stream.turned_deg}"),
        )
    ]


def check_elements(finish: Finish, result: Path, headers: Headers, origins: Origins) -> None:
    """See that the result's headers say of the source's tracks what the source says.

    Raises:
        VerificationError: naming the track and the element.
    """
    if finish.source and finish.source.is_matroska:
        _check_restored(finish.source, result, origins)
    for track, found in zip(finish.plan.tracks, headers.tracks, strict=False):
        roll = found.properties.get("projection_pose_roll", 0.0)
        if track.stream.turned_deg and roll != track.stream.turned_deg:
            raise VerificationError(
                f"{track.stream.describe()} is shown turned by {track.stream.turned_deg} degrees,"
                f" {roll} in the muxed file"
            )


def _check_restored(source: ContainerFacts, result: Path, origins: Origins) -> None:
    (old, old_tracks), (new, new_tracks) = map(read_elements, (source.path, result))
    wrong = [f"the file's {text}" for text in differences(old, new, SEGMENT)]
    for number, origin in enumerate(origins):
        if origin:
            found = differences(old_tracks[origin.number - 1], new_tracks[number], TRACK)
            wrong += [f"track {origin.number}: {text}" for text in found]
    if wrong:
        raise VerificationError(f"headers differ in the muxed file: {'; '.join(wrong)}")


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
            raise NotMuxable(
                f"{source.path}: {seen}; the file is damaged, or joins tracks to a 3D picture:"
                " remux it first (mkvmerge -o film.mkv FILM), or set mux.container to 'mka'"
            )
        found.update({s.index: t for s, t in zip(streams, tracks, strict=True)})
    return found
