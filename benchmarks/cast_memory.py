"""Who is who in a series: ten episodes in random order, six voices, two of them alike.

    python benchmarks/cast_memory.py WEIGHTS [--network FOLDER] [--keep FOLDER] [--json]
    python benchmarks/cast_memory.py --quick [--json]

WEIGHTS holds ``kokoro`` (ONNX), which speaks; FOLDER of ``--network`` holds a speaker-embedding
network (ONNX), and the figures are then told for it, too. In every episode three to five of the six
speak, at another level and through another microphone, some over a chord 13 dB under them; the
subtitles name nobody.
The whole pipeline dubs each, and what the memory says of every speaker is compared with who spoke.
The voices are not those that the limits of the matching were chosen on.

With ``--quick`` three episodes of four synthetic voices enter a memory without any pipeline.
Without the weights it says so, and ends with the exit code 3; with 1 if a figure is below its
"must".
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import itertools

import numpy as np
from figures import Row, show
from numpy.typing import NDArray
from scipy.signal import lfilter, resample_poly

from dubarr_pipeline import dub
from dubarr_pipeline.engines.interfaces import SpeechRequest, Synthesizer, Voice
from dubarr_pipeline.engines.registry import build, option_type_of
from dubarr_pipeline.library.series.episodes import EpisodeSpeakers, enter_episode
from dubarr_pipeline.library.series.memory import CastMemory
from dubarr_pipeline.media.audio.wav import WaveFile, write_wave
from dubarr_pipeline.script.model import Diarization, SpeakerProfile, Turn
from dubarr_pipeline.script.speakers.series_prints import measure_prints
from dubarr_pipeline.spans import Span

NOT_HERE, BELOW = 3, 1
"""Exit codes."""
RATE = 48_000
EPISODES = 10
OF_ONE = 0.8
"""Share of a found speaker's speech from which they are one person."""
Sound = NDArray[np.float64]
SERIES: Mapping[str, Mapping[str, str]] = {
    "a, two women alike": {
        "NORA": "af_alloy",
        "LILY": "bf_lily",
        "ERIC": "am_eric",
        "NICO": "im_nicola",
        "MEERA": "hf_alpha",
        "KIRAN": "hf_beta",
    },
    "b, two men alike": {
        "SKYE": "af_sky",
        "SARA": "if_sara",
        "KLAUS": "am_santa",
        "ALEX": "pm_alex",
        "OMAR": "hm_omega",
        "PETER": "hm_psi",
    },
}
"""Series -> person -> Kokoro's voice; the last two are alike."""
WHO = (
    "The doctor|My brother|The old king|Your daughter|A soldier|The teacher|Our captain|"
    "Nobody in this village|The woman from the bakery|His lawyer"
).split("|")
DOES = (
    "opened the window|found the letter|lost the only key|sold the grey horse|"
    "painted the kitchen wall|hid the money|wrote a long song|broke the radio|followed the river|"
    "forgot the password"
).split("|")
WHEN = (
    "before the storm came|on a cold Thursday morning|while we were asleep|"
    "because it was raining again|after the funeral|with both hands|as if nothing had happened|"
    "long before you were born|without asking me|in the middle of July"
).split("|")
MORE = (
    "Do you believe that?|I can hardly believe it.|What should we do now?|You knew, didn't you?|"
    "That is all I can say.|Please tell her.|Why would anybody do this?|Good for them!"
).split("|")


@dataclass(frozen=True, slots=True)
class Line:
    """A spoken line: seconds, person, words."""

    start: float
    end: float
    who: str
    text: str


@dataclass(slots=True)
class Judged:
    """Speakers of all episodes, by what the memory made of them."""

    right: int = 0
    kept_apart: int = 0
    doubled: int = 0
    swapped: int = 0
    mixed: int = 0
    unheard: int = 0
    remembered: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def people(self) -> int:
        """Speakers that are one person each, and said enough."""
        return self.right + self.kept_apart + self.doubled + self.swapped

    def count(self, seen: Mapping[str, Any], who: str | None) -> None:
        """Count one speaker; `seen` as the memory has them, `who` they are."""
        if who is None:
            self.mixed += 1
        elif seen["outcome"] == "unheard":
            self.unheard += 1
        elif seen["outcome"] == "proposed":
            self.kept_apart += 1
        elif seen["outcome"] == "new":
            known = who in self.remembered.values()
            self.right, self.doubled = self.right + (not known), self.doubled + known
            self.remembered[seen["character"]] = who
        else:
            is_right = self.remembered.get(seen["character"]) == who
            self.right, self.swapped = self.right + is_right, self.swapped + (not is_right)


def written(series: str) -> list[list[tuple[str, str]]]:
    """Return the lines of every episode: person and words."""
    chance, people, episodes = random.Random(series[0]), list(SERIES[series]), list[Any]()
    for _ in range(EPISODES):
        turns = chance.sample(people, chance.choice((3, 4, 4, 5))) * 3
        chance.shuffle(turns)
        while any(one == other for one, other in itertools.pairwise(turns)):
            chance.shuffle(turns)
        lines: list[tuple[str, str]] = []
        for who in turns:
            text = f"{chance.choice(WHO)} {chance.choice(DOES)} {chance.choice(WHEN)}."
            more = f" {chance.choice(MORE)}" if chance.random() < 0.4 else ""
            lines.append((who, text + more))
        episodes.append(lines)
    return episodes


def take(kokoro: Synthesizer, voice: str, text: str, kept: Path) -> Sound:
    """Return a line of a voice at `RATE`, mono; each is spoken once."""
    path = kept / f"{hashlib.sha1(f'{voice}|{text}'.encode()).hexdigest()[:16]}.npy"
    if not path.is_file():
        request = SpeechRequest(text, "en", Voice("", SpeakerProfile(""), name=voice))
        np.save(path, kokoro.speak(request).samples)
    return resample_poly(np.load(path).astype(np.float64), 2, 1)


def film(
    folder: Path, name: str, lines: Sequence[tuple[str, Sound, str]], number: int
) -> tuple[Path, list[Line]]:
    """Make an episode with its subtitles; every one has its own level, microphone and bed."""
    chance, at, truth = random.Random(f"{name} {number}"), 1.0, list[Line]()
    sound = np.zeros(round((sum(len(x) for _, x, _ in lines) / RATE + 2 * len(lines)) * RATE))
    for who, take_of_line, text in lines:
        level = 10 ** (chance.uniform(-30, -22) / 20) / np.sqrt((take_of_line**2).mean())
        first = round(at * RATE)
        sound[first : first + len(take_of_line)] += level * take_of_line
        truth.append(Line(at, at + len(take_of_line) / RATE, who, text))
        at = truth[-1].end + chance.choice((0.4, 0.6, 0.9, 1.5))
    sound = sound[: round((at + 1) * RATE)]
    # Another microphone: highs up or down by a few dB.
    tilt = chance.uniform(-0.25, 0.25)
    sound = np.asarray(lfilter([1.0, -tilt], [1.0, 0.0], sound))
    left, right = sound, sound.copy()
    if number % 3 == 2:
        clock = np.arange(len(sound)) / RATE
        swell = 0.008 * (1 + np.sin(2 * np.pi * clock / 7))
        for hz in (110.0, 220.0, 277.2, 329.6):
            # Wide, as music is: each tone with another phase on either side.
            for side in (left, right):
                side += swell * np.sin(2 * np.pi * hz * clock + chance.uniform(0, 2 * np.pi))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.title()} S01E{number + 1:02}.mkv"
    write_wave(folder / "sound.wav", np.stack([left, right]).astype(np.float32), RATE)
    seconds = len(sound) / RATE
    picture = ("-f", "lavfi", "-i", f"testsrc=size=64x48:rate=10:duration={seconds:.3f}")
    coded = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "flac")
    tagged = ("-metadata:s:a:0", "language=eng", "-map", "0:v", "-map", "1:a", "-y", str(path))
    sounds = ("-i", str(folder / "sound.wav"))
    subprocess.run(["ffmpeg", "-v", "error", *picture, *sounds, *coded, *tagged], check=True)
    (folder / "sound.wav").unlink()
    for language in ("en", "es"):
        path.with_suffix(f".{language}.srt").write_text(subtitles(truth, language), "utf-8")
    return path, truth


def subtitles(lines: Sequence[Line], language: str) -> str:
    """Return the lines as SubRip; in Spanish they all say the same, which nobody listens to."""

    def clock(seconds: float) -> str:
        ms = round(1000 * seconds)
        return f"00:{ms // 60_000:02}:{ms // 1000 % 60:02},{ms % 1000:03}"

    said = {"en": None, "es": "Nadie sabe lo que pasó aquella noche en el pueblo."}[language]
    return "\n".join(
        f"{n}\n{clock(line.start)} --> {clock(line.end)}\n{said or line.text}\n"
        for n, line in enumerate(lines, 1)
    )


def owners(diarization: Mapping[str, Any], truth: Sequence[Line]) -> dict[str, str | None]:
    """Return who every found speaker is; None for one who is several people."""
    found: dict[str, dict[str, float]] = {}
    for turn in diarization["turns"]:
        heard = found.setdefault(turn["speaker"], dict.fromkeys((line.who for line in truth), 0.0))
        for line in truth:
            heard[line.who] += max(0.0, min(turn["end"], line.end) - max(turn["start"], line.start))
    most = {who: max(heard, key=heard.__getitem__) for who, heard in found.items()}
    return {
        who: most[who] if heard[most[who]] >= OF_ONE * sum(heard.values()) > 0 else None
        for who, heard in found.items()
    }


def dubbed(films: Sequence[tuple[Path, list[Line]]], work: Path, settings: str) -> Judged:
    """Dub the episodes in random order, and judge what the memory says of every speaker."""
    work.mkdir(parents=True, exist_ok=True)
    config = work / "dubarr.toml"
    config.write_text(settings)
    judged, order = Judged(), list(films)
    random.Random(7).shuffle(order)
    for path, truth in order:
        result = dub(path, ["es"], work_dir=work, config=config)
        (memory,) = work.glob(".cast/*/cast.json")
        episode = json.loads(memory.read_text())["episodes"][result.key]
        heard = json.loads((work / result.key / "diarization.json").read_text())
        people = owners(heard, truth)
        for who, seen in episode["speakers"].items():
            judged.count(seen, people.get(who))
    return judged


def rows_of(name: str, judged: Judged) -> Iterator[Row]:
    """Yield the figures of one series."""
    of = f"{judged.people} speakers"
    right = 100 * judged.right / max(1, judged.people)
    yield Row(f"{name}: right", right, "%", 95, 99, "higher", of)
    yield Row(f"{name}: swapped without a word", judged.swapped, "", 0, 0, floor=of)
    yield Row(f"{name}: proposed, kept apart", judged.kept_apart, "", floor=of)
    yield Row(f"{name}: remembered twice", judged.doubled, "", floor=of)
    yield Row(f"{name}: of several people, by the diarization", judged.mixed, "")
    yield Row(f"{name}: said too little", judged.unheard, "")


def rows(weights: Path, network: Path | None, kept: Path) -> Iterator[Row]:
    """Yield the figures of all series, with plain prints and with the network's."""
    options: Any = option_type_of("synthesis", "kokoro")
    kokoro = build("synthesis", "kokoro", options=options(model=str(weights / "kokoro"), threads=1))
    assert isinstance(kokoro, Synthesizer)
    takes = kept / "takes"
    takes.mkdir(parents=True, exist_ok=True)
    ways = {"plain": ""}
    if network:
        ways["network"] = f'[diarization]\nmodel = "{network.absolute()}"\n'
    with kokoro:
        for series, people in SERIES.items():
            films = [
                film(
                    kept / series / "films" / series.title(),
                    series,
                    [(who, take(kokoro, people[who], text, takes), text) for who, text in lines],
                    number,
                )
                for number, lines in enumerate(written(series))
            ]
            for way, settings in ways.items():
                found = dubbed(films, kept / series / f"work {way}", settings)
                yield from rows_of(f"{series}, {way}", found)


def quick_rows() -> Iterator[Row]:
    """Yield the figures of synthetic voices, whose prints alone are measured."""
    people = {"A": (105, 1.0), "B": (125, 0.88), "C": (200, 1.12), "D": (225, 1.25)}
    memory, judged = CastMemory("quick", "quick"), Judged()
    for number, cast in enumerate(("AB", "BCD", "ABCD")):
        spans = [Span(n * 6 * RATE // 3, (n + 1) * 6 * RATE // 3) for n in range(3 * len(cast))]
        turns = [Turn(s, f"SPEAKER_{n % len(cast):02}") for n, s in enumerate(spans)]
        sound = np.concatenate(
            [hummed(*people[cast[n % len(cast)]], 10 * number + n) for n in range(len(spans))]
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "voices.wav"
            write_wave(path, sound[None].astype(np.float32), RATE)
            with WaveFile(path) as vocals:
                prints = measure_prints(vocals, Diarization(RATE, tuple(turns)))
        entering = EpisodeSpeakers(f"e{number}", "", str(number), prints, {}, {})
        memory = enter_episode(memory, entering)
        for n, person in enumerate(cast):
            seen = memory.episodes[f"e{number}"].speakers[f"SPEAKER_{n:02}"]
            judged.count({"outcome": seen.outcome, "character": seen.character}, person)
    yield from rows_of("synthetic voices", judged)


def hummed(pitch_hz: float, tract: float, seed: int) -> Sound:
    """Return two seconds of vowels: pulses through three resonances of a throat."""
    chance = np.random.default_rng(seed)
    clock = np.arange(2 * RATE) / RATE
    sway = 1 + 0.06 * np.sin(2 * np.pi * 3 * clock + chance.uniform(0, 6))
    phase = np.cumsum(pitch_hz * sway) / RATE
    pulses = (np.diff(np.floor(phase), prepend=0) > 0).astype(float)
    source = pulses + 0.01 * chance.standard_normal(clock.size)
    vowels = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))
    spoken: list[Any] = []
    for start in range(0, clock.size, RATE // 10):
        part = source[start : start + RATE // 10]
        for hz in vowels[int(chance.integers(4))]:
            angle, size = 2 * np.pi * hz * tract / RATE, np.exp(-np.pi * 90 / RATE)
            part = lfilter([1 - size], [1, -2 * size * np.cos(angle), size**2], part)
        spoken.append(part)
    sound = np.concatenate(spoken)
    return 0.1 * sound / np.sqrt((sound**2).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", nargs="?", type=Path, help="folder that holds kokoro")
    parser.add_argument("--network", type=Path, help="folder of a speaker-embedding network")
    parser.add_argument("--keep", type=Path, help="keep films and work folders here")
    parser.add_argument("--quick", action="store_true", help="synthetic voices, no weights")
    parser.add_argument("--json", action="store_true", help="one JSON object for machines")
    options = parser.parse_args()
    if options.quick:
        found = list(quick_rows())
    elif options.weights is None or not (options.weights / "kokoro").is_dir():
        print("WEIGHTS/kokoro is missing: nobody can speak", file=sys.stderr)
        sys.exit(NOT_HERE)
    else:
        with tempfile.TemporaryDirectory() as name:
            kept = options.keep or Path(name)
            found = list(rows(options.weights, options.network, kept))
    show(found, as_json=options.json)
    missed = (
        row
        for row in found
        if row.must is not None
        and (row.value > row.must if row.better == "lower" else row.value < row.must)
    )
    sys.exit(BELOW if any(missed) else 0)


if __name__ == "__main__":
    main()
