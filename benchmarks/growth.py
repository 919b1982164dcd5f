"""How costs grow: with a film's length, its lines, speakers and languages, and with the library.

- Films of 10 min, 45 min and 3 h dubbed with the profile `lite`, in turns, and in 5.1 the shortest
  and the longest: CPU per minute, and peak memory, against the shortest. One piece of 10 minutes is
  repeated; its sound has 12 kHz, so that three hours of 5.1 need 8 GB in $TMPDIR instead of 32.
- A film of 160 lines dubbed into one language and into two, in turns: what the second adds.
- CPU for twice as much against once: of cues, lines, named speakers, speakers of a film, target
  languages, paths of a webhook. Twice as much may cost a little more than twice as much; anything
  that compares each with each would cost four times.
- The same for finished films in the library: `dubarr status`, and the plan of all of them.

    python benchmarks/growth.py [--only films|languages|parts|library] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import against
import numpy as np
from against import Build, Cost, dub
from figures import Row, peak_mb, show
from made_films import MadeFilm, write_film
from numpy.typing import NDArray

from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline.engines.context.plain import PlainScriptAnalyzer
from dubarr_pipeline.engines.diarization.cue_clusters import CueClusters
from dubarr_pipeline.engines.synthesis.tone import ToneSynthesizer
from dubarr_pipeline.engines.translation.lite import SubtitleTranslator
from dubarr_pipeline.library.videos import load_video, registered
from dubarr_pipeline.library.webhooks.inbox import WebhookIntake
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.probe import probe_video
from dubarr_pipeline.media.subtitles.parse import Cue, parse_cues
from dubarr_pipeline.media.subtitles.read import write_srt
from dubarr_pipeline.script.cues.layout import SoundClock, missed_lines
from dubarr_pipeline.script.model import (
    Context,
    Diarization,
    Segment,
    SpeakerProfile,
    StockVoice,
    Transcript,
    Turn,
)
from dubarr_pipeline.script.speakers.casting import cast_speakers
from dubarr_pipeline.script.speakers.references import choose_refs
from dubarr_pipeline.segments.run import run
from dubarr_pipeline.segments.tasks import SegmentsRequest
from dubarr_pipeline.spans import Span
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures.bench import sidecar

REPOSITORY = Path(__file__).resolve().parents[1]
PYTHON = Path(sys.executable)
RATE = 16_000
_ROUNDS = 3
Work = Callable[[int, Path], Callable[[], object]]
"""Takes a size and an empty folder; returns the work, ready to be measured."""


class Hum:
    """A voiced sound of any length that is made as it is read."""

    rate, channels = RATE, 1

    def __init__(self, samples: int) -> None:
        self.samples = samples
        clock = np.arange(8 * RATE) / RATE
        pitch = 140 + 20 * np.sin(clock)
        voice = sum(np.sin(2 * np.pi * n * pitch * clock) / n for n in range(1, 12))
        hiss = np.random.default_rng(1).standard_normal(clock.size)
        self._sound = (0.05 * voice + 0.002 * hiss).astype(np.float32)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        return self._sound[np.arange(start, stop) % self._sound.size][None]


def clock(seconds: float) -> str:
    return f"{int(seconds) // 3600:02}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02},000"


def cues(count: int, _: Path) -> Callable[[], object]:
    text = "\n".join(
        f"{n}\n{clock(3 * n)} --> {clock(3 * n + 2)}\nThis is line {n} of the film.\n"
        for n in range(count)
    )
    film = SoundClock(RATE, 3 * count * RATE)

    def read() -> object:
        found = [
            Cue(Span(each.start_ms * 16, each.end_ms * 16), each.text)
            for each in parse_cues(text, "srt")
        ]
        return missed_lines(found, [cue.span for cue in found], film)

    return read


def speakers(count: int, _: Path) -> Callable[[], object]:
    sound = Hum(3 * count * RATE)
    spans = [Span(3 * n * RATE, (3 * n + 2) * RATE) for n in range(count)]
    names = [
        f"NAME {chr(65 + n % 26)}{chr(65 + n // 26 % 26)}{chr(65 + n // 676)}" for n in range(count)
    ]
    said = [Cue(span, f"{name}: These are words.") for span, name in zip(spans, names, strict=True)]
    return lambda: CueClusters().diarize(sound, spans, said)


def dialogue(lines: int, people: int) -> Transcript:
    """Return lines of two seconds, one every three, by people who take turns at random."""
    chance = random.Random(1)
    who = [f"SPEAKER_{chance.randrange(people):02}" for _ in range(lines)]
    segments = (
        Segment(n, Span(3 * n * RATE, (3 * n + 2) * RATE), each, f"This is line {n} of the film.")
        for n, each in enumerate(who)
    )
    return Transcript(RATE, 3 * lines * RATE, "en", tuple(segments))


def speakers_of_film(count: int, _: Path) -> Callable[[], object]:
    script = dialogue(2 * count, count)
    sound, turns = Hum(script.samples), [Turn(s.span, s.speaker, 1.0) for s in script.segments]
    who = Diarization(RATE, tuple(turns))
    voices = [StockVoice(f"voice {n}", pitch_hz=100.0 + n) for n in range(40)]

    def know() -> object:
        found = PlainScriptAnalyzer().read(script, who, sound)
        choose_refs(sound, sound, who, script)
        return cast_speakers(found.speakers, voices, script.lines, "es")

    return know


def lines(count: int, folder: Path, targets: tuple[str, ...] = ("es",)) -> Callable[[], object]:
    script = dialogue(count, 6)
    known = {line.index: line.text for line in script.lines}
    request = SegmentsRequest(
        transcript=script,
        speakers={s.speaker: SpeakerProfile(s.speaker) for s in script.segments},
        context=Context("", ""),
        refs={},
        targets=targets,
        work=WorkDir(folder),
        translator=SubtitleTranslator(targets),
        synthesizer=ToneSynthesizer(),
        existing=dict.fromkeys(targets, known),
    )
    return lambda: run(request)


def languages(count: int, folder: Path) -> Callable[[], object]:
    known = ("es", "fr", "de", "it", "pt", "ca", "ro", "gl", "nl", "sv", "da", "pl")
    return lines(30, folder, known[:count])


def paths(count: int, folder: Path) -> Callable[[], object]:
    (folder / "films").mkdir()
    config = folder / "dubarr.toml"
    config.write_text(f'[libraries.films]\npath = "{folder}/films"\ntarget_langs = ["es"]\n')
    intake = WebhookIntake(load_settings(config, folder / "work"))
    body = json.dumps({"paths": [f"{folder}/films/{n}.mkv" for n in range(count)]}).encode()
    return lambda: intake.take("generic", body)


KINDS: dict[str, tuple[Work, int]] = {
    "cues": (cues, 10_000),
    "lines": (lines, 400),
    "named speakers": (speakers, 1_000),
    "speakers of a film": (speakers_of_film, 400),
    "target languages": (languages, 12),
    "paths of a webhook": (paths, 1_000),
}
"""Kind -> its work, and the larger of the two sizes."""


def cost_s(work: Work, count: int, repeats: int) -> float:
    """Return the least CPU seconds of some repeats."""
    taken: list[float] = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            ready = work(count, Path(folder))
            began = time.process_time()
            ready()
            taken.append(time.process_time() - began)
    return min(taken)


def measure_parts(share: float, repeats: int) -> Iterator[Row]:
    for name, (work, most) in KINDS.items():
        # What a process does once is no growth.
        cost_s(work, 2, 1)
        small = max(1, round(most * share / 2))
        once, twice = (cost_s(work, count, repeats) for count in (small, 2 * small))
        floor = f"{small:,} cost {once:.2f} CPU s, {2 * small:,} {twice:.2f}"
        yield Row(f"twice as many {name}", twice / once, "x", 3.0, 2.2, floor=floor)
    yield Row("peak memory", peak_mb(), "MB", 1024, 400, floor="the whole process")


FINISHED = 500


def measure_library(folder: Path) -> Iterator[Row]:
    """Look at finished films, and at twice as many of them in the same store."""
    # Not at the top: all of Dagster would cost more than the parts.
    from library import copies, cpu_s, finished

    from dubarr_pipeline.defs.runtime.plan import plan

    home, work = folder / "home", folder / "work"
    settings = load_settings(None, work)
    program, options = Path(sys.executable).with_name("dubarr"), ("--work-dir", work, "--json")
    environment = {**os.environ, "DAGSTER_HOME": str(home)}
    costs: dict[str, list[float]] = {
        "`dubarr status`": [],
        "their plan": [],
        "`dubarr plan`, made anew": [],
        "`dubarr plan`, kept": [],
    }
    with finished(home, work, FINISHED // 2) as instance:
        for _ in range(2):
            keys, before = list(registered(work)), cpu_s()
            for key in keys:
                found = plan(instance, load_video(key, work), settings)
                assert not any(step.rerun for step in found.steps), found
            costs["their plan"].append(cpu_s() - before)
            (work / ".plans.json").unlink(missing_ok=True)
            for name in ("`dubarr status`", "`dubarr plan`, made anew", "`dubarr plan`, kept"):
                before = cpu_s()
                command = [program, name.split("`")[1].split()[1], *options]
                subprocess.run(command, check=True, capture_output=True, env=environment)
                costs[name].append(cpu_s() - before)
            more = [f"more-{number:08x}" for number in range(FINISHED // 2)]
            if len(keys) < FINISHED:
                copies(instance, load_video(keys[0], work), settings, more)
    for name, (once, twice) in costs.items():
        floor = f"{FINISHED // 2} cost {once:.2f} CPU s, {FINISHED} {twice:.2f}"
        name = f"twice as many finished films: {name}"
        yield Row(name, twice / once, "x", 3.0, 2.2, floor=floor)


PIECE_MINUTES = 10
MINUTES = {2: (10, 45, 180), 6: (10, 180)}
"""Lengths of the films, by channels."""
FILM_RATE = "12000"
_SURROUND = "pan=5.1|FL=0.3*c0|FR=0.3*c1|FC=0.7*c0+0.7*c1|LFE=0*c0|BL=0.1*c0|BR=0.1*c1"


def repeated(piece: Path, channels: int, minutes: int) -> Path:
    """Make a film of a piece, said again and again; with its subtitles beside it."""
    film, again = piece.with_name(f"{channels} {minutes}.mkv"), minutes // PIECE_MINUTES
    sound = [*(["-af", _SURROUND] if channels == 6 else []), "-ar", FILM_RATE, "-c:a", "aac"]
    once = piece.with_name(f"{channels}.mkv")
    ffmpeg.run(["-y", "-i", piece, "-c:v", "copy", *sound, "-b:a", f"{32 * channels}k", once])
    long = piece.with_name("long.mkv")
    ffmpeg.run(["-y", "-stream_loop", str(again), "-i", once, "-map", "0", "-c", "copy", long])
    ffmpeg.run(["-y", "-i", long, "-t", str(60 * minutes), "-map", "0", "-c", "copy", film])
    # Packets of sound do not end with the piece.
    period_ms = 1000 * (probe_video(long).duration_s - probe_video(once).duration_s) / again
    text = sidecar(piece, "en").read_text(encoding="utf-8")
    said = [
        Cue(Span(each.start_ms, each.end_ms).shift(round(number * period_ms)), each.text)
        for number in range(again + 1)
        for each in parse_cues(text, "srt")
    ]
    write_srt(sidecar(film, "en"), [cue for cue in said if cue.span.end < 60_000 * minutes], 1000)
    for each in (once, long):
        each.unlink()
    return film


def measure_films(folder: Path) -> Iterator[Row]:
    piece = write_film(folder / "piece.mkv", MadeFilm(PIECE_MINUTES))
    for channels, lengths in MINUTES.items():
        costs: dict[int, Cost] = {}
        for minutes in lengths:
            film, work = repeated(piece, channels, minutes), folder / f"work {channels} {minutes}"
            costs[minutes] = dub(Build(REPOSITORY, PYTHON), film, work, "es")
            shutil.rmtree(work)
            film.unlink()
        yield from _film_rows(f"{channels} channels", costs)


def measure_languages(folder: Path) -> Iterator[Row]:
    film, here = against.write_film(folder / "languages.mkv", 160), Build(REPOSITORY, PYTHON)
    costs: dict[str, list[Cost]] = {"es": [], "es,ca": []}
    for number in range(_ROUNDS):
        for languages, found in costs.items():
            work = folder / f"{languages} {number}"
            found.append(dub(here, film, work, languages))
            shutil.rmtree(work)
    one, two = (against.least(found).cpu_s for found in costs.values())
    floor = f"{two:.2f} - {one:.2f} / {one:.2f} s"
    yield Row("a further language: CPU", (two - one) / one, "x", 0.35, floor=floor)


def _film_rows(kind: str, costs: Mapping[int, Cost]) -> Iterator[Row]:
    (least, short), *others = costs.items()
    for minutes, cost in others:
        each, first = cost.cpu_s / minutes, short.cpu_s / least
        floor = f"{60 * each:.1f} / {60 * first:.1f} s an hour"
        name = f"{minutes} min against {least}, {kind}"
        yield Row(f"{name}: CPU a minute", each / first, "x", 1.05, floor=floor)
        floor = f"{cost.peak_mb:.0f} / {short.peak_mb:.0f} MB"
        yield Row(f"{name}: peak memory", cost.peak_mb / short.peak_mb, "x", 1.1, floor=floor)
    # Without what a dub costs however short the film is.
    if len(others) > 1:
        (middle, one), (longest, two) = others
        beyond = (two.cpu_s - one.cpu_s) / (longest - middle)
        first = (one.cpu_s - short.cpu_s) / (middle - least)
        floor = f"{60 * beyond:.1f} / {60 * first:.1f} s an hour"
        name = f"a minute after {middle}, against one after {least}, {kind}: CPU"
        yield Row(name, beyond / first, "x", target=1.05, floor=floor)


def measure(options: argparse.Namespace, folder: Path) -> Iterator[Row]:
    if options.only in (None, "parts"):
        yield from measure_parts(*((0.2, 1) if options.quick else (1.0, 3)))
    if options.only == "library" or not (options.only or options.quick):
        yield from measure_library(folder / "library")
    if options.only == "languages" or not (options.only or options.quick):
        yield from measure_languages(folder)
    if options.only == "films" or not (options.only or options.quick):
        yield from measure_films(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["films", "languages", "parts", "library"])
    parser.add_argument("--quick", action="store_true", help="the parts at a fifth of the sizes")
    parser.add_argument("--json", action="store_true", help="one JSON object for machines")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dubarr-growth-") as folder:
        show(measure(options, Path(folder)), as_json=options.json)


if __name__ == "__main__":
    main()
