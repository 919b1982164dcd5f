"""The commands `dubarr status`, `plan`, `purge` and `prune`."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from dubarr_pipeline import api
from dubarr_pipeline.cli.dub import in_all
from dubarr_pipeline.cli.terminal import as_json, say, say_json, target_option, with_settings

if TYPE_CHECKING:
    from dubarr_pipeline.api.planning import Estimate, VideoPlan
    from dubarr_pipeline.api.profiles import Settings
    from dubarr_pipeline.api.tasks import Task


_NOT_AS_ASKED = ("ERROR", "HELD", "DONE, not published")
"""Statuses of videos that have ended, and not as they were asked for."""


@click.command()
@as_json
@with_settings
def status(settings: Settings, as_json: bool) -> int:
    """Print every video's status, stages and results.

    Exit code 1: a video failed, is held by its gate, or is not published as its library wants.
    """
    tasks = api.tasks.list_tasks(settings)
    code = int(any(task.status in _NOT_AS_ASKED for task in tasks))
    if as_json:
        documents = [
            {
                **_request(task),
                "status": task.status,
                "failed_stage": task.failed_stage,
                "cause": task.cause,
                "steps": [
                    {
                        "stage": step.stage,
                        "status": "DONE" if step.recorded_at else "MISSING",
                        "recorded_at": step.recorded_at,
                        "seconds": step.seconds,
                        "reused": step.reused,
                        "results": dict(step.results or {}),
                    }
                    for step in task.steps
                ],
            }
            for task in tasks
        ]
        say_json(documents)
        return code
    for task in tasks:
        say("\n".join(_lines_of_task(task)))
    if not tasks:
        say(f"no videos in {settings.work_dir}")
    return code


def _request(row: Task | VideoPlan) -> Mapping[str, Any]:
    video = row.video
    languages = list(video.target_langs)
    return {"video": video.key, "source": str(video.source), "target_langs": languages}


def _lines_of_task(task: Task) -> Iterator[str]:
    yield (f"{task.status:10}  {task.video.key}  → {', '.join(task.video.target_langs)}")
    if task.cause:
        where = f"{task.failed_stage}: " if task.failed_stage else ""
        yield f"            {where}{task.cause}"
    for step in task.steps:
        if step.recorded_at is None:
            yield f"            {step.stage:12} -"
            continue
        when = datetime.datetime.fromtimestamp(step.recorded_at).strftime("%Y-%m-%d %H:%M:%S")
        took = f"{step.seconds:8.2f} s" if step.seconds is not None else ""
        # Longer results are for the UI.
        short = ((n, v) for n, v in (step.results or {}).items() if len(str(v)) < 24)
        results = ", ".join(f"{name} {value}" for name, value in short)
        yield f"            {step.stage:12} {when} {took}  {results}"


@click.command()
@click.argument("videos", nargs=-1, metavar="[VIDEO...]")
@target_option(default="", help="Plan for these languages.")
@as_json
@with_settings
def plan(
    videos: Sequence[str], targets: tuple[str, ...], settings: Settings, as_json: bool
) -> None:
    """Show which stages would rerun and why, and what that costs.

    VIDEO is a video, a file that was not dubbed before, or the name of a library; without any: of
    all videos.
    """
    plans = api.planning.plan_videos(videos, targets, settings)
    if as_json:
        documents = [
            {
                **_request(each),
                "fault": each.fault,
                "steps": [
                    {
                        "stage": step.stage,
                        "redo": step.rerun,
                        "reason": step.reason,
                        "seconds": step.last_seconds,
                    }
                    for step in each.steps
                ],
                "estimate": each.estimate
                and {**asdict(each.estimate), "total_s": each.estimate.total_s},
            }
            for each in plans
        ]
        say_json(documents)
        return
    for each in plans:
        say(f"{each.video.key}  → {', '.join(each.video.target_langs)}")
        if each.fault:
            say(f"  would fail: {each.fault}")
        for step in each.steps:
            timed = step.rerun and step.last_seconds is not None
            took = f"  (took {step.last_seconds:.1f} s)" if timed else ""
            say(f"  {'rerun' if step.rerun else 'reuse'}  {step.stage:12} {step.reason}{took}")
        if each.estimate:
            _print_estimate(each.estimate)
    costs = [each.estimate for each in plans if each.estimate]
    if len(costs) > 1:
        minutes, work_bytes = sum(e.total_s for e in costs) / 60, sum(e.work_bytes for e in costs)
        say(f"about {minutes:.0f} min of work, {work_bytes / 1e9:.1f} GB of work folders")
    say(in_all(plans, (step.stage for each in plans for step in each.steps if step.rerun)))


def _print_estimate(found: Estimate) -> None:
    minutes = f"{found.total_s / 60:.{0 if found.total_s >= 600 else 1}f}"
    say(f"  about {minutes} min of work ({found.basis})")
    sizes = (found.work_bytes / 1e9, found.result_bytes / 1e9)
    say(f"  {sizes[0]:.2f} GB of work folder, {sizes[1]:.2f} GB of it the finished film")
    if found.assumed:
        say(f"  assumed: {', '.join(found.assumed)}")
    if found.risks:
        counted = ", ".join(f"{count} ({lang})" for lang, count in found.risks.too_long.items())
        say(
            f"  may not fit: {counted} of {found.risks.lines} lines, predicted from "
            f"{found.risks.basis}"
        )
    for warning in found.warnings:
        say(f"  {warning}")


@click.command()
@click.argument("video")
@click.option("--from", "stage", help="Only this stage and those after it.")
@with_settings
def purge(video: str, stage: str | None, settings: Settings) -> None:
    """Remove a video's results, never its source."""
    key, files, edits = api.videos.purge(video, stage, settings)
    kept = f"; {edits} is kept" if edits else ""
    say(f"{key}: {files} files removed; the source is untouched{kept}")


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be removed, and why.")
@as_json
@with_settings
def prune(settings: Settings, dry_run: bool, as_json: bool) -> None:
    """Remove old runs, scratch files and the work of deleted videos.

    The section [housekeeping] of the settings says what is old.
    """
    removed, runs = api.videos.prune(settings, dry_run)
    if as_json:
        files = [
            {
                "kind": each.kind,
                "path": str(each.path),
                "reason": each.reason,
                "video": each.key or None,
                "bytes": each.size,
            }
            for each in removed
        ]
        say_json({"removed": not dry_run, "runs": runs, "files": files})
        return
    for each in removed:
        say(f"{each.kind:16} {each.path} ({each.size / 1e6:.1f} MB): {each.reason}")
    verb = "would be removed" if dry_run else "removed"
    size_mb = sum(each.size for each in removed) / 1e6
    say(f"{verb}: {len(removed)} files and folders ({size_mb:.1f} MB), {runs} old runs")


COMMANDS = (status, plan, purge, prune)
