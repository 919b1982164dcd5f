"""Lines found again after a rerun, and the time that it takes: facts must never reach another line.

A made-up film of 1,600 lines, a quarter of them as common as "No.", in six kinds of reruns: 12-24 %
of the lines divided otherwise, words misheard, another speed, another start, scenes cut. Baseline:
the line of the same index.

    python benchmarks/edits.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures import Row, show

from dubarr_pipeline.edits.document import add_facts
from dubarr_pipeline.edits.film import film_edits
from dubarr_pipeline.edits.model import Anchor, ProposedFact
from dubarr_pipeline.edits.words import find_lines
from dubarr_pipeline.script.model import Segment, Transcript
from dubarr_pipeline.spans import Span
from dubarr_pipeline.workdir.artifacts import write_transcript
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures.rerun_scripts import RERUNS, Rerun, make_script, rerun

RATE = 16_000
LEAST_FOUND = {"same words": 99.5, "WER 10 %": 94, "WER 25 %": 82, "25/24 speed": 93}
"""Per cent of the lines that stayed the same; 93 for the others."""


def kind_rows(kind: Rerun, lines: int, films: int) -> Iterator[Row]:
    same = found = wrong = recut = pieces = elsewhere = by_index = 0
    took_s = 0.0
    for number in range(films):
        scripts = rerun(make_script(lines, f"film {number}"), kind, f"film {number}")
        started = time.process_time()
        pairs = find_lines(scripts.before, scripts.after).pairs
        took_s = max(took_s, time.process_time() - started)
        same += len(scripts.same)
        recut += len(scripts.parts)
        found += sum(pairs.get(at) == there for at, there in scripts.same.items())
        wrong += sum(pairs.get(at, there) != there for at, there in scripts.same.items())
        pieces += sum(pairs.get(at) in parts for at, parts in scripts.parts.items())
        elsewhere += sum(
            at in pairs and pairs[at] not in parts for at, parts in scripts.parts.items()
        )
        by_index += sum(at != there for at, there in scripts.same.items())
    least = LEAST_FOUND.get(kind.name, 93)
    floor = f"by index {100 * by_index / same:.0f} % wrong"
    name = kind.name
    yield Row(f"{name}: unchanged lines found", 100 * found / same, "%", least, better="higher")
    yield Row(f"{name}: edits on another line", wrong + elsewhere, "lines", 0, 0, floor=floor)
    yield Row(f"{name}: on a piece of their line", 100 * pieces / (lines * films), "%", 1, 0.25)
    yield Row(f"{name}: lines divided otherwise", 100 * recut / (lines * films), "%")
    yield Row(f"{name}: alignment", took_s, "CPU s", 0.3, 0.05)


def as_transcript(lines: tuple[Anchor, ...]) -> Transcript:
    segments = tuple(
        Segment(at, Span(round(a.start_s * RATE), round(a.end_s * RATE)), a.speaker, a.text)
        for at, a in enumerate(lines)
    )
    return Transcript(RATE, round((lines[-1].end_s + 60) * RATE), "en", segments)


def cost_rows(lines: int) -> Iterator[Row]:
    """What a fact costs, and the projection of a film with 500 of them."""
    transcript = as_transcript(make_script(lines, "costs"))
    with tempfile.TemporaryDirectory() as folder:
        work = WorkDir(Path(folder))
        write_transcript(work.transcription, transcript)
        ids = film_edits(work, transcript, ("es",)).ids
        facts = [
            ProposedFact(str(uuid.uuid4()), "line", ids[n * lines // 500], "text", f"Línea {n}.")
            for n in range(500)
        ]
        costs: dict[str, float] = {}
        for name, batch, revision in (("500 facts", facts, 0), ("one fact more", facts[:1], 1)):
            new = [ProposedFact(str(uuid.uuid4()), *_rest(each)) for each in batch]
            started = time.process_time()
            add_facts(work, "es", new, revision=revision, by="bench")
            costs[f"{name} added"] = time.process_time() - started
        started = time.process_time()
        film_edits(work, transcript, ("es",))
        costs["edits put into the film"] = time.process_time() - started
    for name, cost in costs.items():
        yield Row(f"{lines} lines: {name}", cost, "CPU s", 2, 0.5)


def _rest(fact: ProposedFact) -> tuple[str, str, str, object]:
    return fact.target, fact.target_id, fact.field, fact.value


def measure(*, quick: bool) -> Iterator[Row]:
    for kind in RERUNS:
        yield from kind_rows(kind, 1600, 1 if quick else 6)
    yield from cost_rows(2000)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one film of each kind")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    show(measure(quick=given.quick), as_json=given.json)
