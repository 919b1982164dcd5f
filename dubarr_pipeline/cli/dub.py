"""Output of `dubarr dub`, `demo`, `retry` and `backfill`."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dubarr_pipeline.api.backfill import Backfill, BackfillPlan, BackfillRequest, SkippedVideo
from dubarr_pipeline.api.dubbing import Attempt, DubResult, Watch, dub_videos, retry_videos
from dubarr_pipeline.api.profiles import Settings, make_demo_video
from dubarr_pipeline.cli.models import print_fetches
from dubarr_pipeline.cli.terminal import StageBars, complain, exit_code, say


def dub(
    paths: Sequence[Path],
    targets: tuple[str, ...],
    settings: Settings,
    force: bool = False,
    spoken: str = "",
) -> int:
    """Dub each file in turn, and print its result; return the worst exit code."""
    return _print_attempts(lambda watch: dub_videos(paths, targets, settings, watch, force, spoken))


def demo(targets: tuple[str, ...], settings: Settings) -> int:
    """Make the demo video and dub it; return the exit code."""
    return dub([make_demo_video(settings)], targets, settings)


def retry(names: Sequence[str], settings: Settings) -> int:
    """Go on with the named videos, or with all that are not done; return the worst exit code."""
    return _print_attempts(
        lambda watch: retry_videos(names, settings, watch), "nothing to retry: every video is done"
    )


def backfill(request: BackfillRequest, settings: Settings, dry_run: bool, here: bool) -> int:
    """Print the plan of a backfill and start it; return the worst exit code."""
    going = Backfill(request, settings)
    if dry_run:
        _print_plans(*going.foresee())
        return 0
    plans, skipped = going.register(Watch(fetch=print_fetches))
    _print_plans(plans, skipped)
    if here:
        return _print_attempts(lambda watch: going.run(plans, watch))
    going.queue(plans, say)
    return 0


def _print_attempts(run: Callable[[Watch], Iterator[Attempt]], if_none: str = "") -> int:
    bars, codes = StageBars(), list[int]()
    watch = Watch(
        on_start=lambda video: say(f"{video.source.name} → {', '.join(video.target_langs)}"),
        on_progress=lambda stage, at: bars.show(stage, at.done / (at.total or 1), at.note),
        fetch=print_fetches,
    )
    try:
        for result in run(watch):
            bars.close()
            if not isinstance(result, DubResult):
                complain(str(result))
                codes.append(exit_code(type(result)))
                continue
            codes.append(0)
            ran = [stage.stage for stage in result.stages.values() if not stage.reused]
            count = len(result.stages)
            reused = f"{count - len(ran)} of {count} stages reused"
            say(f"  {reused}; ran: {', '.join(ran)}" if ran else f"  nothing to do: {reused}")
            for path in result.files:
                say(f"  video:  {path}")
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
    counts = Counter(stage for plan in plans for stage in plan.stages)
    stages = ", ".join(f"{stage} {count}" for stage, count in counts.items()) or "nothing"
    say(f"{len(plans)} videos; to run: {stages}")
