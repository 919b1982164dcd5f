"""How dear the sound is: mix, mux and extraction, each against a bare tool in the same run.

python benchmarks/sound.py                 5 min/80 lines and 45 min/800, stereo and 5.1
python benchmarks/sound.py --full          those, 2 h/2,000, and 3 h of 5.1 (needs 45 GB in $TMPDIR)
python benchmarks/sound.py --minutes 120 --lines 2000 --channels 2
python benchmarks/sound.py --quick         two minutes, the same work

Floors: for the mix, ffmpeg encoding the accompaniment to AC-3; for the mux, ffmpeg copying the same
streams, and `cp` of the finished file; for the extraction, ffmpeg decoding the film's sound to WAV.
CPU is user and system time, our tools' too; memory is the largest process's, ours or a tool's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
# As the command `dubarr` does.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from figures import Row, peak_mb, show

from dubarr_pipeline.media.audio.k_weighting import frame_powers
from dubarr_pipeline.media.audio.loudness import Loudness
from dubarr_pipeline.media.audio.wav import WaveWriter, write_wave
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.extract import extract_audio
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.mix.check import prove_track
from dubarr_pipeline.media.mix.encode import SoundFormat, choose_format
from dubarr_pipeline.media.mix.mix import mix
from dubarr_pipeline.media.mix.options import MixOptions, MixSources, PlacedTake, Preset
from dubarr_pipeline.media.mux.mux import DubTrack, mux
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.speech_meters import measure_file

RATE = 48000
TAKE_RATE = 24000
PIECE_S = 20
VARIANTS = 16
CLIP_S = 10
MIX_MUST, MIX_TARGET = 1.6, 1.3
MUX_SHORT, MUX_LONG = (2.2, 1.8), (1.6, 1.4)
"""Must and target of a mux: of a film that the tools' own starts weigh on, and from an hour on."""
EXTRACTION_MUST, EXTRACTION_TARGET = 2.5, 2.0
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
    """CPU (tools too), time, peak memory (ours or a tool's), and the mixer's report and proof."""

    cpu_s: float
    wall_s: float
    peak_mb: float = 0.0
    miss_lu: float = 0.0
    passes: int = 1
    proof_cpu_s: float = 0.0


def make_film(folder: Path, film: Film) -> None:
    """Write both stems, all takes, and what the original programme measures."""
    random = np.random.default_rng(7)
    windows = windows_of(film)
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
    programme = _programme(folder, film)
    (folder / "loudness.json").write_text(json.dumps(asdict(programme)))


def windows_of(film: Film) -> list[Span]:
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
    for index, placed in enumerate(placed_takes(folder, windows)):
        length = round(placed.window.length / RATE * TAKE_RATE * 0.98)
        write_wave(placed.path, np.resize(voices[index % VARIANTS], length), TAKE_RATE)


def placed_takes(folder: Path, windows: Sequence[Span]) -> list[PlacedTake]:
    return [
        PlacedTake(w.start, folder / "takes" / f"final_es_{i}.wav", f"SPEAKER_{i % 4:02}", w)
        for i, w in enumerate(windows)
    ]


def _programme(folder: Path, film: Film) -> Loudness:
    """Make the film of both stems and a looped picture, and measure its sound."""
    clip, picture = folder / "clip.mkv", f"testsrc2=s=320x180:r=24:d={CLIP_S}"
    ffmpeg.run(["-y", "-f", "lavfi", "-i", picture, "-preset", "ultrafast", clip])
    stems = [a for n in ("accompaniment.wav", "vocals.wav") for a in ("-i", folder / n)]
    join = ["-filter_complex", "[1:a][2:a]amix=inputs=2:normalize=0[both]"]
    sound = ["-map", "[both]", "-c:a", "ac3", "-b:a", f"{_kbps(film)}k"]
    loop = ["-stream_loop", "-1", "-i", clip]
    length = ["-t", str(film.samples / RATE)]
    whole = folder / "film.mkv"
    ffmpeg.run(["-y", *loop, *stems, *join, "-map", "0:v", "-c:v", "copy", *sound, *length, whole])
    return measure_file(whole)


def _kbps(film: Film) -> int | None:
    """The bitrate that the mixer uses."""
    return choose_format("ac3", SoundFormat(RATE, film.channels, None), None).bitrate_kbps


def _cpu_s() -> float:
    usages = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def mix_here(folder: Path, film: Film, preset: Preset) -> Cost:
    """Mix the film that lies in the folder, in this (fresh) process.

    SciPy's transforms are loaded before: in a dub, the stages before the mix have done so.
    """
    frame_powers(np.ones((1, RATE), np.float32), RATE)
    windows = windows_of(film)
    kept = tuple(windows[5::50])
    takes = [take for take in placed_takes(folder, windows) if take.window not in kept]
    loudness = Loudness(**json.loads((folder / "loudness.json").read_text()))
    stems = folder / "accompaniment.wav", folder / "vocals.wav"
    sources = MixSources(*stems, tuple(windows), kept, loudness)
    options = MixOptions(preset=preset)
    made, track = [], folder / "final_es.ac3"
    cost = cost_of(lambda: made.append(mix(sources, takes, track, options)))
    proof = cost_of(lambda: prove_track(track, sources, takes, made[0], options))
    report = made[0]
    told = {"miss_lu": report.miss_lu, "passes": report.passes, "proof_cpu_s": proof.cpu_s}
    return replace(cost, peak_mb=proof.peak_mb, **told)


def mux_here(folder: Path, _film: Film, _preset: Preset) -> Cost:
    """Put the finished track beside the film's own streams, and prove them."""
    track = DubTrack(folder / "final_es.ac3", "es")
    # In a dub, the film was looked at when it was let in.
    probe(folder / "film.mkv")
    return cost_of(lambda: mux(folder / "film.mkv", [track], [], folder / "final.mkv"))


def extract_here(folder: Path, _film: Film, _preset: Preset) -> Cost:
    """Decode and measure the film's sound, and hear it as speech detection does."""
    info = probe(folder / "film.mkv")
    sound = folder / "extracted.wav"
    return cost_of(lambda: extract_audio(info, info.audio[0], sound, on_mono16k=lambda _: None))


def cost_of(work: Callable[[], object]) -> Cost:
    """Do it, and say what it cost."""
    before, clock = _cpu_s(), time.perf_counter()
    work()
    return Cost(_cpu_s() - before, time.perf_counter() - clock, peak_mb())


WORKS = {"mix": mix_here, "mux": mux_here, "extraction": extract_here}


def own_cost(work: str, folder: Path, film: Film, preset: Preset = "film") -> Cost:
    """What a work costs in a process of its own, so that its memory is its own."""
    told = json.dumps(asdict(film))
    command = [sys.executable, __file__, "--measure", work, str(folder), told, preset]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return Cost(**json.loads(found.stdout))


def tool_cost(*arguments: str | Path) -> Cost:
    """What ffmpeg alone costs."""
    return cost_of(lambda: ffmpeg.run(["-y", *arguments]))


def encoder_cost(folder: Path, film: Film) -> Cost:
    """Have ffmpeg encode the accompaniment alone, at the bitrate that the mixer uses."""
    encode = ["-c:a", "ac3", "-b:a", f"{_kbps(film)}k", folder / "floor.ac3"]
    return tool_cost("-i", folder / "accompaniment.wav", *encode)


def film_rows(film: Film, presets: Sequence[Preset]) -> Iterator[Row]:
    """Mix, mux and extract one film."""
    with tempfile.TemporaryDirectory(prefix="dubarr-sound-") as place:
        folder = Path(place)
        make_film(folder, film)
        yield from mix_rows(folder, film, presets)
        yield from mux_rows(folder, film)
        yield from extraction_rows(folder, film)


def mix_rows(folder: Path, film: Film, presets: Sequence[Preset]) -> Iterator[Row]:
    """Mix one film with each preset, the encoder alone before and after."""
    alone = [encoder_cost(folder, film)]
    costs = {preset: own_cost("mix", folder, film, preset) for preset in presets}
    alone.append(encoder_cost(folder, film))
    cpu_s, wall_s = fmean(c.cpu_s for c in alone), fmean(c.wall_s for c in alone)
    for preset, cost in costs.items():
        name = f"mix ({preset}), {film.name}"
        floor = f"ffmpeg encoding the accompaniment to AC-3 alone: {cpu_s:.2f} s of CPU"
        passes = f"{cost.passes} pass(es), {cost.cpu_s:.2f} s of CPU"
        yield Row(f"{name}: CPU", cost.cpu_s / cpu_s, "x", MIX_MUST, MIX_TARGET, floor=floor)
        proven = (cost.cpu_s + cost.proof_cpu_s) / cpu_s
        by_proof = f"the proof decodes the track once: {cost.proof_cpu_s:.2f} s of CPU"
        yield Row(f"{name}: CPU with proof", proven, "x", floor=by_proof)
        yield Row(f"{name}: wall", cost.wall_s / wall_s, "x", floor=passes)
        yield memory_row(name, cost)
        yield Row(f"{name}: loudness, off the source by", abs(cost.miss_lu), "LU", 1.0, 0.2)


def mux_rows(folder: Path, film: Film) -> Iterator[Row]:
    """Mux with its proof, against a bare stream copy and against `cp`."""
    name, plain = f"mux, {film.name}", folder / "plain.mkv"
    streams = ["-i", folder / "film.mkv", "-i", folder / "final_es.ac3", "-map", "0", "-map", "1"]
    bare = tool_cost(*streams, "-c", "copy", plain)
    copied = cost_of(lambda: shutil.copyfile(plain, folder / "copied.mkv"))
    cost = own_cost("mux", folder, film)
    floor = f"ffmpeg -c copy of the same streams: {bare.cpu_s:.2f} s of CPU"
    must, target = MUX_LONG if film.minutes >= 60 else MUX_SHORT
    yield Row(f"{name}: CPU", cost.cpu_s / bare.cpu_s, "x", must, target, floor=floor)
    by_cp = f"cp of the file: {copied.wall_s:.2f} s"
    yield Row(f"{name}: wall", cost.wall_s / copied.wall_s, "x", floor=by_cp)
    yield memory_row(name, cost)


def extraction_rows(folder: Path, film: Film) -> Iterator[Row]:
    """Extraction with its meter and its second, 16 kHz output, against plain decoding."""
    name = f"extraction, {film.name}"
    decode = ["-map", "0:a:0", "-c:a", "pcm_f32le", "-rf64", "auto", folder / "decoded.wav"]
    plain = tool_cost("-i", folder / "film.mkv", *decode)
    (folder / "decoded.wav").unlink()
    cost = own_cost("extraction", folder, film)
    floor = f"ffmpeg decoding the sound to WAV: {plain.cpu_s:.2f} s of CPU"
    bounds = EXTRACTION_MUST, EXTRACTION_TARGET
    yield Row(f"{name}: CPU", cost.cpu_s / plain.cpu_s, "x", *bounds, floor=floor)
    yield Row(f"{name}: wall", cost.wall_s / plain.wall_s, "x", floor="the same")
    yield memory_row(name, cost)


def memory_row(name: str, cost: Cost) -> Row:
    """Peak memory of a work or its tools."""
    return Row(f"{name}: peak memory", cost.peak_mb, "MB", MEMORY_MUST_MB, MEMORY_TARGET_MB)


def _films(options: argparse.Namespace) -> list[Film]:
    if options.minutes:
        return [Film(options.minutes, options.lines, options.channels)]
    if options.quick:
        return [Film(2, 32, 2)]
    lengths = [(5, 80), (45, 800), *([(120, 2000)] if options.full else [])]
    films = [Film(minutes, lines, channels) for minutes, lines in lengths for channels in (2, 6)]
    return [*films, Film(180, 3000, 6)] if options.full else films


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description="What mixing, muxing and extracting cost.")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--quick", action="store_true", help="two minutes of film")
    parser.add_argument("--full", action="store_true", help="all lengths, up to three hours")
    parser.add_argument("--minutes", type=float, help="one film of this length")
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--presets", nargs="+", choices=get_args(Preset), default=["film", "duck"])
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        work, folder, film, preset = options.measure
        cost = WORKS[work](Path(folder), Film(**json.loads(film)), preset)
        print(json.dumps(asdict(cost)))
        return
    rows = (row for film in _films(options) for row in film_rows(film, options.presets))
    show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
