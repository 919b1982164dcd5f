"""What fitting scripts and translations to films is worth, on made films whose answer is known.

Lines are "right" within 0.3 s of their place, "wrong" more than 1 s off or placed though the film
lacks their scene, "lost" if left out though the film has them. Half of the films take their
lengths and pauses from the real references in ../shared/media where they are; the last rows lay
damaged scripts of a film with real voices against the project's own detector.

    python benchmarks/script_fit.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from figures import Row, peak_mb, show

from dubarr_pipeline.engines.voice_activity.silero import SileroVoiceActivity
from dubarr_pipeline.script.fit.fitting import Timeline, fit_cues
from dubarr_pipeline.script.fit.options import SCRIPT, TRANSLATION
from dubarr_pipeline.script.fit.values import ScriptFit, Verdict, uncovered_speech
from dubarr_pipeline.spans import Span, intersect, to_samples, total
from dubarr_pipeline_tests.fixtures.fit_scoring import Tally, tally
from dubarr_pipeline_tests.fixtures.made_scripts import (
    MUSIC,
    RATE,
    WORST,
    BreakKind,
    MadeFilm,
    Recipe,
    make_film,
)

MEDIA = Path(__file__).resolve().parents[2] / "shared" / "media"
REFERENCES = ("diarization/ami_debug.train", "diarization/pyannote_sample", "film/four_voices")
RATIOS = (24 / 25, 25 / 24, 24_000 / 25_025, 25_025 / 24_000)
Draw = Callable[[random.Random], Recipe]


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of damage, and bounds in per cent of lines.

    Attributes:
        name: as printed.
        films: how many.
        draw: a film's recipe by chance.
        wrong, lost, right: bounds, or None.
        translation: True if the file is laid against a script instead of speech.
    """

    name: str
    films: int
    draw: Draw
    wrong: float | None = None
    lost: float | None = None
    right: float | None = None
    translation: bool = False


def good(lines: int) -> Draw:
    return lambda _: Recipe(lines)


def shifted(lines: int) -> Draw:
    return lambda chance: Recipe(lines, shift_s=chance.choice((-1, 1)) * chance.uniform(0.5, 60))


def another_rate(lines: int) -> Draw:
    return lambda chance: Recipe(lines, ratio=chance.choice(RATIOS), shift_s=chance.uniform(-5, 5))


def broken(lines: int, count: int, kinds: Sequence[BreakKind]) -> Draw:
    return lambda chance: Recipe(lines, tuple(chance.choice(kinds) for _ in range(count)))


MORE_OR_LESS: tuple[BreakKind, ...] = ("film", "script")
ANY: tuple[BreakKind, ...] = ("film", "script", "both")

CASES = (
    Case("good, 40 lines", 400, good(40), 0, 0),
    Case("good, 300 lines", 400, good(300), 0, 0),
    Case("good, 800 lines", 200, good(800), 0, 0),
    Case("good, 300 lines, under music", 60, lambda _: Recipe(300, detector=MUSIC), 0),
    Case("good, 40 lines, under music", 100, lambda _: Recipe(40, detector=MUSIC), 0),
    Case("good, 300 lines, bad detector", 60, lambda _: Recipe(300, detector=WORST), 0),
    Case("good, 40 lines, bad detector", 100, lambda _: Recipe(40, detector=WORST), 0),
    Case("shift, 80 lines", 300, shifted(80), 0, None, 99),
    Case("shift, 300 lines", 60, shifted(300), 0, None, 99),
    Case("24/25, 23.976/25 and back, 80 lines", 300, another_rate(80), 0, None, 99),
    Case("24/25, 23.976/25 and back, 300 lines", 60, another_rate(300), 0, None, 99),
    Case("1001/1000, 300 lines", 60, lambda _: Recipe(300, ratio=1.001), 0, None, 99),
    Case("one scene more or less, 300 lines", 100, broken(300, 1, MORE_OR_LESS), 1.5, 2),
    Case("one scene more or less, 800 lines", 60, broken(800, 1, MORE_OR_LESS), 1, 2),
    Case("one scene replaced, 300 lines", 100, broken(300, 1, ("both",)), 3, 2),
    Case("one scene replaced, 800 lines", 60, broken(800, 1, ("both",)), 1.5, 2),
    Case("three breaks of any kind, 300 lines", 100, broken(300, 3, ANY), 2, 4),
    Case("three breaks of any kind, 800 lines", 60, broken(800, 3, ANY), 1, 2),
    Case(
        "break, ratio and shift, 300 lines",
        60,
        lambda chance: replace(another_rate(300)(chance), breaks=(chance.choice(ANY),)),
    ),
    Case("one break, 40 lines", 100, broken(40, 1, ANY)),
    Case("translation: shift, 300 lines", 40, shifted(300), 0, None, 99, translation=True),
    Case("translation: ratio, 300 lines", 40, another_rate(300), 0, None, 99, translation=True),
    Case(
        "translation: one break, 300 lines",
        60,
        broken(300, 1, MORE_OR_LESS),
        0.5,
        None,
        99,
        translation=True,
    ),
    Case(
        "translation: three breaks, 300 lines",
        60,
        broken(300, 3, MORE_OR_LESS),
        0.5,
        None,
        99,
        translation=True,
    ),
    Case(
        "translation: three breaks, 800 lines",
        40,
        broken(800, 3, MORE_OR_LESS),
        0.5,
        None,
        99,
        translation=True,
    ),
    Case(
        "translation: one scene replaced, 300 lines",
        60,
        broken(300, 1, ("both",)),
        1.5,
        None,
        99,
        translation=True,
    ),
)


def references() -> tuple[tuple[float, float], ...]:
    """Return (length, pause after it) of real utterances; none without ../shared/media."""
    drawn: list[tuple[float, float]] = []
    for name in REFERENCES:
        path = MEDIA / f"{name}.rttm"
        rows = [line.split() for line in path.read_text().splitlines()] if path.is_file() else []
        turns = sorted((row[1], float(row[3]), float(row[4])) for row in rows)
        for (film, start, length), (next_film, following, _) in pairwise(turns):
            if film == next_film and length > 0.3:
                pause = min(6.0, max(0.05, following - start - length))
                drawn.append((min(7.0, length), pause))
    return tuple(drawn)


LENGTHS = ((), references())
"""Where a film's utterances are drawn from, in turn."""


def films(case: Case, count: int) -> Iterator[MadeFilm]:
    for number in range(count):
        seed = f"{case.name} {number}"
        recipe = replace(case.draw(random.Random(seed)), lengths=LENGTHS[number % 2])
        yield make_film(recipe, seed)


def fitted(film: MadeFilm, cues: Sequence[Span], translation: bool = False) -> ScriptFit:
    spans = film.reference if translation else film.speech
    return fit_cues(
        cues, Timeline(spans, film.length, RATE), TRANSLATION if translation else SCRIPT
    )


def case_rows(case: Case, count: int) -> Iterator[Row]:
    counted, verdicts = Tally(), Counter[Verdict]()
    started = time.process_time()
    for film in films(case, count):
        fit = fitted(film, film.cues, case.translation)
        counted += tally(film, fit.cues)
        verdicts[fit.verdict] += 1
    made = f"{count} films, {counted.lines} lines, {time.process_time() - started:.0f} CPU s"
    yield _row(f"{case.name}: right", counted.right_percent, case.right, "higher", made)
    yield _row(f"{case.name}: lost", counted.lost_percent, case.lost)
    yield _row(f"{case.name}: wrong", counted.wrong_percent, case.wrong)
    if case.name.startswith("good"):
        must = 3 if case.name == "good, 40 lines" else None
        yield _row(f"{case.name}: files unsure", 100 * verdicts["unsure"] / count, must)
        yield _row(f"{case.name}: files refused", 100 * verdicts["refused"] / count, case.lost)


def _row(
    name: str, value: float, must: float | None, better: str = "lower", floor: str = ""
) -> Row:
    side = "higher" if better == "higher" else "lower"
    return Row(name, round(value, 3), "%", must, None, side, floor)


def other_film_rows(scale: float) -> Iterator[Row]:
    """Scripts of other films: none may be used."""
    for lines, film_lines, count, must in (
        (40, 300, 200, 98),
        (100, 300, 100, 100),
        (300, 300, 60, 100),
        (800, 800, 20, 100),
    ):
        count = max(4, round(count * scale))
        refused = 0
        for number in range(count):
            lengths = LENGTHS[number % 2]
            film = make_film(Recipe(film_lines, lengths=lengths), f"one film {number}")
            other = make_film(Recipe(lines, lengths=LENGTHS[number // 2 % 2]), f"other {number}")
            refused += fitted(film, other.cues).verdict == "refused"
        name = f"another film's, {lines} lines: files refused"
        yield _row(name, 100 * refused / count, must, "higher", f"{count} films")


def forced_rows(scale: float) -> Iterator[Row]:
    """Ten lines of a film's script: kept at their times, and the rest of the speech is named."""
    count = max(4, round(50 * scale))
    kept = 0
    speech = named = 0
    for number in range(count):
        film = make_film(Recipe(300, lengths=LENGTHS[number % 2]), f"forced {number}")
        cues = sorted(random.Random(number).sample(film.cues, 10))
        fit = fitted(film, cues)
        placed = [cue.span for cue in fit.cues]
        kept += fit.verdict == "unsure" and placed == cues
        speech += total(film.speech) - total(intersect(film.speech, cues))
        named += total(uncovered_speech(film.speech, [span for span in placed if span]))
    yield _row(
        "forced file, 10 lines: kept as unsure", 100 * kept / count, 95, "higher", f"{count} films"
    )
    yield _row("forced file: uncovered speech named", 100 * named / speech, 99, "higher")


def cost_rows() -> Iterator[Row]:
    """Measured first, so that the peak of memory is the fit's own."""
    for name, recipe in (
        ("good", Recipe(2250)),
        ("24/25", Recipe(2250, ratio=25 / 24)),
        ("three breaks", Recipe(2250, ANY)),
    ):
        film = make_film(recipe, "long film")
        size = f"{film.length / RATE / 3600:.1f} h, {len(film.cues)} cues"
        started = time.process_time()
        fitted(film, film.cues)
        took = time.process_time() - started
        yield Row(f"long film, {name}: fit", round(took, 3), "CPU s", 2, None, "lower", size)
    yield Row("long films: peak memory of the process", round(peak_mb(), 1), "MB", 100)


def real_voice_rows() -> Iterator[Row]:
    """Scripts of a film with real voices, damaged at every place with 15 lines on either side."""
    written = json.loads((MEDIA / "film" / "four_voices.json").read_text())
    lines = [(to_samples(start, RATE), to_samples(end, RATE)) for start, end, *_ in written]
    for name in ("clean", "music"):
        speech, length = _heard(MEDIA / "film" / f"four_voices_{name}.mkv")
        right = count = 0
        for at in range(15, len(lines) - 14, 2):
            for cues, truth in _damaged(lines, at):
                fit = fit_cues(cues, Timeline(speech, length, RATE))
                count += len(cues)
                for cue, start in zip(fit.cues, truth, strict=True):
                    placed = cue.span.start if cue.span else None
                    near = None not in (placed, start) and abs(placed - start) <= 0.3 * RATE
                    right += near or placed == start
        yield Row(
            f"real voices, {name}: lines right of 50, a break with 15 or more on either side",
            round(50 * right / count, 2),
            "lines",
            49,
            None,
            "higher",
            f"{count} lines",
        )


def _damaged(
    lines: Sequence[tuple[int, int]], at: int
) -> Iterator[tuple[list[Span], list[int | None]]]:
    """Yield scripts with a scene less and a scene more at a line, and where each line belongs."""
    spans = [Span(start, end) for start, end in lines]
    if at + 23 <= len(spans):
        gone = spans[at + 8].start - spans[at].start
        kept = [*spans[:at], *(span.shift(-gone) for span in spans[at + 8 :])]
        yield kept, [span.start for span in (*spans[:at], *spans[at + 8 :])]
    scene = spans[5:13]
    more = scene[-1].end - scene[0].start + RATE
    start = spans[at].start
    moved = [span.shift(start - scene[0].start) for span in scene]
    cues = [*spans[:at], *moved, *(span.shift(more) for span in spans[at:])]
    places: list[int | None] = [span.start for span in spans]
    yield cues, [*places[:at], *([None] * len(scene)), *places[at:]]


def _heard(film: Path) -> tuple[list[Span], int]:
    """Return the speech that the project's detector finds in a film, and the film's length."""
    decode = ["ffmpeg", "-v", "error", "-i", str(film), "-ac", "1", "-ar", str(RATE), "-f", "f32le"]
    sound = subprocess.run([*decode, "-"], check=True, capture_output=True).stdout
    samples = np.frombuffer(sound, np.float32)
    with SileroVoiceActivity() as detector:
        return detector.detect(iter([samples])), len(samples)


def rows(quick: bool) -> Iterator[Row]:
    scale = 0.04 if quick else 1.0
    yield from cost_rows()
    for case in CASES:
        yield from case_rows(case, max(4, round(case.films * scale)))
    yield from other_film_rows(scale)
    yield from forced_rows(scale)
    if (MEDIA / "film" / "four_voices_clean.mkv").is_file():
        yield from real_voice_rows()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--quick", action="store_true", help="a twenty-fifth of the films")
    options = parser.parse_args()
    show(rows(options.quick), as_json=options.json)


if __name__ == "__main__":
    main()
