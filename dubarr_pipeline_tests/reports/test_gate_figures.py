"""What the gate measures: every planted fault is found for what it is, and clean films pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from dubarr_pipeline.config.options import GateOptions
from dubarr_pipeline.library.gate import judge
from dubarr_pipeline_tests.fixtures.gated_films import FAULTS, clean_film, faulty_films

BOUNDS = GateOptions()


def test_a_hundred_planted_faults_are_held_each_for_its_reason() -> None:
    missed: list[str] = []
    kinds: Counter[str] = Counter()
    for bound, film in faulty_films(8 * len(FAULTS)):
        gate = judge(film.figures(), None, BOUNDS)
        kinds[bound] += 1
        if not any(f"({bound} allows" in reason for reason in gate.reasons):
            missed.append(f"{bound}: {film.language}, {len(film.lines)} lines: {gate.reasons}")
    assert kinds.total() >= 100
    assert not missed


def test_a_hundred_clean_films_go_through() -> None:
    films = [clean_film(number) for number in range(100)]
    assert len({film.language for film in films}) == 9
    states = [judge(film.figures(), None, BOUNDS) for film in films]
    assert [gate.reasons for gate in states if gate.state != "passed"] == []


def test_a_film_without_lines_or_with_songs_alone_passes() -> None:
    film = clean_film(3)
    assert judge(film.with_lines([]).figures(), None, BOUNDS).state == "held", "all are nameless"
    song = replace(film, segments=tuple(replace(s, kind="song") for s in film.segments))
    kept = [replace(x, outcome="kept_original", takes=(), chosen=None) for x in film.lines]
    assert judge(song.with_lines(kept).figures(), None, BOUNDS).state == "passed"
    nothing = replace(film, segments=(), speech=()).with_lines([])
    assert judge(nothing.figures(), None, BOUNDS).state == "passed"


def test_lines_at_fault_are_named_by_their_index_and_texts() -> None:
    film = clean_film(24)
    some = [line.index for line in film.lines if line.placed][:2]
    lost = film.changed(some, outcome="failed:too_long")
    (figure,) = [x for x in lost.figures()[film.language] if x.name == "failed_share"]
    assert {*some} <= {*figure.lines}
    again = lost.changed(some, text="otra cosa")
    (other,) = [x for x in again.figures()[film.language] if x.name == "failed_share"]
    assert figure.lines[some[0]] != other.lines[some[0]]


def test_copies_in_a_language_that_the_guesser_does_not_know_are_held() -> None:
    film = next(each for each in map(clean_film, range(20)) if len(each.lines) > 20)
    originals = {segment.index: segment.text for segment in film.segments}
    copied = [replace(x, text=originals[x.index], language="mi") for x in film.lines]
    left = replace(film, language="mi").with_lines(copied)
    assert any("untranslated" in reason for reason in judge(left.figures(), None, BOUNDS).reasons)
    names = [replace(x, text="OK, Maria!") for x in copied]
    same = tuple(replace(s, text="OK, Maria!") for s in left.segments)
    alike = replace(left, segments=same).with_lines(names)
    (figure,) = [x for x in alike.figures()["mi"] if x.name == "untranslated_share"]
    assert figure.value == 0


def test_a_film_of_calls_by_names_alone_passes() -> None:
    film = next(each for each in map(clean_film, range(20)) if each.language != "pl")
    calls = ("Kowalski! Wiśniewski! Zbigniew!", "Agnieszka Wojciechowska?", "Szczęsny, Grzegorz...")
    lines = [replace(x, text=calls[n % 3]) for n, x in enumerate(film.lines)]
    (figure,) = [
        x for x in film.with_lines(lines).figures()[film.language] if x.name == "untranslated_share"
    ]
    assert figure.value == 0
