"""A film of 60 GB is read no oftener than it must be: counted in bytes, by what the kernel says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dubarr_pipeline.media.container import ffmpeg

SCRIPT = """
import sys
from pathlib import Path
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.extract import extract_audio
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.mux.mux import DubTrack, mux
from dubarr_pipeline.media.subtitles.read import read_cues
from dubarr_pipeline.media.subtitles.sources import find_subtitles
from dubarr_pipeline.workdir.identity import identify
film, work = Path(sys.argv[1]), sys.argv[2]
info = probe(film)
def read_bytes():
    # Of all children too, once they have ended.
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(lines[0].split()[1])
before = read_bytes()
if work == "digest":
    identify(film)
elif work == "extraction":
    extract_audio(info, info.audio[0], film.with_name("sound.wav"))
elif work == "subtitles":
    assert sum(len(read_cues(s, info, 1000, 0.0)) for s in find_subtitles(info)) == 3
elif work == "mux":
    mux(film, [DubTrack(film.with_name("dub.ac3"), "es")], [], film.with_name("final.mkv"))
print(read_bytes() - before)
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """58 MB: 20 s of picture and sound, and three subtitles."""
    folder = tmp_path_factory.mktemp("read")
    path = folder / "film.mkv"
    (folder / "a.srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nHello.\n")
    picture = ["-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=20"]
    sound = ["-f", "lavfi", "-i", "anoisesrc=d=20:r=48000"]
    inputs = [*picture, *sound, *(a for _ in range(3) for a in ("-i", folder / "a.srt"))]
    maps = [a for n in range(5) for a in ("-map", str(n))]
    ffmpeg.run(["-y", *inputs, *maps, "-c:v", "rawvideo", "-c:a", "ac3", "-c:s", "srt", path])
    ffmpeg.run(["-y", *sound, "-c:a", "ac3", folder / "dub.ac3"])
    return path


@pytest.mark.parametrize(
    ("work", "most"), [("digest", 1.05), ("extraction", 1.3), ("subtitles", 1.3), ("mux", 4.5)]
)
def test_how_often_the_film_is_read(film: Path, work: str, most: float):
    command = [sys.executable, "-c", SCRIPT, str(film), work]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    times = int(found.stdout) / film.stat().st_size
    assert 0.95 <= times <= most
