"""Plans with what they cost: minutes by this machine's history, gigabytes, and lines at risk."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import cast

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.stages import STAGES
from dubarr_pipeline.defs.tables.plans import VideoPlan
from dubarr_pipeline.engines.registry import Kind
from dubarr_pipeline.errors import ArtifactError, DubbingError, MissingRequirement
from dubarr_pipeline.library.admission import check_targets
from dubarr_pipeline.library.estimates.costs import (
    Estimate,
    FilmFacts,
    Pace,
    PastStage,
    RiskyLines,
    dubbed_already,
    estimate,
    pace_of,
)
from dubarr_pipeline.library.estimates.facts import glance, look_into
from dubarr_pipeline.library.source import inspect_source
from dubarr_pipeline.spans import merge, total
from dubarr_pipeline.workdir.artifacts import read_cues_document, read_sound
from dubarr_pipeline.workdir.layout import WorkDir

_MOST_LOOKED_INTO = 20
"""Films of one plan whose scripts are read; of more, only the front of each file is."""
_UNSCRIPTED_S = 20.0
"""Speech without a line from which it is told."""


def with_estimates(
    past: Sequence[PastStage], plans: Sequence[VideoPlan], settings: Settings
) -> list[VideoPlan]:
    """Return plans with their costs; of one that would fail, and of finished films, there is none.

    Each film is read once at most, and nothing is written.
    """
    due = sum(_is_due(each) for each in plans)
    if not due:
        return list(plans)
    pace = pace_of(past)
    closely = due <= _MOST_LOOKED_INTO
    return [_estimated(each, settings, pace, closely) if _is_due(each) else each for each in plans]


def _is_due(planned: VideoPlan) -> bool:
    return any(step.rerun for step in planned.steps)


def _estimated(planned: VideoPlan, settings: Settings, pace: Pace, closely: bool) -> VideoPlan:
    video = planned.video
    targets = video.target_langs
    try:
        own = settings.for_video(video.profile, video.overrides)
        risks, warnings = None, ()
        if closely:
            facts, risks, warnings = _closely(planned, own, pace)
        else:
            facts = glance(video.source, len(targets), pace)
    except (DubbingError, OSError) as error:
        return replace(planned, fault=planned.fault or str(error))
    stages = {
        stage.name: ", ".join(own.engines[cast("Kind", kind)] for kind in stage.engines)
        for stage in STAGES
        if any(step.rerun for step in planned.steps if step.stage == stage.name)
    }
    found = replace(estimate(facts, stages, pace), risks=risks, warnings=warnings)
    return replace(planned, estimate=_with_own_times(found, planned))


def _with_own_times(found: Estimate, planned: VideoPlan) -> Estimate:
    """Put a film's own last times in place of the model's."""
    own = {step.stage: step.last_seconds for step in planned.steps if step.last_seconds is not None}
    seconds = {stage: own.get(stage, each) for stage, each in found.seconds.items()}
    if seconds and all(stage in own for stage in seconds):
        return replace(
            found, seconds=seconds, basis="what these stages of this film took last time"
        )
    return replace(found, seconds=seconds)


def _closely(
    planned: VideoPlan, own: Settings, pace: Pace
) -> tuple[FilmFacts, RiskyLines | None, tuple[str, ...]]:
    video = planned.video
    source = inspect_source(video.source, own, video.target_langs)
    # A language that cannot be made is the plan's fault; what is not installed yet may come.
    with suppress(MissingRequirement):
        check_targets(source, video.target_langs, own)
    facts, risks = look_into(source, video.target_langs, pace)
    warnings: list[str] = []
    if source.script is None:
        warnings.append("no script: every word must be recognised from the sound")
    for target in dubbed_already([each.language for each in source.info.audio], video.target_langs):
        warnings.append(f"it already has {target} sound")
    unscripted_s = _unscripted_s(video.work(own.work_dir))
    if unscripted_s >= _UNSCRIPTED_S:
        warnings.append(f"{unscripted_s:.0f} s of speech are in no line of the script")
    return facts, risks, tuple(warnings)


def _unscripted_s(work: WorkDir) -> float:
    """Return the seconds of speech without a cue, where the film was listened to before."""
    try:
        sound, script = read_sound(work.speech), read_cues_document(work.cues)
    except ArtifactError:
        return 0.0
    if not script.cues:
        return 0.0
    cues = merge(cue.span for cue in script.cues)
    both = total(merge([*sound.speech, *cues]))
    return max(0, both - total(cues)) / sound.audio.rate
