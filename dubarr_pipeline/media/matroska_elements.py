"""Everything that a Matroska file says of its segment and of each track, element by element.

ffmpeg copies what it knows; cropping, 3D planes, links between files and a few more it drops
without a word. Here source and result are compared element by element (RFC 9559, section 5.1): what
mkvpropedit can write is restored, and a file with something else is refused by its name.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline.media.matroska import Content, header_contents

ElementPath = tuple[int, ...]
Elements = Mapping[ElementPath, tuple[bytes, ...]]
"""The contents of all elements below a track or the segment's information, by their IDs."""

_VIDEO, _AUDIO, _COLOUR, _MASTERING, _PROJECTION = 0xE0, 0xE1, 0x55B0, 0x55D0, 0x7670
_ADDITION = 0x41E4
_MASTERS = frozenset({_VIDEO, _AUDIO, _COLOUR, _MASTERING, _PROJECTION, _ADDITION})


@dataclass(frozen=True, slots=True)
class Property:
    """How mkvpropedit names an element, and what it holds."""

    name: str
    kind: str

    def text(self, content: bytes) -> str:
        """Return a content as mkvpropedit reads it."""
        if self.kind == "float":
            return repr(_float(content))
        if self.kind == "text":
            return content.rstrip(b"\0").decode("utf-8", "surrogateescape")
        return content.hex() if self.kind == "hex" else str(int.from_bytes(content, "big"))


def _float(content: bytes) -> float:
    return float(struct.unpack(">f" if len(content) == 4 else ">d", content)[0]) if content else 0.0


def _below(
    parents: ElementPath, kind: str, names: Mapping[int, str]
) -> dict[ElementPath, Property]:
    return {(*parents, identity): Property(name, kind) for identity, name in names.items()}


SEGMENT: dict[ElementPath, Property] = {
    **_below((), "hex", {0x73A4: "segment-uid", 0x3CB923: "prev-uid", 0x3EB923: "next-uid"}),
    **_below(
        (),
        "text",
        {0x7384: "segment-filename", 0x3C83AB: "prev-filename", 0x3E83BB: "next-filename"},
    ),
}
"""What of the segment's information is restored."""

_GAMUT = ("red-x", "red-y", "green-x", "green-y", "blue-x", "blue-y")
_VIDEO_NUMBERS = {
    0x9A: "interlaced",
    0x9D: "field-order",
    0x53B8: "stereo-mode",
    0x54AA: "pixel-crop-bottom",
    0x54BB: "pixel-crop-top",
    0x54CC: "pixel-crop-left",
    0x54DD: "pixel-crop-right",
    0x54B0: "display-width",
    0x54BA: "display-height",
    0x54B2: "display-unit",
}
_COLOUR_NUMBERS = {
    0x55B1: "color-matrix-coefficients",
    0x55B2: "color-bits-per-channel",
    0x55B3: "chroma-subsample-horizontal",
    0x55B4: "chroma-subsample-vertical",
    0x55B5: "cb-subsample-horizontal",
    0x55B6: "cb-subsample-vertical",
    0x55B7: "chroma-siting-horizontal",
    0x55B8: "chroma-siting-vertical",
    0x55B9: "color-range",
    0x55BA: "color-transfer-characteristics",
    0x55BB: "color-primaries",
    0x55BC: "max-content-light",
    0x55BD: "max-frame-light",
}
TRACK: dict[ElementPath, Property] = {
    **_below((), "uint", {0x6DE7: "min-cache", 0x6DF8: "max-cache"}),
    **_below((), "text", {0x258688: "codec-name"}),
    **_below((_VIDEO,), "uint", _VIDEO_NUMBERS),
    **_below((_VIDEO, _COLOUR), "uint", _COLOUR_NUMBERS),
    **_below(
        (_VIDEO, _COLOUR, _MASTERING),
        "float",
        {
            **{0x55D1 + n: f"chromaticity-coordinates-{name}" for n, name in enumerate(_GAMUT)},
            0x55D7: "white-coordinates-x",
            0x55D8: "white-coordinates-y",
            0x55D9: "max-luminance",
            0x55DA: "min-luminance",
        },
    ),
    **_below((_VIDEO, _PROJECTION), "uint", {0x7671: "projection-type"}),
    **_below((_VIDEO, _PROJECTION), "hex", {0x7672: "projection-private"}),
    **_below(
        (_VIDEO, _PROJECTION),
        "float",
        {
            0x7673: "projection-pose-yaw",
            0x7674: "projection-pose-pitch",
            0x7675: "projection-pose-roll",
        },
    ),
    **_below((_AUDIO,), "float", {0x78B5: "output-sampling-frequency"}),
}
"""What of a track's header is restored here; UIDs, languages, flags and names are elsewhere."""

_NAMED_LOSSES = {
    (0x4444,): "a segment family (SegmentFamily)",
    (0x6924,): "links to a DVD's chapters (ChapterTranslate)",
    (0xE2,): "3D planes joined from several tracks (TrackOperation)",
    (0x6624,): "links to a DVD's tracks (TrackTranslate)",
    (0x7446,): "an attachment that belongs to one track (AttachmentLink)",
    (_ADDITION, 0x41E7): "a kind of block additions (BlockAdditionMapping)",
    (_ADDITION, 0x41ED): "the data of a block addition (BlockAdditionMapping)",
    (_VIDEO, 0x53C0): "an alpha channel (AlphaMode)",
    (0x23314F,): "a time scale of its own (TrackTimestampScale)",
}


def read_elements(path: Path) -> tuple[Elements, tuple[Elements, ...]]:
    """Return what a Matroska file says of itself, and of each track, in their order in it."""
    about, entries = header_contents(path, _MASTERS)
    return _gathered(about), tuple(map(_gathered, entries))


def _gathered(found: Sequence[Content]) -> Elements:
    contents: dict[ElementPath, tuple[bytes, ...]] = {}
    for path, content in found:
        contents[path] = (*contents.get(path, ()), content)
    return contents


def restoring_edits(
    source: Elements, result: Elements, table: Mapping[ElementPath, Property]
) -> list[str]:
    """Return what mkvpropedit must do so that the result says what the source says."""
    edits: list[str] = []
    for path, known in table.items():
        old, new = (_text(found, path, known) for found in (source, result))
        if old is None and new is not None:
            edits += ["--delete", known.name]
        elif old != new:
            edits += ["--set", f"{known.name}={old}"]
    return edits


def differences(
    source: Elements, result: Elements, table: Mapping[ElementPath, Property]
) -> tuple[str, ...]:
    """Name what the result does not say as the source does, of what is restored."""
    return tuple(
        f"{known.name} is {new}, not {old}"
        for path, known in table.items()
        for old, new in [(_text(source, path, known), _text(result, path, known))]
        if old is not None and old != new
    )


def losses(source: Elements, result: Elements) -> tuple[str, ...]:
    """Name what the source says, the result does not, and nothing can restore."""
    return tuple(
        name
        for path, name in _NAMED_LOSSES.items()
        if _says_something(source.get(path, ())) and _same(source, path) != _same(result, path)
    )


def _same(found: Elements, path: ElementPath) -> tuple[bytes, ...]:
    """Return contents, with both of Dolby Vision's four letters as one: they tell the profile."""
    return tuple(c.replace(b"dvvC", b"dvcC") for c in found.get(path, ()))


def _says_something(contents: tuple[bytes, ...]) -> bool:
    return any(content.strip(b"\0") for content in contents)


def _text(found: Elements, path: ElementPath, known: Property) -> str | None:
    contents = found.get(path)
    return known.text(contents[0]) if contents else None
