"""What `dubarr plan` does: say what would be redone, and why, before it is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from dubarr_pipeline.commands import find_key
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.library.videos import Video, load_video, registered, unreadable_video
from dubarr_pipeline.plans import VideoPlan, plan_all
from dubarr_pipeline.runs import open_instance
from dubarr_pipeline.settings import Settings
from dubarr_pipeline.terminal import printable


def print_plan(
    names: Sequence[str], targets: tuple[str, ...], settings: Settings, as_json: bool
) -> None:
    """Print what a run would do to the named videos, or to all of them.

    Args:
        names: keys, beginnings of keys, or paths.
        targets: as if these languages were asked for; empty: those that are.
        settings: as they stand.
        as_json: for machines.
    """
    keys = [find_key(name, settings) for name in names] or list(registered(settings.work_dir))
    found = _plans(keys, targets, settings) if keys else []
    if as_json:
        click.echo(json.dumps([_document(each) for each in found], indent=1))
        return
    for each in found:
        click.echo("\n".join(_lines(each)))
    redone = Counter(step.stage for each in found for step in each.steps if step.redo)
    stages = ", ".join(f"{stage} {count}" for stage, count in redone.items()) or "nothing"
    click.echo(f"{len(found)} videos; to be made: {stages}")


def _plans(keys: Sequence[str], targets: tuple[str, ...], settings: Settings) -> list[VideoPlan]:
    with open_instance(settings.work_dir) as instance:
        asked: list[Video] = []
        found: list[VideoPlan] = []
        for key in keys:
            try:
                video = load_video(key, settings.work_dir)
                asked.append(replace(video, target_langs=targets or video.target_langs))
            except ArtifactError as error:
                found.append(VideoPlan(unreadable_video(key, settings.work_dir), (), str(error)))
        return [*plan_all(instance, asked, settings), *found]


def _lines(found: VideoPlan) -> list[str]:
    lines = [f"{found.video.key}  → {', '.join(found.video.target_langs)}"]
    if found.fault:
        lines.append(f"  would fail: {printable(found.fault)}")
    for step in found.steps:
        took = f"  (took {step.seconds:.1f} s)" if step.redo and step.seconds is not None else ""
        lines.append(f"  {'make' if step.redo else 'keep'}  {step.stage:12} {step.reason}{took}")
    return lines


def _document(found: VideoPlan) -> dict[str, object]:
    return {
        "video": found.video.key,
        "source": str(Path(found.video.source)),
        "target_langs": list(found.video.target_langs),
        "fault": found.fault,
        "steps": [asdict(step) for step in found.steps],
    }
