"""Tiny films, and a bench on which the real commands dub them in this process."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

from dubarr_pipeline.checkpoints import sealed_files
from dubarr_pipeline.cli import main
from dubarr_pipeline.engines.interfaces import SpeechRequest, Voice
from dubarr_pipeline.engines.synthesis.espeak import EspeakSynthesizer
from dubarr_pipeline.jobs import STAGES
from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.media.resample import resample
from dubarr_pipeline.media.sound_reader import Samples
from dubarr_pipeline.media.waveform import write_wave
from dubarr_pipeline.timeline.script import SpeakerProfile
from dubarr_pipeline.workdir import WorkDir

RATE = 48_000
DUBARR = Path(sys.executable).with_name("dubarr")


@dataclass(frozen=True)
class Said:
    """A line of a tiny film; with `spoken` false it stands in the subtitles alone."""

    start_s: float
    text: str
    end_s: float
    spoken: bool = True


TWO_LINES = (
    Said(0.3, "Good morning. We need a boat.", 2.2),
    Said(2.9, "Silence! I hear a bell.", 4.5),
)


@dataclass(frozen=True)
class Film:
    """What a tiny film holds."""

    lines: Sequence[Said] = TWO_LINES
    length_s: float = 5.0
    noise: float = 0.004
    subtitles: bool = True
    sound: bool = True
    language: str = "eng"
    arguments: tuple[str, ...] = field(default=("-c:a", "flac"))


def make_film(path: Path, film: Film | None = None) -> Path:
    """Render a film, with its subtitles beside it."""
    film = film or Film()
    scratch = path.parent / "scratch of a film"
    scratch.mkdir(parents=True)
    write_wave(scratch / "sound.wav", _sound(film), RATE)
    picture = ["-f", "lavfi", "-i", f"testsrc=size=64x48:rate=10:duration={film.length_s}"]
    sound = ["-i", ffmpeg.file_url(scratch / "sound.wav"), "-map", "0:v", "-map", "1:a"]
    told = ["-metadata:s:a:0", f"language={film.language}"] if film.language else []
    encoded = ["-c:v", "libx264", "-preset", "ultrafast", "-fflags", "+bitexact"]
    ffmpeg.run(
        [
            *(*picture, *(sound if film.sound else ()), *encoded),
            *((*film.arguments, *told) if film.sound else ()),
            *("-y", ffmpeg.file_url(path)),
        ]
    )
    shutil.rmtree(scratch)
    if film.subtitles:
        sidecar(path, "en").write_text(srt(film.lines), encoding="utf-8")
    return path


def sidecar(path: Path, language: str) -> Path:
    """Where a film's subtitles in a language lie."""
    return path.with_name(f"{path.stem}.{language}.srt")


def srt(lines: Sequence[Said]) -> str:
    """The lines as SubRip."""
    blocks = [
        f"{number}\n{_clock(line.start_s)} --> {_clock(line.end_s)}\n{line.text}\n"
        for number, line in enumerate(lines, start=1)
    ]
    return "\n".join(blocks)


def _clock(seconds: float) -> str:
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"00:{minutes:02}:{rest // 1000:02},{rest % 1000:03}"


def _sound(film: Film) -> Samples:
    count = round(film.length_s * RATE)
    random = np.random.default_rng(5)
    sound = (film.noise * random.standard_normal((2, count))).astype(np.float32)
    spoken = [line for line in film.lines if line.spoken]
    if spoken:
        with EspeakSynthesizer() as voice:
            for line in spoken:
                start, take = round(line.start_s * RATE), _take(voice, line)
                sound[:, start : start + len(take)] += take[: count - start]
    return sound


def _take(voice: EspeakSynthesizer, line: Said) -> Samples:
    who = Voice("Anna", SpeakerProfile("Anna", pitch_hz=140.0))
    speech = voice.speak(SpeechRequest(line.text, "en", who))
    take = resample(speech.samples, speech.rate, RATE)[: round((line.end_s - line.start_s) * RATE)]
    return (take * (0.08 / np.sqrt(np.mean(take**2)))).astype(np.float32)


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def both(self) -> str:
        return self.out + self.err


class Bench:
    """A work folder with its own store, and the commands on it."""

    def __init__(self, work_dir: Path, config: Path | None = None) -> None:
        self.work_dir = work_dir
        self.config = config

    def environment(self) -> dict[str, str | None]:
        """What a command sees; None takes a variable away."""
        config = str(self.config) if self.config else None
        return {
            "DAGSTER_HOME": None,
            "DUBARR_WORK_DIR": str(self.work_dir),
            "DUBARR_CONFIG": config,
        }

    def run(self, *arguments: str | Path) -> Answer:
        """Give a command, in this process."""
        given = [os.fspath(argument) for argument in arguments]
        runner = CliRunner(env=self.environment())
        found = runner.invoke(main, given, catch_exceptions=False)
        return Answer(found.exit_code, found.stdout, found.stderr)

    def dub(self, film: Path, languages: str = "es") -> Answer:
        """Dub a film."""
        return self.run("dub", "--to", languages, "--", film)

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        """Give a command in a process of its own."""
        found = {**os.environ, **self.environment()}
        return subprocess.Popen(
            [DUBARR, *arguments],
            env={name: value for name, value in found.items() if value is not None},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def finish(self, process: subprocess.Popen[str]) -> Answer:
        """Wait for a command's end."""
        out, err = process.communicate(timeout=240)
        return Answer(process.returncode, out, err)

    def status(self) -> list[dict[str, Any]]:
        """The task table."""
        return json.loads(self.run("status", "--json").out)

    def works(self) -> list[WorkDir]:
        """The work folders, by name."""
        found = sorted(self.work_dir.glob("*/video.json"))
        return [WorkDir(path.parent) for path in found]

    @property
    def work(self) -> WorkDir:
        """The only work folder."""
        (work,) = self.works()
        return work

    def made(self) -> tuple[str, ...]:
        """The stages that worked in the last run of the only video."""
        (task,) = self.status()
        return tuple(step["stage"] for step in task["steps"] if step["reused"] is False)


def stats(work: WorkDir) -> dict[str, Any]:
    """The figures of the last production."""
    return json.loads(work.segments_report.read_text())["stats"]


def streams(path: Path) -> list[str]:
    """A digest of every stream's packets."""
    found = ffmpeg.run(
        ["-i", ffmpeg.file_url(path), "-map", "0", "-c", "copy", "-f", "streamhash", "-"]
    )
    return found.stdout.decode().split()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for the stores and locks."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".dagster" not in path.parts and path.name != ".lock"
    }


def leftovers(folder: Path) -> list[str]:
    """Unfinished files below a folder."""
    return [str(path) for path in folder.rglob("*") if ".part" in path.name or ".tmp" in path.name]


def artifacts(work: WorkDir) -> dict[str, list[Path]]:
    """What every stage left."""
    return {stage: sealed_files(work, stage) for stage in STAGES}


def flip_byte(path: Path) -> None:
    """Change one byte in the middle; size and date stay as they were."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def write_config(path: Path, tables: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write a settings file."""
    lines: list[str] = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


@contextlib.contextmanager
def ordinary_permissions() -> Iterator[None]:
    """Let permissions count for this thread even where the tests run as root."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    held = (ctypes.c_uint32 * 6)()
    if libc.capget(header, held):
        raise OSError(ctypes.get_errno(), "capget")
    fewer = (ctypes.c_uint32 * 6)(*held)
    fewer[0] &= ~(1 << _CAP_DAC_OVERRIDE | 1 << _CAP_DAC_READ_SEARCH)
    libc.capset(header, fewer)
    try:
        yield
    finally:
        libc.capset(header, held)


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """Mount a tiny disk at `folder`; yields whether the system permits that."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", folder], check=True)
