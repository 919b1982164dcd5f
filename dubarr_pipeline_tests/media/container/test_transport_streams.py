"""Streams of broadcasts that begin late, stay empty, or cannot be copied: none is lost unsaid."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from dubarr_pipeline.errors import NotMuxable
from dubarr_pipeline.media.container import transport_streams
from dubarr_pipeline.media.container.extract import extract_audio
from dubarr_pipeline.media.container.facts import read_facts
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.container.transport_streams import (
    reading_options,
    seen_streams,
    stream_pids,
)
from dubarr_pipeline.media.mux.mux import DubTrack, MuxOptions, mux
from dubarr_pipeline_tests.fixtures.odd_sources import dub, ffmpeg, mkvtool

THIRD_PID = 0x102


def broadcast(path: Path, seconds: int, sounds: int, starts_s: int = 0, *more: str) -> Path:
    """MPEG-2 of postage stamps, and so many sounds."""
    sound = ["-f", "lavfi", "-i", f"sine=d={seconds}:r=48000"] * sounds
    maps = [part for n in range(sounds + 1) for part in ("-map", str(n))]
    picture = ["-f", "lavfi", "-i", f"testsrc2=s=32x32:r=2:d={seconds}"]
    codecs = ["-c:v", "mpeg2video", "-strict", "-1", "-g", "10", "-c:a", "mp2", "-b:a", "64k"]
    late = ["-output_ts_offset", str(starts_s)]
    ffmpeg(*picture, *sound, *maps, *codecs, *late, *more, "-f", "mpegts", path)
    return path


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, bytes]:
    """A programme whose middle has a sound more."""
    folder = tmp_path_factory.mktemp("parts")
    made = [(65, 1, 0), (5, 2, 65), (60, 1, 70)]
    return tuple(  # type: ignore[return-value]
        broadcast(folder / f"{n}.ts", *about).read_bytes() for n, about in enumerate(made)
    )


@pytest.fixture
def late(parts: tuple[bytes, bytes, bytes], tmp_path: Path) -> Path:
    path = tmp_path / "late.ts"
    path.write_bytes(b"".join(parts))
    return path


def framed(data: bytes, front: bytes, behind: bytes = b"") -> bytes:
    return b"".join(front + data[i : i + 188] + behind for i in range(0, len(data), 188))


def test_a_sound_that_begins_after_a_minute_is_copied(late: Path, tmp_path: Path) -> None:
    report = mux(late, [DubTrack(dub(tmp_path), "es")], [], tmp_path / "out.mkv")
    assert [row.codec for row in report.streams] == ["mpeg2video", "mp2", "mp2", "ac3"]
    assert report.streams[2].packets == pytest.approx(5 * 48_000 / 1152, abs=2)
    assert all(abs(row.offset_us) <= 1000 for row in report.streams)


def test_it_can_be_dubbed_too(late: Path, tmp_path: Path) -> None:
    info = probe(late)
    assert [s.channels for s in info.audio] == [1, 1]
    heard = extract_audio(info, info.audio[1], tmp_path / "late.wav")
    assert heard.samples / heard.rate == pytest.approx(5, abs=0.1)
    assert heard.offset_s == pytest.approx(64.5, abs=0.1)  # a frame of 2 a second earlier


def test_what_ffmpeg_meets_in_the_middle_is_refused_by_name(
    late: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey = transport_streams._Survey({0x100: 0}, 0.0)
    monkeypatch.setattr(transport_streams, "_survey", lambda *_: survey)
    monkeypatch.setattr(transport_streams, "_WINDOW_BYTES", 50_000)
    result = tmp_path / "out.mkv"
    with pytest.raises(NotMuxable, match=r"stream 2 \(audio\) at 6\d\.\d+ s"):
        mux(late, [DubTrack(dub(tmp_path), "es")], [], result)
    assert not result.exists()


def test_what_begins_beyond_reach_is_refused_by_name(
    late: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey = transport_streams._Survey({0x100: 0, THIRD_PID: 40 << 30}, 0.0)
    monkeypatch.setattr(transport_streams, "_survey", lambda *_: survey)
    with pytest.raises(NotMuxable, match=r"late\.ts: a stream \(PID 0x102\) .* after 42\.9 GB"):
        probe(late)


def test_an_announced_stream_without_packets_is_left_out_by_name(
    parts: tuple[bytes, bytes, bytes], tmp_path: Path
) -> None:
    data = parts[1]
    packets = [data[i : i + 188] for i in range(0, len(data), 188)]
    path = tmp_path / "empty.ts"
    path.write_bytes(b"".join(p for p in packets if (p[1] & 31) << 8 | p[2] != THIRD_PID))
    report = mux(path, [DubTrack(dub(tmp_path), "es")], [], tmp_path / "out.mkv")
    assert [(c.source_index, c.outcome) for c in report.converted] == [
        (2, "left out: it is announced, but no packet of it was found")
    ]


def test_latm_is_refused_with_a_cure_unless_the_film_is_not_muxed(tmp_path: Path) -> None:
    path = broadcast(tmp_path / "latm.ts", 2, 1, 0, "-c:a", "aac", "-mpegts_flags", "latm")
    tracks = [DubTrack(dub(tmp_path), "es")]
    with pytest.raises(NotMuxable, match=r"stream 1 \(audio, aac_latm\).*mkvmerge -o"):
        mux(path, tracks, [], tmp_path / "out.mkv")
    assert mux(path, tracks, [], tmp_path / "o.mka", MuxOptions(container="mka")).streams
    info = probe(path)
    assert extract_audio(info, info.audio[0], tmp_path / "x.wav").samples > 90_000


@pytest.mark.parametrize(
    ("named", "codes"), [("eng,fra", ["eng", "en"]), ("fra,eng", ["fre", "fr"]), ("und,und", None)]
)
def test_of_several_languages_of_a_sound_the_first_counts(
    tmp_path: Path, named: str, codes: list[str] | None
) -> None:
    path, result = tmp_path / "film.ts", tmp_path / "out.mkv"
    sound = ["-f", "lavfi", "-i", "sine=d=1", "-c:a", "ac3"]
    ffmpeg(*sound, "-metadata:s:a:0", f"language={named}", path)
    assert probe(path).audio[0].language == (codes[1] if codes else None)
    mux(path, [DubTrack(dub(tmp_path), "es")], [], result)
    about = json.loads(mkvtool("mkvmerge", "-J", result))["tracks"][0]["properties"]
    assert [about["language"], about["language_ietf"]] == (codes or ["und", "und"])


def test_codecs_that_matroska_cannot_hold(tmp_path: Path) -> None:
    path, tracks = tmp_path / "film.mov", [DubTrack(dub(tmp_path), "es")]
    sound = ["-f", "lavfi", "-i", "sine=d=1"]
    ffmpeg(*sound, "-c:a", "adpcm_ima_qt", path)
    with pytest.raises(NotMuxable, match="no place for adpcm_ima_qt"):
        mux(path, tracks, [], tmp_path / "out.mkv")
    ffmpeg(*sound, "-c:a", "pcm_f64be", path)
    report = mux(path, tracks, [], tmp_path / "out.mkv")
    assert (report.streams[0].proof, report.converted[0].outcome) == ("samples", "became pcm_f64le")


@pytest.mark.parametrize(
    ("front", "behind"), [(b"", b""), (b"time", b""), (b"", b"x" * 16)], ids=["ts", "m2ts", "fec"]
)
@pytest.mark.parametrize("garbage", [b"", b"\x47" + b"g" * 99])
def test_pids_in_every_framing(
    parts: tuple[bytes, bytes, bytes], front: bytes, behind: bytes, garbage: bytes
) -> None:
    data = garbage + framed(parts[1], front, behind)
    assert stream_pids(data) == (0x100, 0x101, THIRD_PID)


def test_pids_of_what_is_no_transport_stream() -> None:
    for data in (b"", b"G", b"G" * 3, bytes(100_000), b"\xff" * 100_000, bytes(range(256)) * 99):
        assert stream_pids(data) == ()


def test_only_broadcasts_are_looked_through(late: Path, tmp_path: Path) -> None:
    assert seen_streams(late) == {0x100, 0x101, THIRD_PID}
    assert reading_options(late)[:2] == ("-probesize", str(8 << 20))
    ffmpeg("-i", late, "-map", "0:0", "-map", "0:1", "-c", "copy", tmp_path / "a.mkv")
    assert reading_options(tmp_path / "a.mkv") == ()
    assert reading_options(tmp_path / "none") == ()
    ffmpeg("-i", late, "-map", "0:0", "-map", "0:1", "-c", "copy", "-f", "vob", tmp_path / "a.vob")
    assert reading_options(tmp_path / "a.vob")
    assert [s.pid for s in read_facts(late).streams] == [0x100, 0x101, THIRD_PID]


def test_a_recording_cut_between_key_pictures_keeps_all_that_is_in_it(tmp_path: Path) -> None:
    whole, cut, result = (tmp_path / name for name in ("whole.ts", "cut.ts", "out.mkv"))
    picture = ["-f", "lavfi", "-i", "testsrc=size=192x108:rate=25:duration=8"]
    sound = ["-f", "lavfi", "-i", "sine=duration=8"]
    # A key picture every four seconds.
    ffmpeg(*picture, *sound, "-c:v", "libx264", "-g", "100", "-bf", "2", "-c:a", "ac3", whole)
    data = whole.read_bytes()
    middle = len(data) // 188 // 4 * 188
    cut.write_bytes(data[: 3 * 188] + data[middle:])
    counted = ["-select_streams", "v", "-count_packets", "-show_entries", "stream=nb_read_packets"]
    command = ["ffprobe", "-v", "quiet", *counted, "-of", "json", cut]
    read = subprocess.run(command, check=True, capture_output=True).stdout
    there = json.loads(read)["streams"][0]["nb_read_packets"]
    report = mux(cut, [DubTrack(dub(tmp_path), "es")], [], result)
    assert report.streams[0].packets == int(there) > 100
    assert all(row.proof for row in report.streams)
    assert report.max_offset_ms < 1
