"""A shelf of tiny films, each with a content of its own, and what a store says of their runs."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from dubarr_pipeline.jobs import STAGES
from dubarr_pipeline.library.intake import take_in
from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.partitions import add_video
from dubarr_pipeline.records import stage_key
from dubarr_pipeline.runs import open_instance
from dubarr_pipeline.settings import load_settings
from dubarr_pipeline_tests.dubbing import Film, Said, make_film, sidecar

ONE_LINE = Film(lines=(Said(0.3, "Good morning. We need a boat.", 2.2),), length_s=2.6)


def make_shelf(folder: Path, names: Iterable[str], film: Film = ONE_LINE) -> list[Path]:
    """Render one film and put it on the shelf under many names; each has another title."""
    first, *others = [folder / f"{name}.mkv" for name in names]
    make_film(first, film)
    for path in others:
        ffmpeg.run(
            [
                *("-i", ffmpeg.file_url(first), "-map", "0", "-c", "copy"),
                *("-metadata", f"title={path.stem}", ffmpeg.file_url(path)),
            ]
        )
        shutil.copy(sidecar(first, "en"), sidecar(path, "en"))
    return [first, *others]


def register(
    films: Iterable[Path], work_dir: Path, config: Path | None, **wishes: Mapping[str, object]
) -> list[str]:
    """Take films in for Spanish and make them partitions, as `dubarr dub` does; their keys."""
    settings = load_settings(config, work_dir)
    taken = [take_in(film, ("es",), settings, **wishes) for film in films]
    with open_instance(work_dir) as instance:
        for video in taken:
            add_video(instance, video.key)
    return [video.key for video in taken]


@dataclass(frozen=True)
class Interval:
    """When a stage of a video was at work, in seconds since 1970."""

    key: str
    stage: str
    start_s: float
    end_s: float

    def meets(self, other: Interval) -> bool:
        return self.start_s < other.end_s and other.start_s < self.end_s


def intervals(instance: dg.DagsterInstance) -> Iterator[Interval]:
    """The finished stages of all runs, as the event log has them."""
    for run in instance.get_runs():
        for step in instance.get_run_step_stats(run.run_id):
            if step.start_time and step.end_time:
                key, stage = run.tags["dagster/partition"], step.step_key.removeprefix("dub__")
                yield Interval(key, stage, step.start_time, step.end_time)


def most_at_once(found: Iterable[Interval]) -> int:
    """How many of the intervals met at one moment."""
    known = list(found)
    ends = sorted([(i.start_s, 1) for i in known] + [(i.end_s, -1) for i in known])
    count = most = 0
    for _, change in ends:
        count += change
        most = max(most, count)
    return most


def made_again(instance: dg.DagsterInstance) -> int:
    """How often a stage was made again although it had been finished and recorded."""
    made: Counter[tuple[str, str]] = Counter()
    for stage in STAGES:
        for each in instance.fetch_materializations(stage_key(stage), limit=5000).records:
            event = each.asset_materialization
            if event and not event.metadata["reused"].value:
                made[stage, str(event.partition)] += 1
    return sum(times - 1 for times in made.values())
