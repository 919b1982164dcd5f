"""Subtitles of other cuts, speeds, offsets and films, put on a film or refused, with an account."""

from __future__ import annotations

import random
from pathlib import Path

import pysubs2
import pytest

from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.fit.fitting import Timeline
from dubarr_pipeline.script.fit.placing import place_script, place_translation
from dubarr_pipeline.spans import Span

RATE = 1000
AT = (1500, 5800, 9200, 13000, 17200, 21000)
END = (4670, 7250, 11310, 15590, 19090, 23030)
TIMES = [Span(a, b) for a, b in zip(AT, END, strict=True)]
SHORT = [Cue(span, f"They say line {n}.") for n, span in enumerate(TIMES)]
SCENE = [Cue(Span(a, a + 2000), "Of another scene.") for a in (12500, 16500, 20500)]
SHORT_FILM = Timeline([Span(each.start - 40, each.end + 70) for each in TIMES], 25_000, RATE)


def moved(cues: list[Cue], by: int, speed: float = 1.0) -> list[Cue]:
    """The cues on a clock that runs ahead, or faster."""
    times = [(round(c.span.start * speed) + by, round(c.span.end * speed) + by) for c in cues]
    return [Cue(Span(a, b), c.text) for (a, b), c in zip(times, cues, strict=True)]


def apart(placed: tuple[Cue, ...], truth: list[Cue]) -> int:
    """The furthest that a cue stands from where its words are said, in ms."""
    assert [cue.text for cue in placed] == [cue.text for cue in truth]
    return max(abs(a.span.start - b.span.start) for a, b in zip(placed, truth, strict=True))


def long_film(lines: int = 150) -> tuple[list[Cue], Timeline]:
    chance, now, cues = random.Random(lines), 1000, list[Cue]()
    for number in range(lines):
        length = round(1000 * min(6.0, max(0.6, chance.lognormvariate(0.6, 0.5))))
        cues.append(Cue(Span(now, now + length), f"Line {number} is said here."))
        now += length + round(1000 * chance.choice((0.2, 0.5, 0.9, 2.0, 5.0)))
    spans = [Span(cue.span.start + 60, cue.span.end + 90) for cue in cues]
    return cues, Timeline(spans, now, RATE)


@pytest.mark.parametrize("by", [-1400, -900, 1500, 2500, 3500, 5000])
def test_six_lines_of_another_release_are_put_on_the_speech(by: int) -> None:
    placed, account = place_script(moved(SHORT, by), SHORT_FILM)
    assert account.verdict == "mapped"
    assert apart(placed, SHORT) <= 250
    assert ("earlier" if by > 0 else "later") in account.words


def test_lines_that_fit_are_left_as_they_are() -> None:
    for lines in (SHORT, SHORT[:2] + SHORT[3:4] + SHORT[5:]):
        placed, account = place_script(lines, SHORT_FILM)
        assert (list(placed), account.verdict, account.left_out) == (lines, "fits", ())


@pytest.mark.parametrize("speed", [1.0, 25 / 24, 24 / 25, 25_025 / 24_000, 1.001])
@pytest.mark.parametrize("by", [-15_000, 0, 40_000])
def test_a_film_is_matched_whatever_the_files_lag_and_speed(by: int, speed: float) -> None:
    cues, film = long_film()
    placed, account = place_script(moved(cues, by, speed), film)
    assert account.verdict == ("fits" if (by, speed) == (0, 1.0) else "mapped")
    truth = cues if by >= 0 else cues[len(cues) - len(placed) :]
    assert apart(placed, truth) <= 300


def test_a_scene_that_the_film_lacks_is_left_out_by_name_and_the_rest_moved() -> None:
    cues, film = long_film()
    scene = moved([Cue(cue.span, "Not in your film.") for cue in cues[:20]], 300_000)
    at = next(n for n, cue in enumerate(cues) if cue.span.start >= 300_000)
    length = scene[-1].span.end - scene[0].span.start + 3000
    file = [*cues[:at], *moved(scene, cues[at].span.start - scene[0].span.start)]
    file += moved(cues[at:], length)
    placed, account = place_script(file, film)
    assert account.verdict == "mapped"
    assert sum(cue.text == "Not in your film." for cue in placed) <= 1
    assert sum(cue.reason == "not in the film" for cue in account.left_out) >= 19
    where = {cue.text: cue.span.start for cue in placed}
    right = sum(abs(where.get(cue.text, -9999) - cue.span.start) <= 300 for cue in cues)
    assert right >= len(cues) - 2


def test_sounds_and_songs_go_with_the_words_before_them() -> None:
    cues, film = long_film()
    span = cues[40].span
    file = [*cues, Cue(Span(span.end + 10, span.end + 150), "[DOOR SLAMS]")]
    placed, _ = place_script(moved(file, 7000), film)
    (sound,) = (cue for cue in placed if cue.text == "[DOOR SLAMS]")
    assert abs(sound.span.start - span.end) <= 300


def test_a_line_behind_one_outside_the_film_keeps_its_place() -> None:
    early = Cue(Span(-3000, -1000), "Too early.")
    doubtful = Cue(TIMES[0], "Subtitles by my brother")
    placed, account = place_script([early, doubtful, *SHORT[1:]], SHORT_FILM)
    assert list(placed) == [doubtful, *SHORT[1:]]
    assert [(cue.text, cue.reason) for cue in account.left_out] == [
        ("Too early.", "outside the film")
    ]


def test_another_films_script_is_refused_and_every_cue_named() -> None:
    _, film = long_film(150)
    others, _ = long_film(151)
    placed, account = place_script(others, film)
    assert (placed, account.verdict) == ((), "refused")
    assert [cue.text for cue in account.left_out] == [cue.text for cue in others]


def test_a_translation_of_another_cut_says_nothing_of_a_scene_that_the_film_lacks() -> None:
    file = [*SHORT[:3], *SCENE, *moved(SHORT[3:], 12_000)]
    placed, account = place_translation(file, SHORT, SHORT_FILM)
    assert not [cue for cue in placed if cue.text == "Of another scene."]
    assert list(placed[:3]) == SHORT[:3]
    assert {cue.reason for cue in account.left_out} <= {"no agreement", "outside the film"}


def test_a_translation_of_another_film_is_not_used() -> None:
    script, film = long_film(150)
    others, _ = long_film(151)
    placed, account = place_translation(others, script, film)
    assert len(placed) <= 1
    assert account.verdict in ("refused", "unsure")


@pytest.mark.parametrize("language", ["es", "de"])
@pytest.mark.parametrize("by", [-1500, 0, 1500, 40_000])
def test_human_subtitles_of_a_short_film_are_put_on_its_script(
    shared_media: Path, language: str, by: int
) -> None:
    def read(name: str) -> list[Cue]:
        events = pysubs2.load(str(shared_media / "text" / name))
        return [Cue(Span(e.start, e.end), e.plaintext) for e in events if "Test" not in e.plaintext]

    script, file = read("sintel-en.vtt"), read(f"sintel-{language}.vtt")
    film = Timeline([cue.span for cue in script], script[-1].span.end + 5000, RATE)
    placed, _ = place_translation(moved(file, by), script, film)
    assert apart(placed, file) <= 250
