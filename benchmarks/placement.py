"""What the placement of a whole film is worth, against two common ways on the very same takes.

A synthetic 45-minute episode (800 lines, 6 speakers) and a 3-hour film (5,000 lines); takes as long
as the original's lines but for a log-normal error. Baselines: "ripple shift" (a take that is too
long pushes all later lines) and "speed to next start" (each take is sped up until it ends before
the next line starts, however fast that is).

    python benchmarks/placement.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from figures import Row, show

from dubarr_pipeline.script.model import Segment
from dubarr_pipeline.spans import Span
from dubarr_pipeline.timing.isochrony import (
    TEMPO_EDGES,
    DubbedLine,
    measure,
    onset_errors_ms,
    tempo_histogram,
)
from dubarr_pipeline.timing.placement import Placement, TimedTake, place
from dubarr_pipeline.timing.windows import windows

RATE = 48_000
SPREAD = 0.08
"""Standard deviation of the log of a take's length over the original's."""
BIAS = -0.02


@dataclass(frozen=True, slots=True)
class Film:
    """A made-up script with its chosen takes."""

    name: str
    takes: tuple[TimedTake, ...]


def film(name: str, lines: int, seconds: float, speakers: int = 6) -> Film:
    """Dialogue with short pauses, long pauses, and overlaps of a twentieth of the lines."""
    chance = random.Random(name)
    raw: list[tuple[float, float, str]] = []
    clock = 0.5
    for _ in range(lines):
        length = min(8.0, max(0.5, chance.lognormvariate(0.55, 0.5)))
        raw.append((clock, clock + length, f"SPEAKER_{chance.randrange(speakers):02}"))
        kind = chance.random()
        if kind < 0.05:
            pause = -min(0.4, length / 3)
        elif kind < 0.35:
            pause = chance.uniform(0.0, 0.15)
        else:
            pause = chance.uniform(0.15, 1.0) if kind < 0.8 else chance.uniform(1.0, 6.0)
        clock += length + pause
    scale = seconds / clock
    segments = [
        Segment(i, Span(round(a * scale * RATE), round(b * scale * RATE)), who, "text")
        for i, (a, b, who) in enumerate(raw)
    ]
    found = windows(segments, Span(0, round(seconds * RATE) + 2 * RATE), RATE)
    return Film(
        name,
        tuple(
            TimedTake.untouched(
                w, max(1, round(w.span.length * chance.lognormvariate(BIAS, SPREAD)))
            )
            for w in found
        ),
    )


def ripple_shift(takes: Sequence[TimedTake]) -> list[DubbedLine]:
    """A take that is too long for its pause pushes all later ones; nothing is stretched."""
    lines: list[DubbedLine] = []
    shift = 0
    for at, take in enumerate(takes):
        window = take.window
        start = window.span.start + shift
        lines.append(_line(take, start, take.natural))
        longer = take.natural - window.span.length
        if at + 1 < len(takes):
            room = takes[at + 1].window.span.start - window.span.end
            shift += max(0, longer - max(0, room)) if longer > 0 else 0
    return lines


def speed_to_next_start(takes: Sequence[TimedTake]) -> list[DubbedLine]:
    """Each take starts on time, sped up until it ends before the next line starts."""
    lines: list[DubbedLine] = []
    for at, take in enumerate(takes):
        start = take.window.span.start
        room = take.natural
        if at + 1 < len(takes):
            room = max(1, takes[at + 1].window.span.start - start)
        lines.append(_line(take, start, min(take.natural, room)))
    return lines


def _line(take: TimedTake, start: int, length: int) -> DubbedLine:
    window = take.window
    tempo = Fraction(take.natural, length)
    return DubbedLine(window.speaker, window.span, Span(start, start + length), window.reach, tempo)


def ours(takes: Sequence[TimedTake], found: Placement) -> list[DubbedLine]:
    by_index = {take.window.index: take for take in takes}
    return [_line(by_index[p.index], p.start, p.length) for p in found.placed]


def rows_of(work: Film) -> list[Row]:
    started = time.process_time()
    found = place(work.takes, RATE)
    took = time.process_time() - started
    speech = [take.window.span for take in work.takes]
    rows = [
        Row(f"{work.name}: solve", round(took, 3), "CPU s", 2, 2, "lower", "absolute"),
        _bare(f"{work.name}: lines that do not fit, named", len(found.failed), "lines"),
    ]
    ways: list[tuple[str, list[DubbedLine]]] = [
        ("placement", ours(work.takes, found)),
        ("ripple shift", ripple_shift(work.takes)),
        ("speed to next start", speed_to_next_start(work.takes)),
    ]
    for way, lines in ways:
        rows += _figures(f"{work.name}, {way}", lines, speech, bound=way == "placement")
    return rows


def _figures(name: str, lines: list[DubbedLine], speech: list[Span], *, bound: bool) -> list[Row]:
    found = measure(lines, RATE, speech)
    drift = onset_errors_ms(lines[-1:], RATE)[0]
    figures: list[tuple[str, float, str, float | None, float | None, str]] = [
        ("drift at the end", drift, "ms", None, 40, "lower"),
        ("onset p95", found.onset_p95_ms, "ms", None, 40, "lower"),
        ("onset p99", found.onset_p99_ms, "ms", None, None, "lower"),
        ("speech overlap", found.overlap_score, "", 0.75, 0.90, "higher"),
        ("source speech voiced", 100 * found.voiced_share, "%", 85, 93, "higher"),
        ("same-speaker overlaps", found.same_speaker_overlaps, "", 0, 0, "lower"),
        ("overruns of the window", found.overruns, "", 0, 0, "lower"),
        ("tempo outside 0.85-1.20", found.tempo_outside, "", 0, 0, "lower"),
        ("tempo within 5 %", 100 * found.tempo_within_5, "%", None, 80, "higher"),
        ("tempo within 10 %", 100 * found.tempo_within_10, "%", None, 99, "higher"),
    ]
    rows = [
        Row(f"{name}: {what}", round(v, 4), u, m if bound else None, t if bound else None, b, FLOOR)
        for what, v, u, m, t, b in figures
    ]
    edges = [f"{float(edge):.2f}" for edge in TEMPO_EDGES]
    bands = [f"< {edges[0]}", *map("-".join, pairwise(edges)), f"> {edges[-1]}"]
    counts = tempo_histogram(line.tempo for line in lines)
    return rows + [
        _bare(f"{name}: tempo {band}", 100 * count / len(lines), "%")
        for band, count in zip(bands, counts, strict=True)
    ]


FLOOR = (
    f"the original; takes {100 * SPREAD:.0f} % (log-normal) off its lengths, the same for all ways"
)


def _bare(name: str, value: float, unit: str) -> Row:
    return Row(name, round(value, 2), unit, None, None, "lower", FLOOR)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--quick", action="store_true", help="the episode only")
    options = parser.parse_args()
    place(film("warm-up", 5, 20).takes, RATE)
    films = [film("45-minute episode", 800, 2700)]
    if not options.quick:
        films.append(film("3-hour film", 5000, 10_800))
    rows = [row for work in films for row in rows_of(work)]
    show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
