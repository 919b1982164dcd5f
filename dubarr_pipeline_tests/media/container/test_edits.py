"""Edit lists: the result holds what they play, packet by packet, and nothing that they cut out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.errors import NotMuxable
from dubarr_pipeline.media.container import ffmpeg as tools
from dubarr_pipeline.media.container.extract import extract_audio
from dubarr_pipeline.media.container.facts import read_facts
from dubarr_pipeline.media.container.mp4 import has_cuts
from dubarr_pipeline.media.container.packet_times import read_edits
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.mux.mux import DubTrack, MuxOptions, mux
from dubarr_pipeline.media.mux.stream_plan import plan_streams
from dubarr_pipeline_tests.fixtures.edit_lists import Parts, with_edits
from dubarr_pipeline_tests.fixtures.odd_sources import dub, ffmpeg

CUT: Parts = ((0, 2), (3, 3))
"""Seconds of a film of 6 s with a key picture every half of one."""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    inputs = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=24:d=6"]
    inputs += ["-f", "lavfi", "-i", "anoisesrc=d=6:r=48000:a=0.1:seed=1"]
    picture = ["-c:v", "libx264", "-g", "12", "-sc_threshold", "0", "-preset", "ultrafast"]
    made: dict[str, Path] = {}
    for name, more in {
        "aac.mp4": ["-bf", "0", "-c:a", "aac"],
        "reordered.mp4": ["-bf", "2", "-c:a", "aac"],
        "pcm.mov": ["-bf", "0", "-c:a", "pcm_s16le"],
    }.items():
        made[name] = folder / name
        ffmpeg(*inputs, *picture, *more, made[name])
    return made


def decoded(path: Path, kind: str) -> bytes:
    form = ["-f", "framemd5"] if kind == "v" else ["-ac", "1", "-f", "s16le"]
    shown = ["-vsync", "passthrough"] if kind == "v" else []
    arguments = [*shown, "-i", str(path), "-map", f"0:{kind}:0", *form, "pipe:1"]
    return tools.run(arguments).stdout


def pictures(path: Path) -> list[bytes]:
    return [row.split(b",")[-1] for row in decoded(path, "v").splitlines() if row[:1] != b"#"]


def payloads(path: Path, kind: str) -> list[tuple[str, str]]:
    """The flags and the digest of each packet."""
    wanted = ["-show_data_hash", "md5", "-show_entries", "packet=flags,data_hash", "-of", "json"]
    arguments = ["-select_streams", f"{kind}:0", *wanted, *tools.source_arguments(path)]
    found = json.loads(tools.run(arguments, tool="ffprobe").stdout)
    return [(packet["flags"], packet["data_hash"]) for packet in found["packets"]]


CASES: dict[str, tuple[str, dict[str, Parts]]] = {
    "two": ("aac.mp4", {"video": CUT, "audio": CUT}),
    "three": ("aac.mp4", dict.fromkeys(("video", "audio"), ((0, 1), (2, 1), (4, 2)))),
    "twice": ("aac.mp4", dict.fromkeys(("video", "audio"), ((0, 4), (2, 3)))),
    "out of order": ("aac.mp4", dict.fromkeys(("video", "audio"), ((3, 3), (0, 2)))),
    "trimmed": ("aac.mp4", dict.fromkeys(("video", "audio"), ((2, 2),))),
    "late sound": ("aac.mp4", {"video": CUT, "audio": ((-1, 1), (0, 1), (3, 3))}),
    "both late": ("aac.mp4", dict.fromkeys(("video", "audio"), ((-1, 1), *CUT))),
    "sound alone": ("aac.mp4", {"video": ((0, 5),), "audio": CUT}),
    "reordered": ("reordered.mp4", {"video": CUT, "audio": CUT}),
    "mov": ("pcm.mov", {"video": CUT, "audio": CUT}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_result_plays_what_the_edits_play(films, tmp_path: Path, name: str) -> None:
    film, parts = CASES[name]
    source, result = with_edits(films[film], tmp_path / film, parts), tmp_path / "out.mkv"
    assert has_cuts(source)
    info = probe(source)
    heard = extract_audio(info, info.audio[0], tmp_path / "x.wav")
    track = DubTrack(dub(tmp_path), "es", offset_s=heard.offset_s)
    report = mux(source, [track], [], result)
    assert all(abs(row.offset_us) <= 1000 for row in report.streams)
    assert pictures(result) == pictures(source)
    before, after = (np.frombuffer(decoded(path, "a"), "<i2") for path in (source, result))
    # A frame of silence before the first is what the encoder needs; Matroska does not hide it.
    assert 0 <= len(after) - len(before) <= 1024
    for kind in ("v", "a"):
        kept = [digest for _, digest in payloads(result, kind)]
        played = [digest for flags, digest in payloads(source, kind) if "D" not in flags]
        assert kept[len(kept) - len(played) :] == played
        assert len(kept) - len(played) <= (kind == "a")


@pytest.mark.parametrize(
    ("film", "parts"), [("aac.mp4", ((0, 2), (3.2, 2))), ("reordered.mp4", ((0, 2.1), (3, 3)))]
)
def test_pictures_cut_where_no_key_picture_is_are_refused(films, tmp_path, film, parts) -> None:
    source = with_edits(films[film], tmp_path / film, {"video": parts, "audio": parts})
    with pytest.raises(NotMuxable, match=r"stream 0 \(video, h264\) is cut within .* at 2\.\d+ s"):
        plan_streams(read_facts(source))
    tracks = [DubTrack(dub(tmp_path), "es")]
    assert mux(source, tracks, [], tmp_path / "o.mka", MuxOptions(container="mka")).streams


def test_a_telephones_cut_shows_the_pictures_before_it_without_their_sound(films, tmp_path) -> None:
    parts = ((1.2, 3.0),)
    source = with_edits(films["aac.mp4"], tmp_path / "a.mp4", {"video": parts, "audio": parts})
    mux(source, [DubTrack(dub(tmp_path), "es")], [], tmp_path / "out.mkv")
    assert pictures(tmp_path / "out.mkv")[-72:] == pictures(source)
    assert len(pictures(tmp_path / "out.mkv")) == 72 + 5
    lengths = [len(decoded(path, "a")) / 96_000 for path in (source, tmp_path / "out.mkv")]
    assert lengths[1] == pytest.approx(lengths[0], abs=0.025)


def test_whole_films_are_not_read_for_their_edits(films, tmp_path: Path) -> None:
    for film in films.values():
        assert not has_cuts(film)
        assert not read_edits(read_facts(film)).streams
    short = with_edits(films["aac.mp4"], tmp_path / "a.mp4", {"audio": ((0, 3),)})
    assert has_cuts(short)
    assert not has_cuts(with_edits(films["aac.mp4"], tmp_path / "b.mp4", {"audio": ((0.1, 5.8),)}))
