from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dubarr_pipeline.errors import SourceMissing
from dubarr_pipeline.library import digests as module
from dubarr_pipeline.library.digests import Digests
from dubarr_pipeline.media.identity import FileIdentity, identify


def test_a_short_film_is_known_at_once(tmp_path: Path):
    film = tmp_path / "a.mkv"
    film.write_bytes(b"a film")
    assert Digests().ask(film, 30) == identify(film)


def test_a_long_film_is_read_once_however_often_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    film, go, reads = tmp_path / "a.mkv", threading.Event(), list[Path]()
    film.write_bytes(b"a long film")

    def slowly(path: Path) -> FileIdentity:
        reads.append(path)
        assert go.wait(60)
        return identify(path)

    monkeypatch.setattr(module, "identify", slowly)
    desk = Digests()
    assert [desk.ask(film, 0), desk.ask(film, 0.01)] == [None, None]
    go.set()
    assert desk.ask(film, 60) == identify(film)
    assert reads == [film]
    desk.ask(film, 60)
    assert reads == [film, film], "a known one is not kept for ever"


def test_a_film_that_went_away_is_told_and_asked_for_anew(tmp_path: Path):
    desk, film = Digests(), tmp_path / "a.mkv"
    with pytest.raises(SourceMissing):
        desk.ask(film, 60)
    film.write_bytes(b"back")
    assert desk.ask(film, 60) == identify(film)
