"""The series of a film, by Sonarr, by its path and by its folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dubarr_pipeline.library.series.memory import CastMemory, SeriesFolder
from dubarr_pipeline.library.series.names import note_series, series_of
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.workdir.identity import FileIdentity


def video(path: str, series: str = "") -> Video:
    identity = FileIdentity(0, 0, 0, 0, "")
    return Video("a-film-00000000", Path(path), identity, ("es",), "lite", series=series)


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/tv/The Boat (2020)/Season 01/The Boat - S01E01 - Pilot.mkv", "The Boat (2020)"),
        ("/tv/The Boat/Specials/The Boat - s00e01.mkv", "The Boat"),
        ("/tv/The Boat/S01E01.mkv", "The Boat"),
        ("/tv/The Boat (2020)/The.Boat.1x02.mkv", "The Boat (2020)"),
        ("/downloads/The.Boat.S01E01.1080p.mkv", "The.Boat"),
        ("/tv/The Boat/Staffel 2/03 Sturm.mkv", "The Boat"),
        ("/films/The Boat (2020)/The Boat (2020).mkv", None),
        ("/films/Apollo 13.mkv", None),
    ],
)
def test_a_path_names_the_series(path: str, title: str | None, tmp_path: Path):
    found = series_of(video(path), tmp_path)
    assert (found.title if found else None) == title


def test_all_films_of_a_series_have_one_key_and_those_of_others_another(tmp_path: Path):
    paths = [
        "/tv/The Boat/Season 01/The Boat S01E01.mkv",
        "/tv/The Boat/Season 02/The Boat S02E01.mkv",
        "/tv/The Boat/The Boat S01E03.mkv",
    ]
    keys = {found.key for path in paths if (found := series_of(video(path), tmp_path))}
    assert len(keys) == 1
    other = series_of(video("/tv/The Boat (2020)/Season 01/The Boat S01E01.mkv"), tmp_path)
    assert other
    assert other.key not in keys
    cyrillic = [series_of(video(f"/tv/{name}/S01E01.mkv"), tmp_path) for name in ("Ёлки", "Дом")]
    assert len({found.key for found in cyrillic if found}) == 2


def test_a_number_in_the_path_or_of_sonarr_counts_before_the_name(tmp_path: Path):
    path = "/tv/The Boat [tvdb-81189]/Season 01/The Boat S01E01.mkv"
    found = series_of(video(path), tmp_path)
    assert found
    assert found.key == "tvdb-81189"
    told = series_of(video("/tv/The Boat/Season 01/01.mkv", "tvdb-5"), tmp_path)
    assert told
    assert told.key == "tvdb-5"


@pytest.mark.parametrize("is_remembered", [False, True])
def test_a_folder_that_sonarr_numbers_later_stays_one_series(tmp_path: Path, is_remembered: bool):
    old = video("/tv/The Boat/Season 01/The Boat S01E01.mkv")
    by_folder = series_of(old, tmp_path)
    assert by_folder
    if is_remembered:
        folder = SeriesFolder.of(by_folder.key, tmp_path)
        with folder.alone():
            folder.write(CastMemory(by_folder.key, by_folder.title))
    told = replace(old, series="tvdb-5")
    note_series(told, tmp_path)
    note_series(told, tmp_path)
    expected = by_folder.key if is_remembered else "tvdb-5"
    assert {found.key for v in (old, told) if (found := series_of(v, tmp_path))} == {expected}
