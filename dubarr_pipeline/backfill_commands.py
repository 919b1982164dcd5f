"""What `dubarr backfill` does: have a library, or a slice of it, dubbed as is wished now."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import click
import dagster as dg
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.utils import make_new_backfill_id

from dubarr_pipeline import checkpoints
from dubarr_pipeline.commands import dub_each
from dubarr_pipeline.errors import DiskFull, SettingsError
from dubarr_pipeline.jobs import STAGES
from dubarr_pipeline.library.arrivals import arrive, judge
from dubarr_pipeline.library.libraries import Library
from dubarr_pipeline.library.preflight import try_services
from dubarr_pipeline.library.videos import Video, last_at, load_video
from dubarr_pipeline.library.watch import Memory, look
from dubarr_pipeline.media.identity import stat_matches
from dubarr_pipeline.model_commands import make_ready
from dubarr_pipeline.partitions import add_video
from dubarr_pipeline.plans import VideoPlan, plan_all
from dubarr_pipeline.records import stage_key
from dubarr_pipeline.runs import open_instance
from dubarr_pipeline.settings import Settings
from dubarr_pipeline.terminal import printable
from dubarr_pipeline.workdir import exclusive


@dataclass(frozen=True, slots=True)
class Backfill:
    """What is wished.

    Attributes:
        library: by name.
        pattern: of paths below the library (``*``, ``?``; capitals do not matter); empty: all.
        targets, profile: in place of the library's; empty: those.
        stage: made anew from this one on, even where it stands; empty: only what does not.
        dry_run: register and start nothing.
        here: work in this process, one video after the other, instead of queueing runs.
    """

    library: str
    pattern: str = ""
    targets: tuple[str, ...] = ()
    profile: str = ""
    stage: str = ""
    dry_run: bool = False
    here: bool = False


def backfill(wish: Backfill, settings: Settings) -> int:
    """Register what is wished of every video, say what that makes, and start it.

    Returns:
        The exit code.

    Raises:
        SettingsError: if the library or the stage is unknown, or the library is away.
    """
    library: Library = settings.library(wish.library)
    changes = {"target_langs": wish.targets, "profile": wish.profile}
    library = replace(library, **{name: value for name, value in changes.items() if value})
    if wish.stage and wish.stage not in STAGES:
        raise SettingsError(f"unknown stage {wish.stage!r}; choose one of: {', '.join(STAGES)}")
    paths = _paths(wish, library, settings)
    if wish.dry_run:
        _say(list(_foreseen(paths, library, settings)), wish)
        return 0
    profiled = settings.for_video(library.profile or settings.profile, library.overrides)
    make_ready(profiled)
    found = list(_registered(paths, wish.library, library, settings))
    with open_instance(settings.work_dir) as instance:
        plans = list(plan_all(instance, found, settings))
    _say(plans, wish)
    due = [each.video.key for each in plans if wish.stage or _is_due(each)]
    if not due:
        return 0
    _forget(due, wish.stage, settings)
    if wish.here:
        try_services(profiled, library.target_langs)
        return dub_each(due, settings, lambda key: load_video(key, settings.work_dir))
    _queue(due, wish, settings)
    return 0


def _paths(wish: Backfill, library: Library, settings: Settings) -> list[Path]:
    """The videos of the slice, as the sensor would see them."""
    seen = look(library, Memory(), settings.work_dir)
    if seen.gone:
        where = f"library {wish.library!r} ({library.path})"
        raise SettingsError(f"{where}: {seen.gone}: is it mounted?")
    pattern = wish.pattern.lower()
    below = {path: str(path.relative_to(library.path)).lower() for path in seen.videos.values()}
    return sorted(path for path, name in below.items() if not pattern or fnmatch(name, pattern))


def _registered(
    paths: Sequence[Path], name: str, library: Library, settings: Settings
) -> Iterator[Video]:
    """Ask of each video what is wished now; one that is known is not read again."""
    seen: set[str] = set()
    for path in paths:
        known = last_at(path, settings.work_dir)
        same = known is not None and stat_matches(path, known.identity)
        identity = known.identity if known and same else None
        try:
            came = arrive(path, name, library, settings, identity)
        except DiskFull as error:
            click.echo(f"dubarr: {printable(str(path))} waits: {printable(str(error))}", err=True)
            return
        if isinstance(came, str):
            click.echo(f"{printable(str(path))} is not dubbed: {printable(came)}")
        elif came.key not in seen:
            seen.add(came.key)
            yield came


def _foreseen(paths: Sequence[Path], library: Library, settings: Settings) -> Iterator[VideoPlan]:
    """What would become of the videos that are known; the others are told of at once."""
    if not settings.work_dir.is_dir():
        known = dict[Path, Video | None]()
    else:
        known = {path: last_at(path, settings.work_dir) for path in paths}
    asked: list[Video] = []
    for path in paths:
        found, video = judge(path, library, settings), known.get(path)
        profile = library.profile or settings.profile
        if found.reason:
            click.echo(f"{printable(str(path))} is not dubbed: {printable(found.reason)}")
        elif video is None or not stat_matches(path, video.identity):
            click.echo(f"{printable(str(path))}  → {', '.join(found.targets)}: new")
        else:
            asked.append(
                replace(
                    video,
                    target_langs=found.targets,
                    profile=profile,
                    overrides=library.overrides,
                )
            )
    if asked:
        with open_instance(settings.work_dir) as instance:
            yield from plan_all(instance, asked, settings)


def _is_due(found: VideoPlan) -> bool:
    return found.fault is not None or any(step.redo for step in found.steps)


def _say(plans: Sequence[VideoPlan], wish: Backfill) -> None:
    """One line for each video, then how often each stage is made."""
    stages: Counter[str] = Counter()
    for each in plans:
        redone = [step.stage for step in each.steps if step.redo]
        if wish.stage:
            anew = STAGES[STAGES.index(wish.stage) :]
            redone = [stage for stage in STAGES if stage in redone or stage in anew]
        reason = next((step.reason for step in each.steps if step.redo), "asked for")
        told = each.fault or (f"{redone[0]} and on ({reason})" if redone else "nothing to do")
        languages = ", ".join(each.video.target_langs)
        click.echo(f"{each.video.key}  → {languages}: {printable(told)}")
        stages.update(redone)
    made = ", ".join(f"{stage} {count}" for stage, count in stages.items()) or "nothing"
    click.echo(f"{len(plans)} videos; to be made: {made}")


def _forget(keys: Sequence[str], stage: str, settings: Settings) -> None:
    """Have the stages from one on made anew, lines included."""
    going = STAGES[STAGES.index(stage) :] if stage else ()
    for key in keys if going else ():
        work = load_video(key, settings.work_dir).work(settings.work_dir)
        with exclusive(work):
            for each in going:
                checkpoints.forget(work, each)
            if "segments" in going:
                work.forget_lines()


def _queue(keys: Sequence[str], wish: Backfill, settings: Settings) -> None:
    """Ask Dagster's daemon for a run per video, as a backfill that the UI shows and can cancel."""
    from dubarr_pipeline.definitions import defs

    with open_instance(settings.work_dir) as instance:
        for key in keys:
            add_video(instance, key)
        asked = PartitionBackfill.from_asset_partitions(
            backfill_id=make_new_backfill_id(),
            asset_graph=defs.resolve_asset_graph(),
            partition_names=list(keys),
            asset_selection=[stage_key(stage) for stage in STAGES],
            backfill_timestamp=time.time(),
            tags={"dubarr/launcher": "backfill", "dubarr/library": wish.library},
            dynamic_partitions_store=instance,
            all_partitions=False,
            title=None,
            description=f"dubarr backfill {wish.library} {wish.pattern}".strip(),
            run_config=None,
        )
        instance.add_backfill(asked)
        click.echo(f"backfill {asked.backfill_id}: {len(keys)} videos wait for Dagster's daemon")
        if not _daemon_lives(instance):
            click.echo("no daemon is running: start `dubarr serve library`, or use --here")


def _daemon_lives(instance: dg.DagsterInstance) -> bool:
    status = instance.get_daemon_statuses(["BACKFILL"]).get("BACKFILL")
    return bool(status and status.healthy)
