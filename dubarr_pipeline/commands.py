"""What the commands do: join the floors below, and say on the terminal what came of it."""

from __future__ import annotations

import datetime
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import dagster as dg
from tqdm import tqdm

from dubarr_pipeline import checkpoints
from dubarr_pipeline.engines.interfaces import Progress
from dubarr_pipeline.engines.registry import ENGINES, KINDS, PROFILES
from dubarr_pipeline.errors import ArtifactError, DubbingError, SettingsError
from dubarr_pipeline.jobs import STAGES
from dubarr_pipeline.library import crew
from dubarr_pipeline.library.intake import take_in
from dubarr_pipeline.library.preflight import try_services
from dubarr_pipeline.library.videos import Video, load_video, registered, save_video
from dubarr_pipeline.model_commands import make_ready
from dubarr_pipeline.models.store import known_model
from dubarr_pipeline.partitions import remove_video
from dubarr_pipeline.runs import RunOutcome, dub_video, open_instance
from dubarr_pipeline.settings import Settings
from dubarr_pipeline.tasks import Task, task_table
from dubarr_pipeline.terminal import exit_code, printable
from dubarr_pipeline.workdir import check_writable, exclusive, read_json


def dub_videos(
    paths: Sequence[Path], targets: tuple[str, ...], settings: Settings, force: bool = False
) -> int:
    """Dub each file in turn; one that fails does not keep the others. Returns the exit code."""
    make_ready(settings)
    check_writable(settings.work_dir)
    try_services(settings, targets)
    return dub_each(paths, settings, lambda path: take_in(path, targets, settings), force)


def retry_videos(names: Sequence[str], settings: Settings) -> int:
    """Go on with the named videos, or with all that are not DONE. Returns the exit code."""
    make_ready(settings)
    if names:
        keys = [find_key(name, settings) for name in names]
    else:
        with open_instance(settings.work_dir) as instance:
            table = task_table(instance, settings.work_dir)
        keys = [task.video.key for task in table if task.status in ("ERROR", "QUEUED")]
    if not keys:
        click.echo("nothing to retry: every video is done")
        return 0
    videos = [load_video(key, settings.work_dir) for key in keys]
    try_services(settings, sorted({lang for video in videos for lang in video.target_langs}))
    return dub_each(keys, settings, lambda key: load_video(key, settings.work_dir))


def dub_each(
    things: Iterable[Any],
    settings: Settings,
    find: Callable[[Any], Video],
    force: bool = False,
) -> int:
    """Pass every video through the pipeline; the worst exit code wins."""
    from dubarr_pipeline.definitions import defs

    code = 0
    with open_instance(settings.work_dir) as instance:
        for thing in things:
            try:
                video = find(thing)
                with exclusive(video.work(settings.work_dir)):
                    # Another process may have asked for something else a moment ago.
                    save_video(video, settings.work_dir)
                    found = _dub(defs, instance, video, settings, force)
            except DubbingError as error:
                click.echo(f"dubarr: {printable(str(error))}", err=True)
                found = exit_code(type(error).__name__)
            code = max(code, found)
    return code


def _dub(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    video: Video,
    settings: Settings,
    force: bool,
) -> int:
    click.echo(f"{printable(video.source.name)} → {', '.join(video.target_langs)}")
    with _Bars() as bars:
        outcome = dub_video(defs, instance, video, bars.show, force)
    if not outcome.succeeded:
        where = f"{video.key}, stage {outcome.failed_stage}"
        click.echo(f"dubarr: {where}: {printable(outcome.cause or '')}", err=True)
        return exit_code(outcome.error)
    _say_result(video, outcome, settings)
    return 0


def _say_result(video: Video, outcome: RunOutcome, settings: Settings) -> None:
    work = video.work(settings.work_dir)
    if not outcome.made:
        click.echo("  nothing to do: every stage is up to date")
    elif outcome.kept:
        click.echo(f"  made: {', '.join(outcome.made)}; kept: {', '.join(outcome.kept)}")
    for name in ("*.mka",) if settings.options("mux").container == "mka" else (work.muxed.name,):
        for path in sorted(work.root.glob(name)):
            click.echo(f"  video:  {printable(str(path))}")
    click.echo(f"  report: {printable(str(work.report_page))}")
    for line in read_json(work.report).get("summary", []):
        click.echo(f"  {line}")


@dataclass
class _Bars:
    """A bar per stage on a terminal; nothing where nobody looks."""

    bar: tqdm[Any] | None = None
    stage: str = ""
    quiet: bool = field(default_factory=lambda: not sys.stderr.isatty())

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def show(self, stage: str, progress: Progress) -> None:
        """Draw how far a stage has come."""
        if self.quiet:
            return
        if stage != self.stage:
            self._close()
            layout = "  {desc:12} {percentage:3.0f}% |{bar:30}| {elapsed} {postfix}"
            # A terminal may say that it has no rows or columns, in which nothing would be drawn.
            columns, rows = shutil.get_terminal_size()
            self.bar = tqdm(
                total=1.0,
                desc=stage,
                bar_format=layout,
                file=sys.stderr,
                ncols=columns,
                nrows=rows,
            )
            self.stage = stage
        if self.bar is not None and progress.total:
            self.bar.n = min(1.0, progress.done / progress.total)
            self.bar.set_postfix_str(progress.note)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def print_status(settings: Settings, as_json: bool) -> None:
    """Print the task table."""
    if not settings.work_dir.is_dir():
        click.echo("[]" if as_json else f"no videos in {settings.work_dir}")
        return
    with open_instance(settings.work_dir) as instance:
        table = task_table(instance, settings.work_dir)
    if as_json:
        click.echo(json.dumps([_task_document(task) for task in table], indent=1))
        return
    for task in table:
        click.echo("\n".join(_task_lines(task)))
    if not table:
        click.echo(f"no videos in {settings.work_dir}")


def _task_document(task: Task) -> dict[str, Any]:
    return {
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


def _task_lines(task: Task) -> list[str]:
    languages = ", ".join(task.video.target_langs)
    lines = [f"{task.status:10}  {task.video.key}  → {languages}"]
    if task.cause:
        lines.append(f"            {task.failed_stage or ''}: {printable(task.cause)}")
    for step in task.steps:
        if step.recorded_at is None:
            lines.append(f"            {step.stage:12} -")
            continue
        when = datetime.datetime.fromtimestamp(step.recorded_at).strftime("%Y-%m-%d %H:%M:%S")
        took = f"{step.seconds:8.2f} s" if step.seconds is not None else ""
        results = ", ".join(
            f"{name} {value}"
            for name, value in (step.results or {}).items()
            if len(str(value)) < 24
        )
        lines.append(f"            {step.stage:12} {when} {took}  {results}")
    return lines


def find_key(name: str, settings: Settings) -> str:
    """Find a video by its key, an unambiguous beginning of it, or its path.

    Raises:
        SettingsError: if none or several match; it lists the choices.
    """
    keys = list(registered(settings.work_dir))
    if name in keys:
        return name
    by_path = [key for key in keys if _source(key, settings) == Path(name).absolute()]
    found = by_path or [key for key in keys if key.startswith(name)]
    if len(found) == 1:
        return found[0]
    choices = ", ".join(found or keys) or "none"
    raise SettingsError(f"{len(found)} videos match {name!r}; choose one of: {choices}")


def _source(key: str, settings: Settings) -> Path | None:
    try:
        return load_video(key, settings.work_dir).source
    except ArtifactError:
        return None


def purge_video(name: str, stage: str | None, settings: Settings) -> None:
    """Remove what a video's stages left, all or from one stage on; the source is never touched."""
    if stage is not None and stage not in STAGES:
        raise SettingsError(f"unknown stage {stage!r}; choose one of: {', '.join(STAGES)}")
    key = find_key(name, settings)
    work = load_video(key, settings.work_dir).work(settings.work_dir)
    with exclusive(work):
        going = STAGES[STAGES.index(stage) if stage else 0 :]
        removed = [path for gone in going for path in checkpoints.forget(work, gone)]
        if "segments" in going:
            work.forget_lines()
        if stage is None:
            with open_instance(settings.work_dir) as instance:
                remove_video(instance, key)
            work.remove()
    kept = f"; {printable(str(work.edits))} is kept" if work.edits.exists() else ""
    click.echo(f"{key}: {len(removed)} files removed; the source is untouched{kept}")


def print_needs(settings: Settings) -> int:
    """Print what the profile needs; exit code 3 if anything is missing."""
    found = crew.needs(settings)
    for who, need in found:
        mark = "ok     " if need.present else "MISSING"
        cure = "" if need.present else f"  → {need.cure}"
        click.echo(f"{mark} {need.kind:8} {need.name}  ({who}){cure}")
    missing = [need for _, need in found if not need.present]
    click.echo(
        f"profile {settings.profile}: " + (f"{len(missing)} missing" if missing else "ready")
    )
    return 3 if missing else 0


def print_engines(settings: Settings) -> None:
    """Print profiles and engines with their licences; the chosen ones are marked."""
    click.echo(f"profiles: {', '.join(PROFILES)} (chosen: {settings.profile})")
    chosen = settings.engines()
    accepted = settings.options("models").accept_licences
    for kind in KINDS:
        click.echo(kind)
        for row in (r for r in ENGINES if r.kind == kind):
            mark = "*" if chosen[kind] == row.name else " "
            click.echo(f"  {mark} {row.name:14} {row.licence:18} {row.summary}")
            if not row.commercial:
                state = "accepted" if row.licence in accepted else "not accepted"
                click.echo(f"      {row.licence} allows NO commercial use ({state})")
            for name in row.models:
                click.echo(f"      model {name}: {known_model(name).licence}")
