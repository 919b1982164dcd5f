from __future__ import annotations

from dataclasses import replace

import pytest

from dubarr_pipeline.edits.model import Anchor
from dubarr_pipeline.edits.words import candidate, find_lines, words_of
from dubarr_pipeline_tests.fixtures.rerun_scripts import RERUNS, Rerun, make_script, rerun

LEAST_FOUND = {"same words": 0.99, "WER 10 %": 0.93, "WER 25 %": 0.78}
"""Share of the lines that stayed the same; 0.90 for the others."""


@pytest.mark.parametrize("kind", RERUNS, ids=lambda kind: kind.name)
def test_lines_are_found_again_and_never_wrong(kind: Rerun) -> None:
    scripts = rerun(make_script(600, "test"), kind, "test")
    found = find_lines(scripts.before, scripts.after)
    wrong = {at for at, there in found.pairs.items() if scripts.same.get(at, there) != there}
    elsewhere = {
        at for at, parts in scripts.parts.items() if found.pairs.get(at, -1) not in {*parts, -1}
    }
    right = len(found.pairs.keys() & scripts.same.keys()) / len(scripts.same)
    assert not wrong
    assert not elsewhere
    assert right >= LEAST_FOUND.get(kind.name, 0.90)
    assert found.pairs.keys() | found.lost.keys() == set(range(600))
    assert not found.pairs.keys() & found.lost.keys()


def line(start_s: float, text: str, speaker: str = "A") -> Anchor:
    return Anchor(start_s, start_s + 1, text, speaker)


TEXTS = "One two three|No|Four five|Six seven|Eight nine".split("|")
LINES = tuple(line(3.0 * at, text) for at, text in enumerate(TEXTS))
REST = {2: 2, 3: 3, 4: 4}


@pytest.mark.parametrize(
    ("new", "pairs", "lost"),
    [
        (LINES, {0: 0, 1: 1, **REST}, {}),
        (LINES[1:], {1: 0, 2: 1, 3: 2, 4: 3}, {0: "gone"}),
        ([replace(each, start_s=each.start_s + 90) for each in LINES], {0: 0, 1: 1, **REST}, {}),
        ((line(0, "One two three no"), *LINES[2:]), {2: 1, 3: 2, 4: 3}, {0: "recut", 1: "recut"}),
        (
            (line(0, "One two"), line(1, "three"), *LINES[1:]),
            {1: 2, 2: 3, 3: 4, 4: 5},
            {0: "recut"},
        ),
        ((), {}, dict.fromkeys(range(5), "gone")),
        ((LINES[0], line(30, "No"), *LINES[2:]), {0: 0, **REST}, {1: "ambiguous"}),
    ],
    ids=["same", "dropped", "moved", "joined", "split", "nothing", "another clock"],
)
def test_a_line_is_the_same_or_lost_for_a_reason(new, pairs, lost) -> None:
    found = find_lines(LINES, tuple(new))
    assert (dict(found.pairs), dict(found.lost)) == (pairs, lost)


def test_a_script_without_lines_has_no_clock_of_its_own() -> None:
    assert find_lines((), ()).shift_at(5) == 0
    assert find_lines(LINES, ()).shift_at(5) is None
    later = tuple(replace(each, start_s=each.start_s + 2) for each in LINES)
    assert find_lines(LINES, later).shift_at(50) == pytest.approx(2)


def test_words_are_compared_without_marks_and_case() -> None:
    assert words_of("Don’t — STOP!") == words_of("don't stop")
    assert words_of("…") == ["..."]
    assert len(words_of("私は猫です")) == 5


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ([line(10.2, "We need a boat")], 0),
        ([line(10.2, "We need that boat"), line(10.4, "Nobody sails")], 0),
        ([line(12.0, "We need a boat")], None),
        ([line(10.0, "Nobody sails today")], None),
        ([line(10.0, "We need a boat"), line(10.1, "We need a boat")], None),
    ],
    ids=["near", "best", "too far", "other words", "two alike"],
)
def test_a_candidate_is_well_ahead(new, expected) -> None:
    assert candidate(line(10.0, "We need a boat"), 10.0, new) == expected
