"""Gives a muxed file what ffmpeg could not: languages, flags, tags, chapters, attachments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline import __version__
from dubarr_pipeline.errors import NotMuxable, VerificationError
from dubarr_pipeline.media.container.facts import ContainerFacts
from dubarr_pipeline.media.container.matroska import (
    Elements,
    differences,
    has_attachments,
    losses,
    read_elements,
    restoring_edits,
    track_entries,
)
from dubarr_pipeline.media.container.matroska_headers import (
    HeaderAttachment,
    HeaderTrack,
    MatroskaFile,
    attachment_edits,
    carried_properties,
    header_tracks,
    mark_tags,
    shift_chapters,
)
from dubarr_pipeline.media.mux.copy_pass import dump_covers
from dubarr_pipeline.media.mux.stream_plan import MARK, StreamPlan
from dubarr_pipeline.media.mux.track_flags import TrackFlags

_IMAGES = {
    "mjpeg": ("jpg", "image/jpeg"),
    **{name: (name, f"image/{name}") for name in ("png", "bmp", "gif")},
}
_OTHER_IMAGE = "image/x-unknown"


@dataclass(frozen=True, slots=True)
class Finish:
    """Contents of a result's headers, whose clock lies `shift_us` behind the source's.

    Without a source it is a file of new tracks alone.
    """

    source: ContainerFacts | None
    plan: StreamPlan
    flags: tuple[TrackFlags, ...]
    shift_us: int


Origins = tuple[HeaderTrack | None, ...]
"""For each copied track the source's, as its headers say; None where that is no Matroska."""


def finish_headers(finish: Finish, result: MatroskaFile) -> Origins:
    """Write a result's headers, in one edit; return where its tracks come from.

    Raises:
        MediaToolError, MissingRequirement: if mkvtoolnix cannot.
        NotMuxable: if the source's headers hold what nothing can restore.
    """
    source = finish.source
    original = None
    if source and source.is_matroska:
        original = MatroskaFile(source.path, result.folder, "source.mkv")
    matches = _counterparts(source) if source and original else {}
    origins = tuple(matches.get(track.stream.index) for track in finish.plan.tracks)
    uids = [track.uid for track in track_entries(result.path)]
    for number, origin in enumerate(origins):
        uids[number] = int(origin.properties.get("track-uid", 0)) if origin else uids[number]
    edits = [*_element_edits(finish, result.path, origins), *_codec_edits(finish.plan)]
    for number, flags in enumerate(finish.flags):
        origin = origins[number] if number < len(origins) else None
        edits += ["--edit", f"track:{number + 1}", *flags.edits()]
        edits += carried_properties(origin) if origin else []
    mark = {MARK.upper(): f"machine-made dub, dubarr {__version__}"}
    marks = {uid: mark for uid, flags in zip(uids, finish.flags, strict=True) if flags.new}
    moved = ("chapters",) if source and source.chapters else ()
    found = (original or result).read_xml("tags", *moved)
    tags = mark_tags(found["tags"], marks)
    if len(tags):
        edits += ["--tags", f"all:{result.write_xml(tags, 'all-tags.xml')}"]
    if (chapters := found.get("chapters")) is not None:
        shifted = shift_chapters(chapters, finish.shift_us)
        edits += ["--chapters", result.write_xml(shifted, "all-chapters.xml")]
    result.edit([*edits, *_attachment_edits(finish, result, original)])
    return origins


def _codec_edits(plan: StreamPlan) -> Iterator[str]:
    """Yield what names a disguised codec, and turns the picture as the source's container does."""
    for number, track in enumerate(plan.tracks, 1):
        if track.disguise:
            yield from ("--edit", f"track:{number}", "--set", f"codec-id={track.stream.codec}")
        # Players turn the picture as MP4 says: Matroska calls that the projection's roll.
        if turned := track.stream.turned_deg:
            yield from ("--edit", f"track:{number}", "--set", "projection-type=0")
            yield from ("--set", f"projection-pose-roll={turned}")


def _elements(
    finish: Finish, result: Path, origins: Origins
) -> Iterator[tuple[str, str, Elements, Elements]]:
    """Yield what the file and each track are to mkvpropedit and in words, and their elements."""
    if not finish.source or not finish.source.is_matroska:
        return
    (old, old_tracks), (new, new_tracks) = map(read_elements, (finish.source.path, result))
    yield "info", "the file", old, new
    for number, origin in enumerate(origins):
        if origin:
            was, name = old_tracks[origin.number - 1], f"track {origin.number}"
            yield f"track:{number + 1}", name, was, new_tracks[number]


def _element_edits(finish: Finish, result: Path, origins: Origins) -> list[str]:
    """Restore what ffmpeg dropped from the headers, or refuse the film for what stays lost."""
    edits: list[str] = []
    lost: list[str] = []
    for place, name, old, new in _elements(finish, result, origins):
        changes = restoring_edits(old, new)
        edits += ["--edit", place, *changes] if changes else []
        lost += [f"{each} in {name}" for each in losses(old, new)]
    if lost and finish.source:
        raise NotMuxable(
            f"{finish.source.path} holds {', '.join(lost)}, which would be lost: set mux.container"
            " to 'mka', so that the new tracks lie beside the film"
        )
    return edits


def check_elements(
    finish: Finish, result: Path, tracks: Sequence[HeaderTrack], origins: Origins
) -> None:
    """See that the result's headers say of the source's tracks what the source says.

    `tracks` are the result's.

    Raises `VerificationError`.
    """
    wrong = [
        f"{name}: {text}"
        for _, name, old, new in _elements(finish, result, origins)
        for text in differences(old, new)
    ]
    if wrong:
        raise VerificationError(f"headers differ in the muxed file: {'; '.join(wrong)}")
    for track, found in zip(finish.plan.tracks, tracks, strict=False):
        roll = float(found.properties.get("projection-pose-roll", 0))
        if track.stream.turned_deg and roll != track.stream.turned_deg:
            raise VerificationError(
                f"{track.stream.describe()} is shown turned by {track.stream.turned_deg} degrees,"
                f" {roll} in the muxed file"
            )


def _attachment_edits(
    finish: Finish, result: MatroskaFile, original: MatroskaFile | None
) -> list[str]:
    if original and finish.source:
        seen = any(s.kind == "attachment" or s.is_cover for s in finish.source.streams)
        attachments = original.attachments() if seen or has_attachments(original.path) else ()
        files = original.extract_attachments(attachments)
    elif finish.source:
        covers = finish.plan.covers
        # Players look for ``cover.jpg``.
        stems = ["cover", *(f"cover_{number}" for number in range(1, len(covers)))]
        attachments = tuple(
            HeaderAttachment(0, 0, f"{stem}.{suffix}", media_type, "")
            for stem, stream in zip(stems, covers, strict=False)
            for suffix, media_type in [_IMAGES.get(stream.codec, (stream.codec, _OTHER_IMAGE))]
        )
        files = dump_covers(finish.source, covers, result.folder)
    else:
        return []
    pairs = zip(attachments, files, strict=True)
    return [part for attachment, file in pairs for part in attachment_edits(attachment, file)]


def _counterparts(source: ContainerFacts) -> dict[int, HeaderTrack]:
    """Match ffmpeg's streams with the headers' tracks: the nth of a kind with the nth."""
    headers, found = header_tracks(source.path), dict[int, HeaderTrack]()
    for kind in ("video", "audio", "subtitle"):
        streams = [s for s in source.streams if s.kind == kind and not s.is_cover]
        tracks = [t for t in headers if t.kind == kind]
        if len(streams) != len(tracks):
            seen = f"ffmpeg sees {len(streams)} {kind} streams, the headers name {len(tracks)}"
            raise NotMuxable(
                f"{source.path}: {seen}; the file is damaged, or joins tracks to a 3D picture:"
                " remux it first (mkvmerge -o film.mkv FILM), or set mux.container to 'mka'"
            )
        found.update({s.index: t for s, t in zip(streams, tracks, strict=True)})
    return found
