"""Plans: what a run would do to videos, and what it would cost; Dagster is loaded where one would.

Finished videos about which nothing has changed are told by their kept plans.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from dubarr_pipeline.api.profiles import read_settings
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.defs.tables.kept_plans import KeptPlans, kept_plans
from dubarr_pipeline.defs.tables.plans import StageDecision, VideoPlan
from dubarr_pipeline.errors import ArtifactError, DubbingError, SettingsError
from dubarr_pipeline.library.estimates.costs import Estimate as Estimate
from dubarr_pipeline.library.scan import VIDEO_SUFFIXES
from dubarr_pipeline.library.videos import (
    Video,
    find_source,
    last_at,
    load_video,
    registered,
    slug,
    unreadable_video,
)
from dubarr_pipeline.text.languages import parse_languages
from dubarr_pipeline.workdir.identity import FileIdentity


def plan(
    video: str | os.PathLike[str],
    to: Sequence[str] = (),
    *,
    work_dir: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | None = None,
) -> list[StageDecision]:
    """Return what a run would do to a video, registered or not. Changes nothing.

    The video is given by its path, its key, or a beginning of its key; `to` are target languages
    (BCP-47), those it was registered with by default; a file never dubbed needs them.

    Raises:
        SettingsError: if no video or several match.
        DubbingError: if the run would fail at once.
    """
    settings = read_settings(work_dir, config)
    targets = parse_languages(",".join(to)) if to else ()
    (planned,) = plan_videos([os.fspath(video)], targets, settings)
    if planned.fault:
        raise DubbingError(planned.fault)
    return list(planned.steps)


def plan_videos(
    names: Sequence[str], targets: tuple[str, ...], settings: Settings
) -> list[VideoPlan]:
    """Return what a run would do to the named videos, or to all, and what it would cost.

    A name may be that of a library, or a file that was not dubbed before; `targets` replace the
    videos' own languages. Nothing is written but plans of finished videos, which are kept for the
    next time, and each film is read once at most.

    Raises:
        SettingsError: if a name is that of no video, or of several.
        SourceMissing: if it is the path of no file.
    """
    keys, new = _named(names, targets, settings)
    if not (keys or new):
        return []
    readable: list[Video] = []
    unreadable: list[VideoPlan] = []
    for key in keys:
        try:
            video = load_video(key, settings.work_dir)
            readable.append(replace(video, target_langs=targets or video.target_langs))
        except ArtifactError as error:
            video = unreadable_video(key, settings.work_dir)
            unreadable.append(VideoPlan(video, (), str(error)))
    if not keys and not settings.work_dir.is_dir():
        # Nothing was ever dubbed here: there is no store to ask, and none is made.
        from dubarr_pipeline.defs.runtime.estimated_plans import with_estimates

        return with_estimates([], new, settings)
    kept = kept_plans(settings)
    found = {each.key: kept.find(each) for each in readable} if kept else {}
    plans = [plan for plan in found.values() if plan]
    if new or not plans or len(plans) < len(readable):
        plans = _planned(readable, found, kept, new, settings)
    return [*plans, *unreadable]


def _planned(
    videos: Sequence[Video],
    found: Mapping[str, VideoPlan | None],
    kept: KeptPlans | None,
    new: Sequence[VideoPlan],
    settings: Settings,
) -> list[VideoPlan]:
    """Return the plans of all videos, made where none was found, and of the new ones."""
    # Not at the top: Dagster and the stages cost more than a thousand finished films.
    from dubarr_pipeline.defs.runtime.estimated_plans import with_estimates
    from dubarr_pipeline.defs.runtime.history import past_stages
    from dubarr_pipeline.defs.runtime.plan import plan_all
    from dubarr_pipeline.defs.runtime.runs import open_instance

    with open_instance(settings.work_dir) as instance:
        others = [video for video in videos if not found.get(video.key)]
        made = {plan.video.key: plan for plan in plan_all(instance, others, settings)}
        if kept:
            kept.keep(made.values())
        plans = [made.get(each.key) or found[each.key] for each in videos]
        all_plans = [*filter(None, plans), *new]
        # Of finished films nothing is foretold, and no history is asked.
        due = any(step.rerun for plan in all_plans for step in plan.steps)
        past = past_stages(instance, settings.work_dir) if due else ()
        return with_estimates(past, all_plans, settings)


def _named(
    names: Sequence[str], targets: tuple[str, ...], settings: Settings
) -> tuple[list[str], list[VideoPlan]]:
    """Return the keys of the named videos, and the plans of those that are not registered yet."""
    if not names:
        return list(registered(settings.work_dir)), []
    keys: list[str] = []
    new: list[VideoPlan] = []
    for name in names:
        if name in settings.libraries:
            # Not at the top: it brings Dagster.
            from dubarr_pipeline.api.video_counts import look_at_library

            library = settings.library(name)
            for path in look_at_library(name, library, settings).videos.values():
                known = last_at(path, settings.work_dir)
                if known:
                    keys.append(known.key)
                else:
                    new.append(_plan_new(path, name, targets, settings))
            continue
        try:
            keys.append(find_key(name, settings))
        except SettingsError:
            if not _is_new_file(name):
                raise
            path = Path(name).absolute()
            new.append(_plan_new(path, settings.owner_of(path), targets, settings))
    return list(dict.fromkeys(keys)), new


def _is_new_file(name: str) -> bool:
    """Return whether a name is the path of a file.

    Raises:
        SourceMissing: if it reads as a path, and leads nowhere.
    """
    path = Path(name).absolute()
    if os.sep in name or path.suffix.lower() in VIDEO_SUFFIXES:
        return find_source(path).is_file()
    return path.is_file()


def _plan_new(
    path: Path, owner: str | None, targets: tuple[str, ...], settings: Settings
) -> VideoPlan:
    library = settings.library(owner) if owner else None
    targets = targets or (library.target_langs if library else ())
    profile, overrides = settings.profile, {}
    if library:
        profile, overrides = library.profile or profile, library.overrides
    nothing_read = FileIdentity(0, 0, 0, 0, "")
    video = Video(slug(path.stem), path, nothing_read, targets, profile, overrides, owner)
    fault = None if targets else f"{path} has no languages of its own: name some with --to"
    steps = (
        () if fault else tuple(StageDecision(name, True, "not made yet") for name in STAGE_NAMES)
    )
    return VideoPlan(video, steps, fault)


def find_key(name: str, settings: Settings) -> str:
    """Return the key of a video that is given by key, an unambiguous beginning of it, or path.

    Raises:
        SettingsError: if none or several match; it lists the choices.
    """
    keys = list(registered(settings.work_dir))
    if name in keys:
        return name
    path = Path(name).absolute()
    by_path: list[str] = []
    for key in keys:
        with suppress(ArtifactError):
            by_path += [key] if load_video(key, settings.work_dir).source == path else []
    matches = by_path or [key for key in keys if key.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    choices = ", ".join(matches or keys) or "none"
    raise SettingsError(f"{len(matches)} videos match {name!r}; choose one of: {choices}")
