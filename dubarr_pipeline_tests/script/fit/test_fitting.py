from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubarr_pipeline.script.fit.fitting import Timeline, fit_cues
from dubarr_pipeline.script.fit.options import SCRIPT, TRANSLATION
from dubarr_pipeline.script.fit.values import ScriptFit
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.fit_scoring import Tally, tally
from dubarr_pipeline_tests.fixtures.made_scripts import (
    MUSIC,
    RATE,
    BreakKind,
    MadeFilm,
    Recipe,
    make_film,
)


def _fit(film: MadeFilm, cues: Sequence[Span], *, translation: bool = False) -> ScriptFit:
    spans = film.reference if translation else film.speech
    return fit_cues(
        cues, Timeline(spans, film.length, RATE), TRANSLATION if translation else SCRIPT
    )


def _tally(recipe: Recipe, films: int, *, translation: bool = False) -> Tally:
    made = [make_film(recipe, f"test {number}") for number in range(films)]
    return sum(
        (tally(film, _fit(film, film.cues, translation=translation).cues) for film in made),
        start=Tally(),
    )


@pytest.mark.parametrize("lines", [20, 40, 300])
def test_a_good_script_keeps_its_own_times(lines: int) -> None:
    for number in range(6):
        film = make_film(Recipe(lines), f"good {number}")
        fit = _fit(film, film.cues)
        assert fit.verdict in ("fits", "unsure")
        placed = [cue.span for cue in fit.cues]
        film_span = Span(0, film.length)
        assert placed == [cue.clip(film_span) for cue in film.cues]
    assert fit.words == "as it is"


def test_scenes_that_the_detector_missed_lose_no_line() -> None:
    counted = _tally(Recipe(300, detector=MUSIC), 6)
    assert (counted.lost, counted.wrong) == (0, 0)


@pytest.mark.parametrize("shift_s", [-45.0, -0.6, 0.6, 12.0, 400.0])
def test_a_shift_is_found(shift_s: float) -> None:
    counted = _tally(Recipe(100, shift_s=shift_s), 3)
    assert counted.wrong == 0
    assert counted.right_percent >= 99


@pytest.mark.parametrize(
    "ratio",
    [Fraction(24, 25), Fraction(25, 24), Fraction(24_000, 25_025), Fraction(25_025, 24_000)],
)
def test_a_frame_rate_is_found(ratio: Fraction) -> None:
    film = make_film(Recipe(300, ratio=float(1 / ratio), shift_s=3.0), "rate")
    fit = _fit(film, film.cues)
    assert {piece.ratio for piece in fit.pieces} == {ratio}
    assert tally(film, fit.cues).right_percent == 100


@pytest.mark.parametrize("ratio", [Fraction(1001, 1000), Fraction(1000, 1001)])
def test_a_drift_of_one_in_a_thousand_is_found(ratio: Fraction) -> None:
    film = make_film(Recipe(400, ratio=float(1 / ratio)), "drift")
    fit = _fit(film, film.cues)
    assert [piece.ratio for piece in fit.pieces] == [ratio]
    assert fit.words.startswith(f"at {ratio.numerator}/{ratio.denominator} of the file's times; ")


@pytest.mark.parametrize(
    ("breaks", "wrong", "lost"),
    [
        (("film",), 1.5, 2.0),
        (("script",), 1.5, 2.0),
        (("both",), 3.0, 2.0),
        (("film", "script", "film"), 2.0, 4.0),
        (("both", "film", "script"), 2.0, 4.0),
    ],
)
@pytest.mark.parametrize("translation", [False, True])
def test_breaks_are_found(
    breaks: tuple[BreakKind, ...], wrong: float, lost: float, translation: bool
) -> None:
    counted = _tally(Recipe(300, breaks), 4, translation=translation)
    assert counted.wrong_percent <= wrong
    assert counted.lost_percent <= lost
    assert counted.right_percent >= 95


def test_the_report_says_where_the_file_breaks() -> None:
    film = make_film(Recipe(200, ("film",), shift_s=-5.0), "words")
    fit = _fit(film, film.cues)
    first, second = fit.pieces
    at = film.cues[second.first].start // RATE
    moved = f"from {at // 60}:{at % 60:02} on {second.offset / RATE:.1f} s later"
    assert fit.verdict == "mapped"
    assert fit.words.startswith(f"{first.offset / RATE:.1f} s later; {moved}")


@pytest.mark.parametrize(("lines", "film_lines"), [(100, 100), (100, 300), (300, 300)])
def test_another_film_s_script_is_refused(lines: int, film_lines: int) -> None:
    for number in range(4):
        film = make_film(Recipe(film_lines), f"film {number}")
        fit = _fit(film, make_film(Recipe(lines), f"another {number}").cues)
        assert fit.verdict == "refused"
        assert all(cue.span is None and cue.left_out == "no agreement" for cue in fit.cues)


def test_a_translation_of_another_film_is_refused() -> None:
    film = make_film(Recipe(200), "film")
    other = make_film(Recipe(200), "other")
    assert _fit(film, other.cues, translation=True).verdict == "refused"


def test_forced_subtitles_are_kept_but_unsure() -> None:
    film = make_film(Recipe(300), "forced")
    cues = sorted(random.Random(1).sample(film.cues, 10))
    fit = _fit(film, cues)
    assert fit.verdict == "unsure"
    assert [cue.span for cue in fit.cues] == cues
    assert not any(cue.sure for cue in fit.cues)


def test_a_film_that_breaks_off_leaves_the_rest_outside() -> None:
    film = make_film(Recipe(300), "broken off")
    length = film.cues[200].start
    cut = replace(film, length=length, speech=tuple(s for s in film.speech if s.end <= length))
    fit = _fit(cut, film.cues)
    assert fit.verdict == "fits"
    rest = len(film.cues) - 200
    assert fit.words == f"as it is; {rest} of {len(film.cues)} lines outside the film"
    assert [cue.left_out for cue in fit.cues[200:]] == ["outside the film"] * rest
    assert all(cue.span for cue in fit.cues[:200])


def test_a_file_of_which_less_than_half_is_used_fits_partly() -> None:
    film = make_film(Recipe(120), "short film")
    other = make_film(Recipe(300), "much longer")
    late = [cue.shift(film.cues[-1].end + 60 * RATE) for cue in other.cues]
    assert _fit(film, [*film.cues, *late]).verdict == "partly"


def test_lines_over_silence_are_named_and_kept() -> None:
    film = make_film(Recipe(300), "unheard")
    missed = Span(film.cues[100].start, film.cues[130].end)
    deaf = replace(film, speech=tuple(s for s in film.speech if not s.overlap(missed)))
    silent = replace(SCRIPT, borders=replace(SCRIPT.borders, unheard_fall=3.0))
    fit = fit_cues(deaf.cues, Timeline(deaf.speech, deaf.length, RATE), silent)
    assert fit.verdict == "fits"
    assert any(first < 130 and last >= 101 for first, last in fit.unheard)


def test_cues_come_back_in_the_order_given() -> None:
    film = make_film(Recipe(100, shift_s=20.0), "order")
    order = list(range(len(film.cues)))
    random.Random(2).shuffle(order)
    mixed = _fit(film, [film.cues[at] for at in order])
    straight = _fit(film, film.cues)
    assert [cue.index for cue in mixed.cues] == list(range(len(order)))
    assert [cue.span for cue in mixed.cues] == [straight.cues[at].span for at in order]


def test_one_cue_at_ninety_nine_hours_costs_nothing() -> None:
    film = make_film(Recipe(100), "far")
    far = Span(99 * 3600 * RATE, (99 * 3600 + 2) * RATE)
    fit = _fit(film, [*film.cues, far])
    assert fit.verdict == "fits"
    assert fit.cues[-1].left_out == "outside the film"


def test_a_file_without_lines_and_a_film_without_speech_are_refused() -> None:
    film = make_film(Recipe(20), "nothing")
    assert _fit(film, []).words == "the file has no lines"
    fit = _fit(replace(film, speech=()), film.cues)
    assert (fit.verdict, fit.words) == ("refused", "no speech was detected in the film")


spans = st.lists(
    st.tuples(st.integers(-40_000, 4_000_000), st.integers(0, 60_000)).map(
        lambda s: Span(s[0], s[0] + s[1])
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(spans, spans, st.integers(1, 4_000_000))
def test_every_cue_has_a_place_in_the_film_or_a_reason(
    cues: list[Span], speech: list[Span], length: int
) -> None:
    heard = [span.pad(0, 0) for span in speech if span.start >= 0]
    fit = fit_cues(cues, Timeline(heard, length, RATE))
    assert [cue.index for cue in fit.cues] == list(range(len(cues)))
    for cue in fit.cues:
        assert (cue.span is None) == (cue.left_out is not None)
        assert cue.span is None or 0 <= cue.span.start <= cue.span.end <= length
    for left, right in pairwise(fit.pieces):
        assert left.last < right.first
