"""Output of `dubarr status`, `plan`, `purge` and `prune`."""

import datetime
import json
from collections import Counter
from collections.abc import Sequence

from dubarr_pipeline.api import videos
from dubarr_pipeline.api.profiles import Settings
from dubarr_pipeline.api.videos import Task
from dubarr_pipeline.cli.terminal import say


def status(settings: Settings, as_json: bool) -> None:
    """Print the task table."""
    tasks = videos.list_tasks(settings)
    if as_json:
        documents = [
            {
                "video": task.video.key,
                "source": str(task.video.source),
                "target_langs": list(task.video.target_langs),
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
        say(json.dumps(documents, indent=1))
        return
    for task in tasks:
        _print_task(task)
    if not tasks:
        say(f"no videos in {settings.work_dir}")


def _print_task(task: Task) -> None:
    say(f"{task.status:10}  {task.video.key}  → {', '.join(task.video.target_langs)}")
    if task.cause:
        say(f"            {task.failed_stage or ''}: {task.cause}")
    for step in task.steps:
        if step.recorded_at is None:
            say(f"            {step.stage:12} -")
            continue
        when = datetime.datetime.fromtimestamp(step.recorded_at).strftime("%Y-%m-%d %H:%M:%S")
        took = f"{step.seconds:8.2f} s" if step.seconds is not None else ""
        # Longer results are for the UI.
        short = ((n, v) for n, v in (step.results or {}).items() if len(str(v)) < 24)
        results = ", ".join(f"{name} {value}" for name, value in short)
        say(f"            {step.stage:12} {when} {took}  {results}")


def plan(names: Sequence[str], targets: tuple[str, ...], settings: Settings, as_json: bool) -> None:
    """Print what a run would do to the named videos, or to all."""
    plans = videos.plan_videos(names, targets, settings)
    if as_json:
        documents = [
            {
                "video": each.video.key,
                "source": str(each.video.source),
                "target_langs": list(each.video.target_langs),
                "fault": each.fault,
                "steps": [
                    {"stage": s.stage, "redo": s.redo, "reason": s.reason, "seconds": s.seconds}
                    for s in each.steps
                ],
            }
            for each in plans
        ]
        say(json.dumps(documents, indent=1))
        return
    for each in plans:
        say(f"{each.video.key}  → {', '.join(each.video.target_langs)}")
        if each.fault:
            say(f"  would fail: {each.fault}")
        for step in each.steps:
            timed = step.redo and step.seconds is not None
            took = f"  (took {step.seconds:.1f} s)" if timed else ""
            say(f"  {'rerun' if step.redo else 'reuse'}  {step.stage:12} {step.reason}{took}")
    counts = Counter(step.stage for each in plans for step in each.steps if step.redo)
    stages = ", ".join(f"{stage} {count}" for stage, count in counts.items()) or "nothing"
    say(f"{len(plans)} videos; to run: {stages}")


def purge(name: str, stage: str | None, settings: Settings) -> None:
    """Remove a video's results, all or from one stage on."""
    purged = videos.purge(name, stage, settings)
    kept = f"; {purged.edits} is kept" if purged.edits else ""
    say(f"{purged.key}: {purged.files} files removed; the source is untouched{kept}")


def prune(settings: Settings, dry_run: bool, as_json: bool) -> None:
    """Remove what `[housekeeping]` lets go, or only list it."""
    pruned = videos.prune(settings, dry_run)
    if as_json:
        files = [
            {
                "kind": each.kind,
                "path": str(each.path),
                "reason": each.reason,
                "video": each.key or None,
                "bytes": each.size,
            }
            for each in pruned.files
        ]
        say(json.dumps({"removed": not dry_run, "runs": pruned.runs, "files": files}, indent=1))
        return
    for each in pruned.files:
        say(f"{each.kind:16} {each.path} ({each.size / 1e6:.1f} MB): {each.reason}")
    verb = "would be removed" if dry_run else "removed"
    size_mb = sum(each.size for each in pruned.files) / 1e6
    count = len(pruned.files)
    say(f"{verb}: {count} files and folders ({size_mb:.1f} MB), {pruned.runs} old runs")
