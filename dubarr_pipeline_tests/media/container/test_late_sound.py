"""Sound that does not start with the film: when it starts, and when it may end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.errors import NotAVideo
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.extract import ExtractedAudio, extract_audio
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.container.streams import choose_audio


def extract(path: Path, destination: Path) -> ExtractedAudio:
    info = probe(path)
    return extract_audio(info, choose_audio(info), destination)


def late(path: Path, codec: str, start_s: float, length_s: float) -> Path:
    """Make a film of 30 s whose only sound starts late."""
    picture = ("-f", "lavfi", "-i", "color=s=64x48:r=10:d=30")
    sound = ("-itsoffset", str(start_s), "-f", "lavfi", "-i", f"sine=d={length_s}:r=48000")
    encoded = ("-c:v", "mpeg4", "-c:a", codec)
    ffmpeg.run([*picture, *sound, "-map", "0", "-map", "1", *encoded, ffmpeg.file_url(path)])
    return path


@pytest.mark.parametrize(
    ("suffix", "codec", "late_s"),
    [
        *(("mkv", "aac", 0.0), ("mkv", "libopus", 0.35), ("mkv", "libvorbis", 0.0)),
        *(("mkv", "ac3", 25.0), ("mkv", "flac", 25.0), ("mp4", "aac", 0.35), ("mov", "aac", 25.0)),
        *(("ts", "aac", 0.35), ("ts", "ac3", 25.0), ("avi", "ac3", 25.0)),
    ],
)
def test_the_first_sample_has_the_time_that_ffprobe_tells(tmp_path, suffix, codec, late_s) -> None:
    path = late(tmp_path / f"a.{suffix}", codec, late_s, 1)
    found = extract(path, tmp_path / "x.wav")
    arguments = ("-select_streams", "a", "-show_entries", "frame=best_effort_timestamp_time")
    shown = ffmpeg.run([*arguments, "-of", "csv=p=0", path], tool="ffprobe").stdout.split()
    expected_s = float(shown[0].decode().strip(",")) - probe(path).start_s
    assert found.offset_s == pytest.approx(expected_s, abs=1e-6)


@pytest.mark.parametrize("remuxed", [False, True])
def test_sound_after_all_that_ffprobe_looks_at_may_end_before_the_film(tmp_path, remuxed) -> None:
    path = late(tmp_path / "a.mkv", "flac", 24, 2)
    if remuxed:
        # Its DURATION tag is the sound's length, not its end.
        path = tmp_path / "b.mkv"
        ffmpeg.run(["-q", "-o", path, tmp_path / "a.mkv"], tool="mkvmerge")
    found = extract(path, tmp_path / "x.wav")
    assert (found.offset_s, found.samples) == (24.0, 96_000)


def test_late_sound_that_ends_before_its_tag_is_refused(tmp_path: Path) -> None:
    path = late(tmp_path / "a.mkv", "flac", 20, 3)
    written = path.read_bytes()
    assert written.count(b"00:00:23.000000000") == 1
    path.write_bytes(written.replace(b"00:00:23.000000000", b"00:00:29.000000000"))
    with pytest.raises(NotAVideo, match="truncated or damaged"):
        extract(path, tmp_path / "x.wav")


def test_avi_counts_empty_blocks_before_late_sound(tmp_path: Path) -> None:
    path = tmp_path / "late.avi"
    picture = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=10"]
    sound = ["-itsoffset", "6", "-f", "lavfi", "-i", "sine=frequency=440:duration=4"]
    ffmpeg.run([*picture, *sound, "-c:v", "mpeg4", "-c:a", "libmp3lame", ffmpeg.file_url(path)])
    destination = tmp_path / "x.wav"
    found = extract(path, destination)
    assert found.samples / found.rate == pytest.approx(4.0, abs=0.1)
    with WaveFile(destination) as wave:
        heard = wave.read(0, wave.samples)
    assert float(np.sqrt(np.mean(heard**2))) > 0.05
    (note,) = found.notes
    assert note.startswith("10.0 s of sound are declared, 4.0")
