"""A source that changes or goes while it is dubbed is noticed, whatever its dates say."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.errors import DubbingError
from dubarr_pipeline.library.admission import register
from dubarr_pipeline.library.source import inspect_source
from dubarr_pipeline_tests.fixtures.bench import contents, leftovers, make_film


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DUBARR_CONFIG", raising=False)
    return load_settings(None, tmp_path / "work")


def _after(monkeypatch: pytest.MonkeyPatch, stage: str, act: Callable[[], None]) -> None:
    """Have something happen when a stage has been recorded."""
    import dagster as dg

    from dubarr_pipeline.defs.runtime import stage_run

    plain = stage_run._result

    def result(context: stage_run.StageContext, *rest: Any) -> dg.MaterializeResult:
        found = plain(context, *rest)
        if context.stage.name == stage:
            act()
        return found

    monkeypatch.setattr(stage_run, "_result", result)


def _replace_bytes(film: Path) -> None:
    before, data = film.stat(), bytearray(film.read_bytes())
    data[-200] ^= 0xFF
    film.write_bytes(data)
    os.utime(film, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = film.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def _grow(film: Path) -> None:
    with film.open("ab") as stream:
        stream.write(b"more")


@pytest.mark.parametrize(
    ("change", "stage", "words"),
    [
        (_replace_bytes, "diarization", "has changed since it was registered"),
        (_grow, "mix", "has changed since it was registered"),
        (Path.unlink, "transcript", "is not there"),
    ],
)
def test_source_changes_between_stages(film, bench, monkeypatch, change, stage, words):
    before = contents(film.parent)
    with monkeypatch.context() as patch:
        _after(patch, stage, lambda: change(film))
        answer = bench.dub(film)
    assert answer.code == 4
    assert str(film) in answer.err
    assert words in answer.err
    assert not bench.work.muxed.exists()
    assert leftovers(bench.work_dir) == []
    (task,) = bench.status()
    assert task["status"] == "ERROR"
    assert words in task["cause"]

    film.write_bytes(before[film.name])
    retried = bench.run("retry")
    assert retried.code == 0, retried.both
    assert bench.status()[0]["status"] == "DONE"
    assert stage not in bench.made()
    assert contents(film.parent) == before


def test_replaced_film_is_dubbed_beside_the_earlier_result(dubbed, film):
    earlier = dubbed.work
    before = contents(earlier.root)
    _replace_bytes(film)
    answer = dubbed.dub(film, "es")
    assert answer.code == 0, answer.both
    assert len(dubbed.works()) == 2
    assert contents(earlier.root) == before


def test_source_grows_while_it_is_taken_in(film, settings, monkeypatch):
    from dubarr_pipeline.workdir import identity

    plain = identity._digest

    def digest(path: Path, *rest: object) -> str:
        found = plain(path, *rest)
        _grow(film)
        return found

    monkeypatch.setattr(identity, "_digest", digest)
    with pytest.raises(DubbingError, match="wait until it is copied"):
        register(inspect_source(film, settings), ("es",), settings)


def test_container_damaged_inside(tmp_path, bench):
    """Bytes in the middle of the sound are wrong: decoded with a gap, or refused; never a crash."""
    film = make_film(tmp_path / "library" / "film.mkv")
    data = bytearray(film.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    film.write_bytes(data)
    answer = bench.dub(film)
    assert answer.code in (0, 1, 4), answer.both
    assert film.read_bytes() == bytes(data)
    if answer.code:
        assert str(film) in answer.err
        assert "Traceback" not in answer.err
