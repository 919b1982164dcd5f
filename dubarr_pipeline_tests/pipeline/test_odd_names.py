"""Whatever a file is called, it is dubbed as under any other name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dubarr_pipeline_tests.fixtures.bench import Bench, leftovers, sidecar, stats, streams

ODD_NAMES = {
    "spaces, quotes, slashes": " two  spaces 'and' \"quotes\" a\\b & <i>c<i> | d.mkv",
    "newline, emoji": "new\nline é 🎬.mkv",
    "leading dash": "-to dash.mkv",
    "250 bytes": "ñ" * 123 + ".mkv",
    "percent, colon, glob": "100%d: [a-z]*?,{b};$HOME.mkv",
}


def _renamed(tiny_film: Path, film: Path) -> Path:
    film.parent.mkdir()
    shutil.copy(tiny_film, film)
    shutil.copy(sidecar(tiny_film, "en"), film.with_suffix(".srt"))
    return film


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES.keys())
def test_odd_name(tiny_film, bench, tmp_path, name, dubbed_once):
    film = _renamed(tiny_film, tmp_path / "library" / name)
    answer = bench.dub(film)
    assert answer.code == 0, answer.both
    _is_dubbed(bench, film, dubbed_once)


def test_name_that_is_no_utf8(tiny_film, bench, tmp_path, dubbed_once):
    """In a process of its own: the name stands in the log, which pytest's workers cannot send."""
    film = _renamed(tiny_film, tmp_path / "library" / os.fsdecode(b"caf\xe9 \xff.mkv"))
    answer = bench.finish(bench.start("dub", "--to", "es", film))
    assert answer.code == 0, ascii(answer.both)
    assert r"caf\udce9 \udcff.mkv" in answer.out
    _is_dubbed(bench, film, dubbed_once)


def _is_dubbed(bench: Bench, film: Path, dubbed_once: Bench) -> None:
    """It is dubbed as it would be under another name, and found again by its name."""
    (task,) = bench.status()
    assert task["status"] == "DONE"
    assert os.fsencode(task["source"]) == os.fsencode(film)
    assert stats(bench.work)["placed"] == 2
    assert leftovers(bench.work_dir) == []
    assert len(list(bench.work.root.glob("*.es.srt"))) == 1
    expected = streams(dubbed_once.work.muxed)
    found = streams(bench.work.muxed)
    assert found[:2] == expected[:2]
    assert len(found) == 4
    again = bench.run("retry", film)
    assert (again.code, bench.made()) == (0, ())


def test_renamed_film_keeps_its_results(dubbed, film):
    renamed = film.with_name("Another Name.mkv")
    film.rename(renamed)
    sidecar(film, "en").rename(sidecar(renamed, "en"))
    answer = dubbed.dub(renamed, "es,ca")
    assert answer.code == 0, answer.both
    assert stats(dubbed.work)["spoken"] == 0
    assert sorted(p.name for p in dubbed.work.root.glob("*.srt")) == [
        "Another Name.ca.srt",
        "Another Name.es.srt",
    ]
    assert "vocals" not in dubbed.made()
