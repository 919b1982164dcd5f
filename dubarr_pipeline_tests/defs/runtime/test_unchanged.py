from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.defs.runtime.records import stage_key
from dubarr_pipeline.defs.runtime.unchanged import unchanged_since_report
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.library.videos import Video, save_video
from dubarr_pipeline.workdir.identity import FileIdentity
from dubarr_pipeline.workdir.layout import WorkDir

KEY = "a-film-01234567"


class Film:
    """A finished film: its folder, and what the store has of it."""

    def __init__(self, work_dir: Path, instance: dg.DagsterInstance) -> None:
        self.work_dir, self.instance = work_dir, instance
        identity = FileIdentity(1, 1, 1, 1, "01234567")
        self.video = Video(KEY, work_dir / "a.mkv", identity, ("es",), "lite")
        self.work = WorkDir(work_dir / KEY)
        save_video(self.video, work_dir)
        self.work.checkpoints.mkdir()
        for stage in STAGE_NAMES:
            (self.work.checkpoints / f"{stage}.json").touch()
            self.record(stage)

    def record(self, stage: str) -> None:
        made = dg.AssetMaterialization(stage_key(stage), partition=KEY)
        self.instance.report_runless_asset_event(made)

    def fail(self) -> None:
        run = dg.DagsterRun("dub", tags={"dagster/partition": KEY})
        self.instance.add_run(run)
        self.instance.report_run_failed(run)

    def is_done(self) -> bool:
        return unchanged_since_report(self.instance, [self.video], self.work_dir) == {KEY}


@pytest.fixture
def film(tmp_path: Path) -> Iterator[Film]:
    with dg.instance_for_test() as instance:
        yield Film(tmp_path, instance)


def test_a_finished_film_is_known_at_a_glance(film: Film):
    assert film.is_done()
    film.record("report")
    assert film.is_done()


def later(path: Path) -> None:
    os.utime(path, (time.time() + 60, time.time() + 60))


@pytest.mark.parametrize(
    "change",
    [
        lambda film: film.record("mux"),
        lambda film: film.fail(),
        lambda film: later(film.work.video),
        lambda film: (film.work.checkpoints / "mix.json").unlink(),
        lambda film: film.work.remove(),
    ],
)
def test_what_has_changed_since_is_left_to_the_table(film: Film, change: Callable[[Film], None]):
    change(film)
    assert not film.is_done()
