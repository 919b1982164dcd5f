"""What a listener hears in films whose every spoken word is known: the decoded track against them.

Each film has the same 24 known lines over a soft chord, and one fault of the files that people
have: subtitles of another cut, speed or offset, subtitles that break off or lack lines, rolling
captions, voices in one channel, an isolated score, a second programme. Nothing of the project's own
measures is used: the voices, the music and the times are known.

    python benchmarks/heard.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from figures import Row, show
from numpy.typing import NDArray

from dubarr_pipeline import dub
from dubarr_pipeline.errors import NoScript
from dubarr_pipeline.media.audio.wav import write_wave

RATE = 48_000
WHO = ("The doctor", "My brother", "The old king", "Your daughter", "A soldier", "The teacher")
DOES = ("opened the window", "found the letter", "lost the key", "sold the horse")
FRAME = RATE // 10
SILENT_DB = -25.0
"""What is left of the track without its music, against the voice: nothing, under this."""
Sound = NDArray[np.float64]
Cue = tuple[float, float, str]


@dataclass(frozen=True, slots=True)
class Line:
    """A spoken line: its place in seconds, its words, and its voice as samples."""

    start: float
    end: float
    text: str
    voice: Sound


@dataclass(frozen=True, slots=True)
class Case:
    """A film and what is wrong with its files.

    Attributes:
        script: the subtitles, made from the lines.
        panned: gains of the two speakers' voices, each (left, right).
        container: how ffmpeg is to put video, sound and music together.
        suffix: of the subtitle file; .srt or .vtt.
        refused: whether the film must be refused, or its script doubted.
    """

    name: str
    script: Callable[[Sequence[Line]], list[Cue]]
    panned: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 1.0), (1.0, 1.0))
    container: str = "plain"
    suffix: str = ".srt"
    refused: bool = False


@dataclass(slots=True)
class Heard:
    """What was found in one film."""

    muted_s: float = 0.0
    unnamed_s: float = 0.0
    wrong: int = 0
    nobody: int = 0
    lines: int = 0
    left_db: float | None = None
    refused: bool = False
    doubted: bool = False


def exact(lines: Sequence[Line]) -> list[Cue]:
    return [(line.start - 0.1, line.end + 0.2, line.text) for line in lines]


def moved(by: float, speed: float = 1.0) -> Callable[[Sequence[Line]], list[Cue]]:
    return lambda lines: [(a * speed + by, b * speed + by, t) for a, b, t in exact(lines)]


def scene_more(lines: Sequence[Line]) -> list[Cue]:
    """The film has a scene of six lines that the script's cut lacks."""
    cues = exact(lines)
    gone = cues[15][0] - cues[9][0]
    return cues[:9] + [(a - gone, b - gone, t) for a, b, t in cues[15:]]


def scene_less(lines: Sequence[Line]) -> list[Cue]:
    """The script's cut has a scene of six lines that the film lacks."""
    cues = exact(lines)
    times = [(a + 17.0, b + 16.3) for a, b, _ in cues[2:8]]
    scene = [(a, b, f"This scene is not in your film, part {n}.") for n, (a, b) in enumerate(times)]
    begin, more = cues[11][1] + 1.0, 1.0 + scene[-1][1] - scene[0][0]
    scene = [(a - scene[0][0] + begin, b - scene[0][0] + begin, t) for a, b, t in scene]
    return cues[:12] + scene + [(a + more, b + more, t) for a, b, t in cues[12:]]


def rolling(lines: Sequence[Line]) -> list[Cue]:
    """Each line is shown under the one before it until the next, and then alone for an instant."""
    starts = [line.start for line in lines]
    ends = [*(start - 0.01 for start in starts[1:]), lines[-1].end + 0.9]
    shown, above = list[Cue](), " "
    for line, end in zip(lines, ends, strict=True):
        shown.append((line.start, end, f"{above}\n{line.text}"))
        shown.append((end, end + 0.01, f"{line.text}\n "))
        above = line.text
    return shown


def of_another_film(lines: Sequence[Line]) -> list[Cue]:
    chance, now, cues = random.Random(5), 1.0, list[Cue]()
    for line in lines:
        length = chance.uniform(0.8, 4.5)
        cues.append((now, now + length, line.text))
        now += length + chance.choice((0.3, 0.9, 2.4))
    return cues


LEFT, RIGHT, CENTRE = (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)
CASES = (
    Case("right", exact),
    Case("3.5 s late", moved(3.5)),
    Case("one scene more in the film", scene_more),
    Case("voices hard left and right", exact, (LEFT, RIGHT)),
    Case("4.2 s early", moved(-4.2)),
    Case("24/25", moved(0.0, 24 / 25)),
    Case("25/24", moved(0.0, 25 / 24)),
    Case("one scene less in the film", scene_less),
    Case("broken off", lambda lines: exact(lines)[:12]),
    Case("every second line", lambda lines: exact(lines)[::2]),
    Case("rolling captions", rolling, suffix=".vtt"),
    Case("voices in the left channel", exact, (LEFT, LEFT)),
    Case("isolated score first", exact, container="score"),
    Case("two programmes", exact, container="programmes"),
    Case("of another film", of_another_film, refused=True),
)


def spoken(folder: Path) -> list[Line]:
    """The lines, each by ffmpeg's flite, one voice for each of two speakers in turn."""
    chance, now, lines = random.Random(12), 1.5, list[Line]()
    for number in range(24):
        text = f"{WHO[number % 6]} {DOES[number // 6]} {'yesterday ' * (number % 3 == 0)}at night."
        words = folder / "words.txt"
        words.write_text(text)
        voice = ("slt", "rms")[number % 2]
        source = f"flite=textfile={words}:voice={voice}"
        raw = run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, *to_raw(1))
        sound = 0.6 * np.frombuffer(raw, np.float32).astype(np.float64)
        loud = np.flatnonzero(np.abs(sound) > 0.01)
        sound = sound[loud[0] : loud[-1]]
        lines.append(Line(now, now + len(sound) / RATE, text, sound))
        now += len(sound) / RATE + chance.choice((0.5, 0.9, 1.6, 2.9))
    return lines


def run(*command: object) -> bytes:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True).stdout


def to_raw(channels: int) -> list[str]:
    return ["-ar", str(RATE), "-ac", str(channels), "-f", "f32le", "-"]


def stems(lines: Sequence[Line], case: Case) -> tuple[Sound, Sound]:
    """Voices and music, ``(2, samples)`` each."""
    samples = round((lines[-1].end + 2.0) * RATE)
    at = np.arange(samples) / RATE
    chord = sum(0.008 * np.sin(2 * np.pi * hz * at) for hz in (220.0, 277.2, 329.6))
    voices = np.zeros((2, samples))
    for number, line in enumerate(lines):
        first = round(line.start * RATE)
        for channel, gain in enumerate(case.panned[number % 2]):
            voices[channel, first : first + len(line.voice)] += gain * line.voice
    return voices, np.stack([chord, 0.9 * np.roll(chord, 300)])


def make_film(folder: Path, case: Case, voices: Sound, music: Sound) -> Path:
    """The film's file, with the sound that it is about and, if need be, one that it is not."""
    write_wave(folder / "film.wav", (voices + music).astype(np.float32), RATE)
    write_wave(folder / "music.wav", music.astype(np.float32), RATE)
    film = folder / ("film.ts" if case.container == "programmes" else "film.mkv")
    seconds = voices.shape[1] / RATE
    picture = ["-f", "lavfi", "-i", f"testsrc2=s=192x108:r=24:d={seconds}"]
    sounds = ["-i", folder / "music.wav", "-i", folder / "film.wav"]
    coded = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "ac3"]
    english = ["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=eng"]
    if case.container == "programmes":
        maps = ["-map", "0:v", "-map", "2:a", "-map", "1:a"]
        maps += ["-program", "title=film:st=0:st=1", "-program", "title=radio:st=2"]
    elif case.container == "score":
        maps = ["-map", "0:v", "-map", "1:a", "-map", "2:a"]
        maps += ["-metadata:s:a:0", "title=Isolated Score"]
    else:
        maps, coded[-1] = ["-map", "0:v", "-map", "2:a"], "flac"
    run("ffmpeg", "-v", "error", "-y", *picture, *sounds, *maps, *coded, *english, film)
    return film


def write_script(path: Path, cues: Sequence[Cue]) -> None:
    def clock(seconds: float) -> str:
        ms = round(1000 * abs(seconds))
        whole = (
            f"{'-' * (seconds < 0)}{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}"
        )
        return f"{whole}{'.' if path.suffix == '.vtt' else ','}{ms % 1000:03}"

    blocks = [f"{n}\n{clock(a)} --> {clock(b)}\n{text}\n" for n, (a, b, text) in enumerate(cues, 1)]
    path.write_text("\n".join(["WEBVTT\n"] * (path.suffix == ".vtt") + blocks))


def hear(folder: Path, case: Case, lines: Sequence[Line]) -> Heard:
    """Dub one film, and listen to what came of it."""
    voices, music = stems(lines, case)
    film = make_film(folder, case, voices, music)
    cues = case.script(lines)
    write_script(folder / f"film.en{case.suffix}", cues)
    try:
        result = dub(film, ["es"], work_dir=folder.parent / "work")
    except NoScript:
        return Heard(refused=True)
    heard = Heard()
    ours = f"0:a:{1 if case.container == 'plain' else 2}"
    raw = run("ffmpeg", "-v", "error", "-i", result.video, "-map", ours, *to_raw(2))
    track = np.frombuffer(raw, np.float32).reshape(-1, 2).T.astype(np.float64)
    track = track[:, : voices.shape[1]]
    _listen(heard, track, (voices, music), lines)
    work = result.video.parent
    _read(heard, work, lines, {text for _, _, text in cues})
    return heard


def _listen(
    heard: Heard, track: Sound, sources: tuple[Sound, Sound], lines: Sequence[Line]
) -> None:
    """Compare the track with the voices and the music, line by line."""
    voices, music = (sound[:, : track.shape[1]] for sound in sources)
    quiet = np.abs(voices).max(axis=0) == 0
    gain = float((track * music)[:, quiet].sum() / (music * music)[:, quiet].sum())
    rest = track - gain * music
    found = weight = 0.0
    for line in lines:
        window = slice(round(line.start * RATE), round(line.end * RATE))
        voice, sound = gain * voices[:, window], rest[:, window]
        level_db = 10 * np.log10((sound**2).sum() / (voice**2).sum() + 1e-12)
        if level_db < SILENT_DB:
            heard.muted_s += line.end - line.start
        share = float((voice * sound).sum() / (voice**2).sum())
        if share < 0.5:  # dubbed: the original is not meant to be heard
            found += abs(share) * float((voice**2).sum())
            weight += float((voice**2).sum())
    if weight:
        heard.left_db = 20 * float(np.log10(found / weight + 1e-6))


def _read(heard: Heard, work: Path, lines: Sequence[Line], written: set[str]) -> None:
    """Compare the script with the words and times that were spoken."""
    document: dict[str, Any] = json.loads((work / "transcription.json").read_text())
    truth = {line.text: line for line in lines}
    for segment in document["segments"]:
        line = truth.get(segment["text"])
        heard.lines += 1
        heard.wrong += line is None or abs(segment["start"] - line.start) > 1.0
        overlaps = [min(segment["end"], x.end) - max(segment["start"], x.start) for x in lines]
        heard.nobody += max(overlaps) <= 0.1
    report = json.loads((work / "report.json").read_text())["script"]
    heard.doubted = report["verdict"] not in ("fits", "mapped")
    named = [(span["start"], span["end"]) for span in report["speech_nobody_wrote_down"]]
    for line in lines:
        if not any(line.text in cue for cue in written):
            inside = sum(max(0.0, min(b, line.end) - max(a, line.start)) for a, b in named)
            heard.unnamed_s += max(0.0, 0.8 * (line.end - line.start) - inside)


def rows(quick: bool) -> Iterator[Row]:
    """Yield what is heard in each film."""
    with tempfile.TemporaryDirectory() as name:
        lines = spoken(Path(name))
        for number, case in enumerate(CASES[:4] + CASES[-1:] if quick else CASES):
            folder = Path(name) / str(number)
            folder.mkdir()
            heard = hear(folder, case, lines)
            if case.refused or heard.refused:
                told = f"{case.name}: refused, or its check red"
                yield Row(told, heard.refused == case.refused or heard.doubted, "", 1, 1, "higher")
                continue
            wrong = 100 * heard.wrong / max(1, heard.lines)
            of = f"{heard.lines} lines"
            yield Row(f"{case.name}: speech muted", heard.muted_s, "s", 0, 0)
            yield Row(f"{case.name}: speech without a line, unnamed", heard.unnamed_s, "s", 0, 0)
            yield Row(f"{case.name}: words of another place", wrong, "%", 1, 0, floor=of)
            yield Row(f"{case.name}: lines while nobody speaks", heard.nobody, "", 0, 0, floor=of)
            if heard.left_db is not None:
                yield Row(f"{case.name}: original under the dub", heard.left_db, "dB", -20, -30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="five films instead of fifteen")
    parser.add_argument("--json", action="store_true", help="one JSON object for machines")
    options = parser.parse_args()
    show(rows(options.quick), as_json=options.json)


if __name__ == "__main__":
    main()
