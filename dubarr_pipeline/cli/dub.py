"""The commands `dubarr dub`, `demo`, `retry` and `backfill`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubarr_pipeline import api
from dubarr_pipeline.cli.models import print_fetches
from dubarr_pipeline.cli.setup import offer_voices
from dubarr_pipeline.cli.terminal import (
    EXIT_CODES,
    PATH,
    StageBars,
    complain,
    exit_code,
    say,
    target_option,
    with_settings,
)

if TYPE_CHECKING:
    from dubarr_pipeline.api.backfill import BackfillPlan, SkippedVideo
    from dubarr_pipeline.api.dubbing import Attempt, Watch
    from dubarr_pipeline.api.profiles import Settings


@click.command(epilog=EXIT_CODES)
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH...")
@target_option(required=True, help="Target languages, e.g. es,ca.")
@click.option("--from", "spoken", default="", help="Spoken language; default: what the file names.")
@click.option(
    "--profile", help="Engine profile; default: the library's, else that of the settings."
)
@click.option("--force", is_flag=True, help="Rerun every stage.")
@with_settings
def dub(
    paths: Sequence[Path], targets: tuple[str, ...], spoken: str, force: bool, settings: Settings
) -> int:
    """Dub videos into other languages; finished work is reused."""
    profile = click.get_current_context().params["profile"]
    settings = offer_voices(settings, profile, targets)
    asked = {"force": force, "spoken_language": spoken, "profile": profile or ""}
    return print_attempts(
        lambda watch: api.dubbing.dub_videos(paths, targets, settings, watch, **asked)
    )


@click.command()
@target_option(default="es,ca", show_default=True, help="Target languages.")
@with_settings
def demo(targets: tuple[str, ...], settings: Settings) -> int:
    """Make the demo video and dub it."""
    video = api.profiles.make_demo_video(settings)
    return print_attempts(lambda watch: api.dubbing.dub_videos([video], targets, settings, watch))


@click.command()
@click.argument("videos", nargs=-1, metavar="[VIDEO...]")
@with_settings
def retry(videos: Sequence[str], settings: Settings) -> int:
    """Resume failed and unfinished videos: the named ones, or all."""
    return print_attempts(
        lambda watch: api.dubbing.retry_videos(videos, settings, watch),
        "nothing to retry: every video is done",
    )


@click.command()
@click.argument("library")
@click.option("--slice", "pattern", default="", help="Only paths below it like this: 'Show/S01*'.")
@target_option(default="", help="Languages, in place of the library's.")
@click.option("--profile", "engines", default="", help="Engine profile, in place of the library's.")
@click.option("--from", "stage", default="", help="Rerun this stage and those after it.")
@click.option("--dry-run", is_flag=True, help="Only show what would run, and why.")
@click.option("--here", is_flag=True, help="Work in this process instead of queueing runs.")
@with_settings
def backfill(dry_run: bool, here: bool, engines: str, settings: Settings, **request: Any) -> int:
    """Bring a library up to date; finished work is reused."""
    going = api.backfill.Backfill(
        api.backfill.BackfillRequest(profile=engines, **request), settings
    )
    if dry_run:
        _print_plans(*going.foresee())
        return 0
    plans, skipped = going.register(api.dubbing.Watch(fetch=print_fetches))
    _print_plans(plans, skipped)
    if here:
        return print_attempts(lambda watch: going.run(plans, watch))
    going.queue(plans, say)
    return 0


COMMANDS = (dub, demo, retry, backfill)


def print_attempts(run: Callable[[Watch], Iterator[Attempt]], if_none: str = "") -> int:
    """Print the result of each video; return the worst exit code."""
    bars, codes = StageBars(), list[int]()
    watch = api.dubbing.Watch(
        on_start=lambda video: say(f"{video.source.name} → {', '.join(video.target_langs)}"),
        on_progress=lambda stage, at: bars.show(stage, at.done / (at.total or 1), at.note),
        fetch=print_fetches,
    )
    try:
        for result in run(watch):
            bars.close()
            if not isinstance(result, api.dubbing.DubResult):
                complain(str(result))
                codes.append(exit_code(type(result)))
                continue
            codes.append(1 if result.held else 0)
            ran = [stage.stage for stage in result.stages.values() if not stage.reused]
            count = len(result.stages)
            reused = f"{count - len(ran)} of {count} stages reused"
            say(f"  {reused}; ran: {', '.join(ran)}" if ran else f"  nothing to do: {reused}")
            for path in result.files:
                say(f"  video:  {path}")
            for place in result.published:
                say(f"  published: {place}")
            for reason in result.held:
                say(f"  held:   {reason}")
            say(f"  report: {result.report}")
            for line in result.summary:
                say(f"  {line}")
    finally:
        bars.close()
    if if_none and not codes:
        say(if_none)
    return max(codes, default=0)


def _print_plans(plans: Sequence[BackfillPlan], skipped: Sequence[SkippedVideo]) -> None:
    for each in skipped:
        if each.state == "waits":
            complain(f"{each.path} waits: {each.reason}")
        elif each.state == "new":
            say(f"{each.path}  → {', '.join(each.targets)}: new")
        else:
            say(f"{each.path} is not dubbed: {each.reason}")
    for plan in plans:
        due = f"{plan.stages[0]} and on ({plan.reason})" if plan.stages else "nothing to do"
        languages = ", ".join(plan.video.target_langs)
        say(f"{plan.video.key}  → {languages}: {plan.reason if plan.fault else due}")
    say(in_all(plans, (stage for plan in plans for stage in plan.stages)))


def in_all(plans: Sequence[object], stages: Iterable[str]) -> str:
    """Return the last line of plans: the number of videos, and of each stage that would run."""
    counted = ", ".join(f"{stage} {count}" for stage, count in Counter(stages).items())
    return f"{len(plans)} videos; to run: {counted or 'nothing'}"
