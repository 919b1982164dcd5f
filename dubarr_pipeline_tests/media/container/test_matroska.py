"""What a film's headers say arrives in the muxed file, or the film is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.errors import NotMuxable, VerificationError
from dubarr_pipeline.media.container.matroska import (
    RESTORED,
    differences,
    losses,
    read_elements,
    restoring_edits,
)
from dubarr_pipeline.media.mux import mux as mux_module
from dubarr_pipeline.media.mux.mux import DubTrack, MuxOptions, mux
from dubarr_pipeline_tests.fixtures.odd_sources import dub, ffmpeg, mkvtool

UIDS = [f"{n}1020304050607080900a0b0c0d0e0f1" for n in range(1, 4)]
INFORMATION = {
    "segment-uid": UIDS[0],
    "prev-uid": UIDS[1],
    "next-uid": UIDS[2],
    "segment-filename": "ünd.mkv",
    "prev-filename": "before.mkv",
    "next-filename": "after.mkv",
}
VIDEO = {
    "pixel-crop-left": 2,
    "pixel-crop-right": 4,
    "pixel-crop-top": 6,
    "pixel-crop-bottom": 8,
    "display-width": 190,
    "display-height": 64,
    "display-unit": 3,
    "stereo-mode": 1,
    "field-order": 1,
    "interlaced": 1,
    "min-cache": 1,
    "max-cache": 2,
    "projection-type": 1,
    "projection-private": "00" * 20,
    "projection-pose-yaw": 10.5,
    "projection-pose-pitch": -3.25,
    "projection-pose-roll": 90.0,
    "codec-name": "Ödd",
    "color-primaries": 9,
    "color-transfer-characteristics": 16,
    "color-range": 1,
    "color-matrix-coefficients": 9,
    "color-bits-per-channel": 10,
    "chroma-siting-horizontal": 1,
    "chroma-subsample-horizontal": 1,
    "max-content-light": 1000,
    "max-frame-light": 400,
    "max-luminance": 999.5,
    "min-luminance": 0.01,
    "chromaticity-coordinates-red-x": 0.68,
    "white-coordinates-y": 0.329,
}
CHAPTERS = """<?xml version="1.0"?>
<Chapters><EditionEntry><EditionUID>78</EditionUID><EditionFlagOrdered>1</EditionFlagOrdered>
<ChapterAtom><ChapterUID>4</ChapterUID><ChapterTimeStart>00:00:00.500</ChapterTimeStart>
<ChapterTimeEnd>00:00:00.800</ChapterTimeEnd></ChapterAtom>
<ChapterAtom><ChapterUID>5</ChapterUID><ChapterTimeStart>00:00:00.000</ChapterTimeStart>
<ChapterTimeEnd>00:00:00.400</ChapterTimeEnd>
<ChapterSegmentUID format="hex">a1020304050607080900a0b0c0d0e0f1</ChapterSegmentUID></ChapterAtom>
</EditionEntry></Chapters>
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "plain.mkv"
    ffmpeg(
        *("-f", "lavfi", "-i", "color=s=64x32:r=5:d=1", "-f", "lavfi", "-i", "sine=d=1"),
        *("-c:v", "mpeg4", "-c:a", "flac", path),
    )
    return path


def remuxed(plain: Path, folder: Path, *arguments: str) -> Path:
    """As mkvmerge writes it, so that ffmpeg's habits are not on both sides."""
    path = folder / "film.mkv"
    mkvtool("mkvmerge", "-q", "-o", path, *arguments, plain)
    return path


def edited(path: Path, where: str, values: dict[str, Any]) -> Path:
    sets = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
    assert not mkvtool("mkvpropedit", "-q", path, "--edit", where, *sets)
    return path


def muxed(path: Path, folder: Path, **options: Any) -> Path:
    result = folder / "out.mkv"
    mux(path, [DubTrack(dub(folder), "es")], [], result, MuxOptions(**options))
    return result


def said(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What mkvmerge reads of the segment and of the picture."""
    document = json.loads(mkvtool("mkvmerge", "-J", path))
    about, picture = document["container"]["properties"], document["tracks"][0]["properties"]
    names = ("segment_uid", "previous_segment_uid", "next_segment_uid", "title")
    changing = ("num_index_entries", "tag_", "minimum_timestamp", "codec_private")
    kept = {k: v for k, v in picture.items() if not k.startswith(changing)}
    return {name: about.get(name) for name in names}, kept


def test_links_cropping_3d_projection_and_hdr_come_back(plain: Path, tmp_path: Path) -> None:
    path = edited(remuxed(plain, tmp_path), "info", INFORMATION)
    edited(path, "track:1", VIDEO)
    edited(path, "track:2", {"output-sampling-frequency": 48000})
    result = muxed(path, tmp_path)
    assert said(result) == said(path)
    (about, tracks), (old, old_tracks) = read_elements(result), read_elements(path)
    names = {
        RESTORED[key].name: RESTORED[key].text(value[0])
        for key, value in about.items()
        if key in RESTORED
    }
    assert names == INFORMATION
    for before, after in zip(old_tracks, tracks, strict=False):
        assert {k: RESTORED[k].text(v[0]) for k, v in before.items() if k in RESTORED} == {
            k: RESTORED[k].text(v[0]) for k, v in after.items() if k in RESTORED
        }
    assert {RESTORED[k].name for k in tracks[0] if k in RESTORED} >= VIDEO.keys()
    assert not differences(old, about)
    assert "Pixel crop left: 2" in mkvtool("mkvinfo", result).decode()


def test_what_ffmpeg_adds_to_a_picture_is_taken_away(plain: Path, tmp_path: Path) -> None:
    path = remuxed(plain, tmp_path)
    assert said(muxed(path, tmp_path)) == said(path)


def test_ordered_chapters_and_external_segments_come_back(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "chapters.xml").write_text(CHAPTERS)
    path = remuxed(plain, tmp_path, "--chapters", str(tmp_path / "chapters.xml"))
    edited(path, "info", {"segment-uid": UIDS[0]})
    result = muxed(path, tmp_path)
    old, new = (mkvtool("mkvextract", file, "chapters") for file in (path, result))
    assert old == new
    assert b"EditionFlagOrdered>1" in old
    assert b"ChapterSegmentUID" in old
    assert said(result)[0]["segment_uid"] == UIDS[0]


def element(identity: str, content: bytes) -> bytes:
    return bytes.fromhex(identity) + bytes([0x80 | len(content)]) + content


def put_in_place_of(path: Path, old: bytes, new: bytes) -> Path:
    """Write a header that no tool here can: over another of the same length."""
    content = path.read_bytes()
    padding = len(old) - len(new)
    void = element("ec", bytes(padding - 2)) if padding else b""
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new + void))
    return path


def dolby_vision(four: bytes, profile: int = 8) -> bytes:
    record = bytes([1, 0, profile << 1, 6 << 3 | 0b101, 1 << 4]) + bytes(19)
    name = element("41a4", b"Dolby Vision configuration")
    inside = element("41f0", b"\1") + name + element("41e7", four) + element("41ed", record)
    return element("41e4", inside)


@pytest.mark.parametrize("four", [b"dvvC", b"dvcC"])
def test_dolby_visions_configuration_arrives(plain: Path, tmp_path: Path, four: bytes) -> None:
    path = remuxed(plain, tmp_path, "--track-name", "0:" + "z" * 100)
    put_in_place_of(path, element("536e", b"z" * 100), dolby_vision(four))
    result = muxed(path, tmp_path)
    shown = [ffprobe_side_data(file) for file in (path, result)]
    assert shown[0] == shown[1]
    assert "dv_profile=8" in shown[0]


def ffprobe_side_data(path: Path) -> str:
    arguments = ["-v", "error", "-select_streams", "v", "-show_entries", "stream_side_data"]
    return mkvtool("ffprobe", *arguments, path).decode()


@pytest.mark.parametrize(
    ("title", "old", "new", "name"),
    [
        ("t" * 16, element("7ba9", b"t" * 16), element("4444", b"f" * 16), "segment family"),
        ("", element("536e", b"z" * 100), dolby_vision(b"hvcE"), "block additions"),
        ("", element("536e", b"z" * 100), element("7446", b"1"), r"AttachmentLink\) in track 1"),
    ],
)
def test_what_nothing_restores_is_refused_by_name(
    plain: Path, tmp_path: Path, title: str, old: bytes, new: bytes, name: str
) -> None:
    path = remuxed(plain, tmp_path, "--title", title, "--track-name", "0:" + "z" * 100)
    put_in_place_of(path, old, new)
    with pytest.raises(NotMuxable, match=rf"film\.mkv holds .*{name}.*mux\.container"):
        muxed(path, tmp_path)
    assert not (tmp_path / "out.mkv").exists()
    assert muxed(path, tmp_path, container="mka").is_file()


def test_a_lost_header_is_noticed(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = edited(remuxed(plain, tmp_path), "track:1", {"pixel-crop-left": 2})
    finish = mux_module.finish_headers

    def forget(wanted: Any, result: Any) -> Any:
        origins = finish(wanted, result)
        mkvtool("mkvpropedit", result.path, "-e", "track:1", "-d", "pixel-crop-left")
        return origins

    monkeypatch.setattr(mux_module, "finish_headers", forget)
    with pytest.raises(VerificationError, match="pixel-crop-left is None, not 2"):
        muxed(path, tmp_path)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_telephones_turned_picture_stays_turned(
    plain: Path, tmp_path: Path, degrees: int
) -> None:
    path = tmp_path / "phone.mp4"
    ffmpeg("-i", plain, "-map", "0:v", "-c", "copy", "-metadata:s:v", f"rotate={degrees}", path)
    told = mkvtool("ffprobe", "-v", "error", "-show_entries", "side_data=rotation", path)
    shown = float(told.decode().split("rotation=")[1].split()[0].split("|")[0])
    assert abs(shown) % 360 in (90, 180, 270)
    assert said(muxed(path, tmp_path))[1]["projection_pose_roll"] == shown


def test_edits_say_only_what_differs() -> None:
    crop, stereo = (0xE0, 0x54CC), (0xE0, 0x53B8)
    old, new = {crop: (b"\2",)}, {crop: (b"\0\2",), stereo: (b"\1",)}
    assert restoring_edits(old, new) == ["--delete", "stereo-mode"]
    assert restoring_edits(old, {}) == ["--set", "pixel-crop-left=2"]
    assert restoring_edits(new, new) == []
    assert losses({(0x4444,): (b"x",)}, {(0x4444,): (b"x",)}) == ()
    assert losses({(0xE0, 0x53C0): (b"\0",)}, {}) == ()
