"""Header properties, tags, chapters and attachments of a Matroska file, by mkvtoolnix.

ffmpeg rewrites these and loses some of them (BCP-47 languages, editions, tag targets, descriptions
of attachments). Everything runs inside one folder under plain names, because mkvtoolnix refuses
others in the locale ``C``.
"""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline.errors import MediaToolError
from dubarr_pipeline.media.container.ffmpeg import run
from dubarr_pipeline.media.container.matroska import properties, read_elements, track_entries

_ARGUMENTS = "arguments.json"


@dataclass(frozen=True, slots=True)
class HeaderTrack:
    """One track as the file describes it, by mkvpropedit's names; `number` counts from 1."""

    number: int
    kind: str
    properties: Mapping[str, str]


def header_tracks(path: Path) -> tuple[HeaderTrack, ...]:
    """Read the tracks of a Matroska file, in their order."""
    pairs = zip(track_entries(path), read_elements(path)[1], strict=True)
    return tuple(
        HeaderTrack(number, entry.kind, properties(found))
        for number, (entry, found) in enumerate(pairs, 1)
    )


@dataclass(frozen=True, slots=True)
class HeaderAttachment:
    """A file attached to a Matroska file."""

    number: int
    uid: int
    name: str
    media_type: str
    description: str


class MatroskaFile:
    """A Matroska file that mkvtoolnix reads and edits, under a plain name in a scratch folder."""

    def __init__(self, path: Path, folder: Path, name: str) -> None:
        """Link `path` into `folder` as `name`, which must be plain."""
        self.folder = folder
        self.path = path
        self._name = name
        (folder / name).symlink_to(os.path.abspath(path))  # noqa: PTH100 - keeps links as they are

    def attachments(self) -> tuple[HeaderAttachment, ...]:
        """Read what is told of the attachments. Raises `MediaToolError`."""
        answer = run(
            ["--output-charset", "UTF-8", "-J", self._name], tool="mkvmerge", cwd=self.folder
        ).stdout
        document = json.loads(answer.decode("utf-8", "replace"))
        return tuple(
            HeaderAttachment(
                found["id"],
                found.get("properties", {}).get("uid", 0),
                *(found.get(name, "") for name in ("file_name", "content_type", "description")),
            )
            for found in document.get("attachments", [])
        )

    def read_xml(self, *parts: str) -> dict[str, ET.Element | None]:
        """Read all ``tags``, ``chapters`` or both; None for what it has none of.

        Raises `MediaToolError`.
        """
        targets = {part: self.folder / f"{self._name}.{part}.xml" for part in parts}
        wanted = [word for part, target in targets.items() for word in (part, target.name)]
        run([self._name, *wanted], tool="mkvextract", cwd=self.folder)
        return {part: _root(target, part) for part, target in targets.items()}

    def extract_attachments(self, attachments: Sequence[HeaderAttachment]) -> tuple[Path, ...]:
        """Write attachments to files, and return these; numbered, never under their own names."""
        if not attachments:
            return ()
        names = [f"attachment.{a.number}" for a in attachments]
        wanted = [f"{a.number}:{name}" for a, name in zip(attachments, names, strict=True)]
        run([self._name, "attachments", *wanted], tool="mkvextract", cwd=self.folder)
        return tuple(self.folder / name for name in names)

    def edit(self, arguments: Sequence[str]) -> None:
        """Change headers in place. Raises `MediaToolError` if mkvpropedit refuses."""
        # An argument file is UTF-8 whatever the locale is.
        text = json.dumps(["--quiet", self._name, *arguments], ensure_ascii=False)
        (self.folder / _ARGUMENTS).write_text(text, encoding="utf-8", errors="surrogateescape")
        run([f"@{_ARGUMENTS}"], tool="mkvpropedit", cwd=self.folder)

    def write_xml(self, root: ET.Element, name: str) -> str:
        """Write XML for `edit`, and return its name there."""
        ET.ElementTree(root).write(self.folder / name, encoding="utf-8", xml_declaration=True)
        return name


def _root(file: Path, part: str) -> ET.Element | None:
    if not file.is_file() or not file.stat().st_size:
        return None
    try:
        return ET.fromstring(file.read_bytes())
    except ET.ParseError as error:
        raise MediaToolError(f"mkvextract wrote {part} that are not XML: {error}") from error


def attachment_edits(attachment: HeaderAttachment, file: Path) -> list[str]:
    """Return mkvpropedit's arguments that add an attachment as it was."""
    edits = ["--attachment-name", attachment.name, "--attachment-mime-type", attachment.media_type]
    if attachment.description:
        edits += ["--attachment-description", attachment.description]
    if attachment.uid:
        edits += ["--attachment-uid", str(attachment.uid)]
    return [*edits, "--add-attachment", file.name]


_CARRIED = ("track-uid", "language-ietf", "default-duration", "bit-depth")


def carried_properties(track: HeaderTrack) -> list[str]:
    """Return mkvpropedit's arguments that set the properties which ffmpeg did not carry over."""
    carried = {name: track.properties[name] for name in _CARRIED if name in track.properties}
    carried["flag-enabled"] = track.properties.get("flag-enabled", "1")
    return [part for name, value in carried.items() for part in ("--set", f"{name}={value}")]


def mark_tags(root: ET.Element | None, marks: dict[int, dict[str, str]]) -> ET.Element:
    """Add tags for tracks, given by their UIDs, to a file's tags."""
    tags = ET.Element("Tags") if root is None else root
    for uid, names in marks.items():
        tag = ET.SubElement(tags, "Tag")
        ET.SubElement(ET.SubElement(tag, "Targets"), "TrackUID").text = str(uid)
        for name, text in names.items():
            simple = ET.SubElement(tag, "Simple")
            ET.SubElement(simple, "Name").text = name
            ET.SubElement(simple, "String").text = text
    return tags


def shift_chapters(root: ET.Element, shift_us: int) -> ET.Element:
    """Shift all chapters as the streams were shifted; none starts before 0."""
    for name in ("ChapterTimeStart", "ChapterTimeEnd"):
        for element in root.iter(name):
            whole, _, fraction = (element.text or "0").strip().partition(".")
            seconds = 0
            for part in whole.split(":"):
                seconds = seconds * 60 + int(part)
            before_ns = seconds * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)
            whole_s, fraction_ns = divmod(max(0, before_ns + shift_us * 1000), 1_000_000_000)
            minutes, seconds = divmod(whole_s, 60)
            element.text = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{fraction_ns:09}"
    return root
