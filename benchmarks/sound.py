"""How dear the sound is: CPU, wall time and memory of the mix against the AC-3 encoder alone.

python benchmarks/sound.py                 5 min/80 lines and 45 min/800, stereo and 5.1
python benchmarks/sound.py --minutes 120 --lines 2000 --channels 2
python benchmarks/sound.py --quick         two minutes, the same work
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.media.encoding import SoundFormat, choose_format
from dubarr_pipeline.media.loudness import Loudness, measure_file
from dubarr_pipeline.media.mix_options import MixOptions, MixSources, PlacedTake, Preset
from dubarr_pipeline.media.mixdown import mix
from dubarr_pipeline.media.waveform import WaveWriter, write_wave
from dubarr_pipeline.timeline.spans import Span

RATE = 48000
TAKE_RATE = 24000
PIECE_S = 20
VARIANTS = 16
MIX_MUST, MIX_TARGET = 2.2, 1.6
MEMORY_MUST_MB, MEMORY_TARGET_MB = 300, 150


@dataclass(frozen=True, slots=True)
class Film:
    """How long, how many lines, how many channels."""

    minutes: float
    lines: int
    channels: int

    @property
    def name(self) -> str:
        return f"{self.minutes:g} min, {self.lines} lines, {self.channels} channels"

    @property
    def samples(self) -> int:
        return round(self.minutes * 60 * RATE)


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU (children too), time, our peak memory, and what the mixer reported."""

    cpu_s: float
    wall_s: float
    peak_mb: float = 0.0
    miss_lu: float = 0.0
    passes: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table, as targets.md asks for it."""

    name: str
    value: float
    unit: str
    must: float | None = None
    target: float | None = None
    better: str = "lower"
    floor: str = ""


def make_film(folder: Path, film: Film) -> None:
    """Write both stems, all takes, and what the original programme measures."""
    random = np.random.default_rng(7)
    windows = _windows(film)
    voices = [_voice(random, RATE) for _ in range(VARIANTS)]
    pieces = [_bed(random, film.channels) for _ in range(3)]
    with (
        WaveWriter(folder / "accompaniment.wav", RATE, film.channels, film.samples) as bed,
        WaveWriter(folder / "vocals.wav", RATE, film.channels, film.samples) as vocals,
    ):
        for start in range(0, film.samples, PIECE_S * RATE):
            piece = Span(start, min(start + PIECE_S * RATE, film.samples))
            bed.write(pieces[start // (PIECE_S * RATE) % 3][:, : piece.length])
            vocals.write(_spoken(piece, film, voices, windows))
    _write_takes(folder, windows, [_voice(random, TAKE_RATE) for _ in range(VARIANTS)])
    (folder / "loudness.json").write_text(json.dumps(asdict(_programme(folder))))


def _windows(film: Film) -> list[Span]:
    step = film.samples / film.lines
    return [Span(round(i * step), round(i * step + 0.7 * step)) for i in range(film.lines)]


def _voice(random: np.random.Generator, rate: int) -> np.ndarray:
    """Return 10 s of a buzz with formants and syllables, peaks at -10 dBFS."""
    t = np.arange(10 * rate) / rate
    pitch = random.uniform(90, 220) * (1 + 0.05 * np.sin(2 * np.pi * 0.7 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    tone = sum(np.sin(k * phase) / (1 + (k / 6) ** 2) for k in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * random.uniform(3, 5) * t), 0, None) ** 0.5
    voice = tone * syllables
    return (0.3 * voice / np.abs(voice).max()).astype(np.float32)


def _bed(random: np.random.Generator, channels: int) -> np.ndarray:
    """Return one piece of falling (pink-like) noise, peaks near -14 dBFS."""
    size = PIECE_S * RATE
    spectrum = np.fft.rfft(random.standard_normal((channels, size)))
    spectrum /= np.maximum(np.fft.rfftfreq(size, 1 / RATE), 30.0)
    noise = np.fft.irfft(spectrum, size)
    return (0.2 * noise / np.abs(noise).max()).astype(np.float32)


def _spoken(
    piece: Span, film: Film, voices: Sequence[np.ndarray], windows: Sequence[Span]
) -> np.ndarray:
    """Return one piece of the voices: in the centre channel, or in front where there is none."""
    block = np.zeros((film.channels, piece.length), np.float32)
    rows = [2] if film.channels >= 6 else list(range(film.channels))
    first = max(0, int(piece.start / film.samples * film.lines) - 1)
    for index, window in enumerate(windows[first : first + 40], start=first):
        part = window.clip(piece)
        if part:
            voice = np.resize(voices[index % VARIANTS], window.length)
            spoken = voice[part.start - window.start : part.end - window.start]
            block[rows, part.start - piece.start : part.end - piece.start] = spoken
    return block


def _write_takes(folder: Path, windows: Sequence[Span], voices: Sequence[np.ndarray]) -> None:
    (folder / "takes").mkdir()
    for index, placed in enumerate(_placed(folder, windows)):
        length = round(placed.window.length / RATE * TAKE_RATE * 0.98)
        write_wave(placed.path, np.resize(voices[index % VARIANTS], length), TAKE_RATE)


def _placed(folder: Path, windows: Sequence[Span]) -> list[PlacedTake]:
    return [
        PlacedTake(w.start, folder / "takes" / f"final_es_{i}.wav", f"SPEAKER_{i % 4:02}", w)
        for i, w in enumerate(windows)
    ]


def _programme(folder: Path) -> Loudness:
    """Measure the original programme, which both stems make up."""
    original = folder / "original.flac"
    inputs = [
        part
        for stem in ("accompaniment.wav", "vocals.wav")
        for part in ("-i", ffmpeg.file_url(folder / stem))
    ]
    join = ["-filter_complex", "amix=inputs=2:normalize=0", "-c:a", "flac"]
    ffmpeg.run(["-y", *inputs, *join, ffmpeg.file_url(original)])
    measured = measure_file(original)
    original.unlink()
    return measured


def _cpu_s() -> float:
    usages = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_mb() -> float:
    """Our own high-water mark; `ru_maxrss` would also remember the process that started us."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def mix_here(folder: Path, film: Film, preset: Preset) -> Cost:
    """Mix the film that lies in the folder, in this (fresh) process."""
    windows = _windows(film)
    kept = tuple(windows[5::50])
    takes = [take for take in _placed(folder, windows) if take.window not in kept]
    loudness = Loudness(**json.loads((folder / "loudness.json").read_text()))
    stems = folder / "accompaniment.wav", folder / "vocals.wav"
    sources = MixSources(*stems, tuple(windows), kept, loudness)
    before, clock = _cpu_s(), time.perf_counter()
    report = mix(sources, takes, folder / "final_es.ac3", MixOptions(preset=preset))
    cpu_s, wall_s = _cpu_s() - before, time.perf_counter() - clock
    return Cost(cpu_s, wall_s, _peak_mb(), report.miss_lu, report.passes)


def mix_cost(folder: Path, film: Film, preset: Preset) -> Cost:
    """The same in a process of its own, so that its memory is its own."""
    film_text = json.dumps(asdict(film))
    command = [sys.executable, __file__, "--measure", str(folder), film_text, preset]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return Cost(**json.loads(found.stdout))


def encoder_cost(folder: Path, film: Film) -> Cost:
    """Have ffmpeg encode the accompaniment alone, at the bitrate that the mixer uses."""
    kbps = choose_format("ac3", SoundFormat(RATE, film.channels, None), None).bitrate_kbps
    before, clock = _cpu_s(), time.perf_counter()
    source = ffmpeg.file_url(folder / "accompaniment.wav")
    ffmpeg.run(["-y", "-i", source, "-c:a", "ac3", "-b:a", f"{kbps}k", folder / "floor.ac3"])
    return Cost(_cpu_s() - before, time.perf_counter() - clock)


def mix_rows(film: Film, presets: Sequence[Preset]) -> Iterator[Row]:
    """Mix one film with each preset, the encoder alone before and after."""
    with tempfile.TemporaryDirectory(prefix="dubarr-sound-") as place:
        folder = Path(place)
        make_film(folder, film)
        alone = [encoder_cost(folder, film)]
        costs = {preset: mix_cost(folder, film, preset) for preset in presets}
        alone.append(encoder_cost(folder, film))
    floor_cpu_s = sum(cost.cpu_s for cost in alone) / 2
    floor_wall_s = sum(cost.wall_s for cost in alone) / 2
    for preset, cost in costs.items():
        name = f"mix ({preset}), {film.name}"
        floor = f"ffmpeg encoding the accompaniment to AC-3 alone: {floor_cpu_s:.2f} s of CPU"
        passes = f"{cost.passes} pass(es), {cost.cpu_s:.2f} s of CPU"
        yield Row(f"{name}: CPU", cost.cpu_s / floor_cpu_s, "x", MIX_MUST, MIX_TARGET, floor=floor)
        yield Row(f"{name}: wall", cost.wall_s / floor_wall_s, "x", floor=passes)
        yield Row(f"{name}: peak memory", cost.peak_mb, "MB", MEMORY_MUST_MB, MEMORY_TARGET_MB)
        yield Row(f"{name}: loudness, off the source by", abs(cost.miss_lu), "LU", 1.0, 0.2)


def _films(options: argparse.Namespace) -> list[Film]:
    if options.minutes:
        return [Film(options.minutes, options.lines, options.channels)]
    if options.quick:
        return [Film(2, 32, 2)]
    return [Film(m, n, c) for m, n in ((5, 80), (45, 800)) for c in (2, 6)]


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description="What mixing costs.")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--quick", action="store_true", help="two minutes of film")
    parser.add_argument("--minutes", type=float, help="one film of this length")
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--presets", nargs="+", choices=get_args(Preset), default=["film", "duck"])
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        folder, film, preset = options.measure
        print(json.dumps(asdict(mix_here(Path(folder), Film(**json.loads(film)), preset))))
        return
    rows = [row for film in _films(options) for row in mix_rows(film, options.presets)]
    if options.json:
        print(json.dumps({"machine": platform.platform(), "rows": [asdict(row) for row in rows]}))
        return
    for row in rows:
        bounds = [f"{n} {v:g}" for n, v in (("must", row.must), ("target", row.target)) if v]
        print(f"{row.name:70} {row.value:8.2f} {row.unit:3} {', '.join(bounds):22} {row.floor}")


if __name__ == "__main__":
    main()
