from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.segments.lengths import Lengths, generation
from dubarr_pipeline.segments.tasks import line_tasks
from dubarr_pipeline_tests.fixtures.small_scripts import order, transcript


@pytest.mark.parametrize(
    ("ordinal", "learned"),
    [
        (0, 0),
        (3, 0),
        (4, 2),
        (7, 2),
        (8, 4),
        (16, 8),
        (31, 8),
        (32, 16),
        (47, 16),
        (48, 32),
        (80, 64),
    ],
)
def test_generations(ordinal: int, learned: int) -> None:
    assert generation(ordinal) == learned


@given(st.integers(0, 20_000))
def test_a_line_learns_only_from_lines_before_it(ordinal: int) -> None:
    assert generation(ordinal) <= ordinal
    assert generation(ordinal) <= generation(ordinal + 1)


def test_a_line_waits_for_the_takes_it_learns_from(tmp_path: Path) -> None:
    tasks = [t for t in line_tasks(order(tmp_path, transcript(20))) if t.language == "es"]
    lengths = Lengths(tasks)
    assert lengths.ready(tasks[3])
    assert not lengths.ready(tasks[8])
    with pytest.raises(ValueError, match="not learned enough"):
        lengths.snapshot(tasks[8])
    for task in (tasks[0], tasks[1], tasks[3]):
        lengths.settle(task, ("una casa", 1.0))
    assert not lengths.ready(tasks[8])
    lengths.settle(tasks[2], None)
    assert lengths.ready(tasks[8])


def test_what_is_seen_does_not_depend_on_who_finished_first(tmp_path: Path) -> None:
    tasks = line_tasks(order(tmp_path, transcript(60)))
    seen = {
        t.position: (f"la casa roja {'mira ' * (t.ordinal % 7)}", 1.0 + t.ordinal % 7 * 0.4)
        for t in tasks
    }
    predictions = set()
    for seed in range(4):
        shuffled = list(tasks)
        random.Random(seed).shuffle(shuffled)
        lengths = Lengths(tasks)
        for task in shuffled:
            lengths.settle(task, seen[task.position])
            lengths.settle(task, ("a second word on it does not count", 99.0))
        last = [t for t in tasks if t.language == "ca"][-1]
        predictions.add(lengths.snapshot(last).predict("la casa nueva", "ca", "SPEAKER_00"))
    assert len(predictions) == 1


def test_a_film_learns_from_the_one_before(tmp_path: Path) -> None:
    tasks = line_tasks(order(tmp_path, transcript(30)))
    first = Lengths(tasks)
    for task in tasks:
        first.settle(task, ("una casa muy grande", 4.0))
    second = Lengths(tasks, first.learned())
    slow = second.snapshot(tasks[0]).predict("una casa muy grande", "es", "SPEAKER_00")
    fresh = Lengths(tasks).snapshot(tasks[0]).predict("una casa muy grande", "es", "SPEAKER_00")
    assert slow > 1.5 * fresh
