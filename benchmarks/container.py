"""What the mux costs with its proof, against one plain stream copy by ffmpeg in the same run.

A synthetic film (H.264, AC-3 5.1, AAC stereo; two hours, with --quick two minutes) gets two new
AC-3 tracks: once by a bare `ffmpeg -c copy`, once by `mux`, which also hashes every packet of the
source while copying, reads the result back, compares all packets and times, and finishes the
headers. CPU is our own and all children's. The offset of the new track is measured on an impulse in
films whose sound starts late.

    python benchmarks/container.py [--quick] [--json] [--folder DIR]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from figures import Row, peak_mb, show

from dubarr_pipeline.media.audio.wav import WaveFile, write_wave
from dubarr_pipeline.media.container.extract import extract_audio
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.mux.mux import DubTrack, mux

RATE = 48_000
LATE_S = 1.234
BASE_S = 60


def ffmpeg(*arguments: str | Path) -> None:
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True)


def cpu_s() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def cpu_of(work: Callable[[], object]) -> float:
    before = cpu_s()
    work()
    return cpu_s() - before


def make_film(folder: Path, minutes: int) -> tuple[Path, Path]:
    """Encode a minute, and repeat it without encoding again; the new track likewise."""
    minute, track = folder / "minute.mkv", folder / "minute.ac3"
    sound = f"anoisesrc=d={BASE_S}:r={RATE}:a=0.1"
    ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=s=640x360:r=24:d={BASE_S},noise=alls=12:allf=t"),
        *("-f", "lavfi", "-i", f"{sound},aformat=channel_layouts=5.1", "-f", "lavfi", "-i", sound),
        *("-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-preset", "ultrafast"),
        *("-bf", "2", "-b:v", "1500k", "-c:a:0", "ac3", "-b:a:0", "448k", "-c:a:1", "aac", minute),
    )
    ffmpeg("-i", minute, "-map", "0:1", "-c", "copy", track)
    film, dub = folder / "film.mkv", folder / "dub.ac3"
    for source, result in ((minute, film), (track, dub)):
        loop = ["-stream_loop", str(minutes - 1), "-i", source, "-map", "0", "-c", "copy"]
        ffmpeg(*loop, result)
    return film, dub


def measure_cost(folder: Path, minutes: int, repeats: int) -> list[Row]:
    film, dub = make_film(folder, minutes)
    plain, result = folder / "plain.mkv", folder / "final.mkv"
    inputs = [p for path in (film, dub, dub) for p in ("-i", path)]
    maps = [p for n in range(3) for p in ("-map", str(n))]
    tracks = [DubTrack(dub, "es"), DubTrack(dub, "pt-BR")]
    floors, costs = [], []
    for _ in range(repeats):
        floors.append(cpu_of(lambda: ffmpeg(*inputs, *maps, "-c", "copy", plain)))
        costs.append(cpu_of(lambda: mux(film, tracks, [], result)))
    floor = f"ffmpeg -c copy of the same streams, {min(floors):.2f} CPU s"
    name = f"mux of {minutes} min with two new tracks, proven: CPU"
    memory = peak_mb()
    return [
        Row(name, min(costs) / min(floors), "x", 3.0, 2.0, "lower", floor),
        Row("peak memory of mux and its tools", memory, "MB", 300, 150, "lower", "none"),
    ]


def impulse_s(path: Path, number: int, scratch: Path) -> float:
    info = probe(path)
    heard = extract_audio(info, info.audio[number], scratch)
    with WaveFile(scratch) as wave:
        return heard.offset_s + int(np.abs(wave.read(0, wave.samples)[0]).argmax()) / heard.rate


def measure_offset(folder: Path, name: str, codec: str) -> Row:
    """Dub a film with its own sound, and compare when both are heard."""
    click = np.zeros(RATE, np.float32)
    click[RATE // 2] = 0.9
    write_wave(folder / "click.wav", click, RATE)
    source, result, scratch = folder / name, folder / "offset.mkv", folder / "heard.wav"
    picture = ["-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=3", "-itsoffset", str(LATE_S)]
    video = "libvpx" if name.endswith("webm") else "libx264"
    ffmpeg(*picture, "-i", folder / "click.wav", "-c:v", video, "-c:a", codec, source)
    info = probe(source)
    heard = extract_audio(info, info.audio[0], scratch)
    track = folder / "click.flac"
    ffmpeg("-i", scratch, track)
    mux(source, [DubTrack(track, "es", offset_s=heard.offset_s)], [], result)
    moved = impulse_s(result, 1, scratch) - impulse_s(result, 0, scratch)
    name = f"offset of a dub in a {source.suffix[1:]} whose sound starts late"
    return Row(name, abs(moved) * 1000, "ms", 5.0, 1.0, "lower", "the original's impulse")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two minutes instead of two hours")
    parser.add_argument("--json", action="store_true", help="one JSON object for machines")
    parser.add_argument("--folder", type=Path, help="where the films are made (about 6 GB)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        minutes, repeats = (2, 1) if options.quick else (120, 2)
        rows = measure_cost(folder, minutes, repeats)
        for film, codec in (
            ("a.mkv", "aac"),
            ("a.mp4", "aac"),
            ("a.ts", "ac3"),
            ("a.webm", "libopus"),
        ):
            rows.append(measure_offset(folder, film, codec))
    show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
