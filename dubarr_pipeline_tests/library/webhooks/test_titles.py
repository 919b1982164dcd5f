from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from dubarr_pipeline.library.webhooks.titles import TitleEvent

ALIEN, SHOW = TitleEvent("Alien", 1979), TitleEvent("The Show", None, 1, 2)


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (ALIEN, "Alien (1979)/a.mkv"),
        (ALIEN, "Alien.1979.1080p.BluRay.mkv"),
        (ALIEN, "Alien.mkv"),
        (ALIEN, "Alien (1980)/a.mkv"),
        (TitleEvent("Amélie", 2001), "Ame\u0301lie (2001)/x.mkv"),
        (TitleEvent("Tom & Jerry"), "Tom and Jerry (2021)/x.mkv"),
        (TitleEvent("Schindler's List"), "Schindlers List (1993)/x.mkv"),
        (TitleEvent("A wrong title", ids=("tmdb-348",)), "Alien [tmdbid-348]/x.mkv"),
        (TitleEvent("A wrong title", ids=("imdb-tt1",)), "Alien {imdb-tt1}/x.mkv"),
        (SHOW, "The Show/Season 1/The Show - S01E02 - A.mkv"),
        (SHOW, "The.Show.S01E01-E03.mkv"),
        (SHOW, "The.Show.S01E01E02.mkv"),
        (SHOW, "The Show (2019)/The Show 1x02.mkv"),
        (TitleEvent("The Show", None, 1), "The Show/The Show - S01E07.mkv"),
        (TitleEvent("The Show"), "The Show/Season 3/x.mkv"),
    ],
)
def test_what_a_title_means(event: TitleEvent, path: str):
    assert event.names(PurePosixPath(path))


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (ALIEN, "Alien Resurrection (1997)/x.mkv"),
        (ALIEN, "Alien (2024)/x.mkv"),
        (ALIEN, "Aliens (1986)/x.mkv"),
        (TitleEvent("Alien", ids=("tmdb-348",)), "Alien [tmdbid-999]/x.mkv"),
        (SHOW, "The Show/Season 1/The Show - S01E12.mkv"),
        (SHOW, "The Show/Season 2/The Show - S02E02.mkv"),
        (SHOW, "The Show/Season 1/extra.mkv"),
        (SHOW, "The Show Off/The Show Off - S01E02.mkv"),
        (TitleEvent("🎬"), "🎬.mkv"),
    ],
)
def test_what_it_does_not_mean(event: TitleEvent, path: str):
    assert not event.names(PurePosixPath(path))
