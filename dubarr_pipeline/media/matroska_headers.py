"""What lies beside a Matroska file's streams: header properties, tags, chapters, attachments.

ffmpeg copies streams bit for bit but writes these anew and loses some of them (BCP-47 languages,
editions,
tag targets, attachment descriptions); mkvtoolnix reads and writes them whole. Everything runs
inside one
folder under plain names, because mkvtoolnix refuses other ones where the system's locale is ``C``.
"""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dubarr_pipeline.errors import MediaToolError
from dubarr_pipeline.media.ffmpeg import run

_ARGUMENTS = "arguments.json"


@dataclass(frozen=True, slots=True)
class HeaderTrack:
    """One track as mkvmerge describes it; `number` counts from 1, as mkvpropedit does."""

    number: int
    kind: str
    uid: int
    language: str
    language_ietf: str
    title: str
    properties: dict[str, Any]


@dataclass(frozen=True, slots=True)
class HeaderAttachment:
    """A file inside the file."""

    number: int
    uid: int
    name: str
    media_type: str
    description: str


@dataclass(frozen=True, slots=True)
class Headers:
    """What mkvmerge tells of a Matroska file."""

    tracks: tuple[HeaderTrack, ...]
    attachments: tuple[HeaderAttachment, ...]


class MatroskaFile:
    """A Matroska file that mkvtoolnix reads and edits, under a plain name in a scratch folder."""

    def __init__(self, path: Path, folder: Path, name: str) -> None:
        """Link `path` into `folder` as `name`, which must be plain."""
        self.folder = folder
        self.path = path
        self._name = name
        (folder / name).symlink_to(os.path.abspath(path))  # noqa: PTH100 - keeps links as they are

    def beside(self, path: Path, name: str) -> MatroskaFile:
        """Open another file in the same folder."""
        return MatroskaFile(path, self.folder, name)

    def headers(self) -> Headers:
        """Read the headers. Raises `MediaToolError`."""
        answer = run(
            ["--output-charset", "UTF-8", "-J", self._name], tool="mkvmerge", cwd=self.folder
        ).stdout
        document = json.loads(answer.decode("utf-8", "replace"))
        tracks = [
            _track(number, found) for number, found in enumerate(document.get("tracks", []), 1)
        ]
        return Headers(tuple(tracks), tuple(map(_attachment, document.get("attachments", []))))

    def read_xml(self, part: str) -> ET.Element | None:
        """Read all ``tags`` or ``chapters``; None if there are none. Raises `MediaToolError`."""
        target = self.folder / f"{self._name}.{part}.xml"
        run([self._name, part, target.name], tool="mkvextract", cwd=self.folder)
        if not target.is_file() or not target.stat().st_size:
            return None
        try:
            return ET.fromstring(target.read_bytes())
        except ET.ParseError as error:
            raise MediaToolError(f"mkvextract wrote {part} that are no XML: {error}") from error

    def extract_attachments(self, attachments: Sequence[HeaderAttachment]) -> tuple[Path, ...]:
        """Write attachments out, and return where; by number, never by their own names."""
        if not attachments:
            return ()
        names = [f"attachment.{a.number}" for a in attachments]
        wanted = [f"{a.number}:{name}" for a, name in zip(attachments, names, strict=True)]
        run([self._name, "attachments", *wanted], tool="mkvextract", cwd=self.folder)
        return tuple(self.folder / name for name in names)

    def edit(self, arguments: Sequence[str]) -> None:
        """Change headers in place.

        Raises:
            MediaToolError: if mkvpropedit refuses.
        """
        # An argument file is UTF-8 whatever the locale is.
        text = json.dumps(["--quiet", self._name, *arguments], ensure_ascii=False)
        (self.folder / _ARGUMENTS).write_text(text, encoding="utf-8", errors="surrogateescape")
        run([f"@{_ARGUMENTS}"], tool="mkvpropedit", cwd=self.folder)

    def write_xml(self, root: ET.Element, name: str) -> str:
        """Write XML for `edit`, and return its name there."""
        ET.ElementTree(root).write(self.folder / name, encoding="utf-8", xml_declaration=True)
        return name


def _track(number: int, found: dict[str, Any]) -> HeaderTrack:
    about = found.get("properties", {})
    return HeaderTrack(
        number=number,
        kind="subtitle" if found.get("type") == "subtitles" else found.get("type", ""),
        uid=about.get("uid", 0),
        language=about.get("language", ""),
        language_ietf=about.get("language_ietf", ""),
        title=about.get("track_name", ""),
        properties=about,
    )


def _attachment(found: dict[str, Any]) -> HeaderAttachment:
    return HeaderAttachment(
        number=found["id"],
        uid=found.get("properties", {}).get("uid", 0),
        name=found.get("file_name", ""),
        media_type=found.get("content_type", ""),
        description=found.get("description", ""),
    )


def attachment_edits(attachment: HeaderAttachment, file: Path) -> list[str]:
    """Return what mkvpropedit must do to add an attachment just as it was."""
    edits = ["--attachment-name", attachment.name, "--attachment-mime-type", attachment.media_type]
    if attachment.description:
        edits += ["--attachment-description", attachment.description]
    if attachment.uid:
        edits += ["--attachment-uid", str(attachment.uid)]
    return [*edits, "--add-attachment", file.name]


_RESTORED = {
    "uid": "track-uid",
    "enabled_track": "flag-enabled",
    "language_ietf": "language-ietf",
    "default_duration": "default-duration",
    "stereo_mode": "stereo-mode",
    "audio_bits_per_sample": "bit-depth",
}


def restored_properties(track: HeaderTrack) -> list[str]:
    """Return what mkvpropedit must set to give a copied track what ffmpeg did not carry over."""
    settings = [
        f"{name}={_value(track.properties[key])}"
        for key, name in _RESTORED.items()
        if key in track.properties
    ]
    return [part for setting in settings for part in ("--set", setting)]


def _value(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def mark_tags(root: ET.Element | None, marks: dict[int, dict[str, str]]) -> ET.Element:
    """Add tags to tracks, given by their UID, to all the tags that a file has."""
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
    """Move all chapters by a time, as the streams were moved; none starts before 0."""
    for name in ("ChapterTimeStart", "ChapterTimeEnd"):
        for element in root.iter(name):
            element.text = _clock(max(0, _nanoseconds(element.text or "0") + shift_us * 1000))
    return root


def _nanoseconds(clock: str) -> int:
    whole, _, fraction = clock.strip().partition(".")
    seconds = 0
    for part in whole.split(":"):
        seconds = seconds * 60 + int(part)
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)


def _clock(nanoseconds: int) -> str:
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{fraction:09}"
