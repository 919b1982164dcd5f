"""What `dubarr prune` does: remove what nobody will ask for again, or only say what that is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

import click

from dubarr_pipeline.library.housekeeping import Removal, removals
from dubarr_pipeline.runs import open_instance
from dubarr_pipeline.settings import Settings
from dubarr_pipeline.terminal import printable
from dubarr_pipeline.tidying import forget_run, old_runs, tidy


def prune(settings: Settings, dry_run: bool, as_json: bool) -> None:
    """Remove what `[housekeeping]` says may go, or list it; a source is never touched.

    Args:
        settings: as they stand.
        dry_run: remove nothing.
        as_json: for machines.
    """
    if not settings.work_dir.is_dir():
        _say((), 0, dry_run, as_json)
        return
    with open_instance(settings.work_dir) as instance:
        now_s = time.time()
        due = removals(settings, now_s) if dry_run else tidy(instance, settings, now_s)
        found, runs = list(due), old_runs(instance, settings, now_s)
        for run in () if dry_run else runs:
            forget_run(instance, run)
    _say(found, len(runs), dry_run, as_json)


def _say(found: Iterable[Removal], runs: int, dry_run: bool, as_json: bool) -> None:
    removed = list(found)
    if as_json:
        document = {"removed": not dry_run, "runs": runs, "files": [_row(each) for each in removed]}
        click.echo(json.dumps(document, indent=1))
        return
    for each in removed:
        path = printable(str(each.path))
        click.echo(f"{each.kind:16} {path} ({each.size / 1e6:.1f} MB): {printable(each.reason)}")
    verb = "would be removed" if dry_run else "removed"
    size_mb = sum(each.size for each in removed) / 1e6
    click.echo(f"{verb}: {len(removed)} files and folders ({size_mb:.1f} MB), {runs} old runs")


def _row(each: Removal) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "path": str(each.path),
        "reason": each.reason,
        "video": each.key or None,
        "bytes": each.size,
    }
