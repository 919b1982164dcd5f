from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from dubarr_pipeline.config.libraries import Rules
from dubarr_pipeline.library.asides import aside_reason

BINS = [
    *(
        "#recycle",
        "@Recently-Snapshot",
        "$RECYCLE.BIN",
        "lost+found",
        "@eaDir",
        "@Recycle",
        "RECYCLER",
    ),
    *("@Recycle", "#snapshot", "System Volume Information", "Network Trash Folder"),
]
EXTRAS = [
    *(
        "Extras",
        "Featurettes",
        "Behind The Scenes",
        "deleted scenes",
        "Interviews",
        "Scenes",
        "Shorts",
    ),
    *("Shorts", "Trailers", "Samples", "Sample", "Other", "Clips"),
]


def reason(path: str, rules: Rules | None = None) -> str:
    return aside_reason(PurePosixPath(path), rules or Rules()) or ""


@pytest.mark.parametrize("name", BINS)
def test_recycle_bins_and_systems_folders_hold_no_films(name: str):
    for path in (f"{name}/A.mkv", f"A/{name}/deep/A.mkv"):
        assert "recycle bin" in reason(path)
        assert reason(path, Rules(with_extras=True, with_discs=True))


@pytest.mark.parametrize("name", EXTRAS)
def test_a_films_extras_are_left_out_unless_wished(name: str):
    path = f"A film (2010)/{name}/x.mkv"
    assert "extras of a film" in reason(path)
    assert not reason(path, Rules(with_extras=True))


@pytest.mark.parametrize(
    "name",
    [
        *("A film-trailer.mkv", "A film-Trailer2.mp4", "A.film.trailer.mkv", "A film_sample.mkv"),
        *("sample.mkv", "sample-a.film.mkv", "A film-behindthescenes.mkv", "A film-deleted.mkv"),
        *("A film-featurette.mkv", "x-interview.mkv", "x-scene.mkv", "x-short.mkv", "x-extra.mkv"),
    ],
)
def test_extras_are_known_by_their_names_too(name: str):
    assert "named like a film's extra" in reason(f"A film (2010)/{name}")
    assert not reason(f"A film (2010)/{name}", Rules(with_extras=True))


@pytest.mark.parametrize(
    "path", ["A/BDMV/STREAM/00001.m2ts", "A/VIDEO_TS/VTS_01_1.VOB", "VTS_01_1.VOB"]
)
def test_parts_of_discs_are_left_out_unless_wished(path: str):
    assert "part of a disc" in reason(path)
    assert not reason(path, Rules(with_discs=True))


@pytest.mark.parametrize(
    "path",
    [
        *(
            "A film.mkv",
            "Trailer Park Boys/S01E01.mkv",
            "Shorts/A short film.mkv",
            "Free Sample.mkv",
        ),
        *("Extras/Season 1/Extras - S01E01.mkv", "Extras/Extras.S01E02.mkv", "Free Sample.mkv"),
        *("Interview with the Vampire (1994)/Interview with the Vampire.mkv", "The Short.mkv"),
        *("Other People (2016)/Other People.mkv", "Scenes/A.mkv", "Show/Specials/S00E01.mkv"),
    ],
)
def test_films_that_are_only_called_so_stay(path: str):
    assert not reason(path)
