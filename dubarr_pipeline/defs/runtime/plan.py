"""Plan of a run: the stages that it would rerun, and why."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dagster as dg

from dubarr_pipeline.config.engine_answers import Question
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.library_names import LibraryNames, names_of
from dubarr_pipeline.defs.runtime.records import stage_results
from dubarr_pipeline.defs.runtime.stage_run import StageContext, decide, required
from dubarr_pipeline.defs.stages import STAGES
from dubarr_pipeline.defs.tables.plans import StageDecision, VideoPlan
from dubarr_pipeline.defs.tables.results import Materialization, StageResults
from dubarr_pipeline.errors import DubbingError
from dubarr_pipeline.library.videos import Video, check_source
from dubarr_pipeline.progress import ignore_progress
from dubarr_pipeline.workdir import corrections


def plan(
    instance: dg.DagsterInstance,
    video: Video,
    settings: Settings,
    names: LibraryNames | None = None,
) -> VideoPlan:
    """Return what a run would do to a video under the present settings; change nothing.

    A stage whose input would be made again counts as one to rerun: what its own result will depend
    on is known only then, and it may turn out the same.
    """
    return next(plan_all(instance, [video], settings, names))


def plan_all(
    instance: dg.DagsterInstance,
    asked: Sequence[Video],
    settings: Settings,
    names: LibraryNames | None = None,
    made: StageResults | None = None,
) -> Iterator[VideoPlan]:
    """Yield the plans of many videos, with few queries to the store, or by what it `made`."""
    if made is None:
        names = names or names_of(settings.work_dir)
        made = stage_results(instance, [video.key for video in asked], names)
    known: dict[int, dict[Question, Any]] = {}
    for video in asked:
        yield _plan(video, settings, known, lambda stage, key=video.key: made[stage].get(key))


def _plan(
    video: Video,
    settings: Settings,
    known: dict[int, dict[Question, Any]],
    last_of: Callable[[str], Materialization | None],
) -> VideoPlan:
    """Return a video's plan; `known` are the answers of engines by the settings they have."""
    seen: dict[object, Any] = {}
    questions: dict[Question, Any] = {}
    try:
        own = settings.for_video(video.profile, video.overrides)
        check_source(video)
        work, valid = video.work(own.work_dir), dict[str, Materialization]()
        steps: list[StageDecision] = []
        for stage in STAGES:
            last = last_of(stage.name)
            seconds = last.number("seconds") if last else None
            changed = [name for name in stage.inputs if name not in valid]
            rerun, reason = True, "not made yet"
            if last and changed:
                reason = f"{changed[0]} is made again"
            elif last:
                inputs = {name: valid[name] for name in stage.inputs}
                # Settings live as long as those they are made from.
                answers = known.setdefault(id(own), {})
                context = StageContext(
                    *(stage, video, work, own, ignore_progress, inputs),
                    asked=answers,
                    seen=seen,
                    questions=questions,
                )
                rerun, reason = _decided(context, last)
                if not rerun:
                    valid[stage.name] = last
            steps.append(StageDecision(stage.name, rerun, reason, seconds))
        return VideoPlan(video, tuple(steps), asked=questions)
    except DubbingError as error:
        return VideoPlan(video, (), str(error))


def _decided(context: StageContext, last: Materialization) -> tuple[bool, str]:
    """Return whether a stage would rerun, and why, with what a person changed in its artifacts."""
    work, stage = context.work, context.stage.name
    decision = decide(context, required(context), last)
    if not decision.keep and (edited := corrections.edited_by_hand(work, stage)):
        reason = f"{' and '.join(edited)} edited by hand: the changes will be taken over"
        return not corrections.is_put_back(work, stage), reason
    if decision.keep and stage == "segments" and corrections.edited_by_hand(work, "transcript"):
        return True, "lines of transcription.json were edited by hand"
    return not decision.keep, decision.reason
