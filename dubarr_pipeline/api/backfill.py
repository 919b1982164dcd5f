"""Bringing a library, or a slice of it, up to date with its settings."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from dubarr_pipeline.api.dubbing import Attempt, Watch, dub_registered
from dubarr_pipeline.api.profiles import make_ready
from dubarr_pipeline.api.video_counts import look_at_library
from dubarr_pipeline.api.videos import forget_stages, stages_from
from dubarr_pipeline.config.libraries import Library
from dubarr_pipeline.config.profile_engines import try_services
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.distributed.leases import hold_film
from dubarr_pipeline.defs.library_names import names_of
from dubarr_pipeline.defs.runtime.person_runs import daemon_is_away, queue_videos
from dubarr_pipeline.defs.runtime.plan import plan_all
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.errors import DiskFull
from dubarr_pipeline.library.admission import Refusal, admit, decide_admission
from dubarr_pipeline.library.arrivals import library_of
from dubarr_pipeline.library.videos import Video, last_at, load_video
from dubarr_pipeline.workdir.identity import stat_matches
from dubarr_pipeline.workdir.layout import exclusive


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """A library to bring up to date.

    Attributes:
        library: by name.
        pattern: of paths below the library (``*``, ``?``; case is ignored); empty: all.
        targets, profile: in place of the library's; empty: those.
        stage: rerun this stage and those after it even if up to date; empty: only what is not.
    """

    library: str
    pattern: str = ""
    targets: tuple[str, ...] = ()
    profile: str = ""
    stage: str = ""


@dataclass(frozen=True, slots=True)
class SkippedVideo:
    """A video of the slice that is not planned.

    Attributes:
        state: ``new``: not registered yet, so that only a run could tell more. ``waits``: the disk
            has no room for it, nor for those after it. ``left out``: by rule.
        reason: in words for people.
    """

    path: Path
    state: Literal["new", "waits", "left out"]
    reason: str = ""
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """The planned rerun of one video.

    Attributes:
        stages: those that would run, in their order.
        reason: why the first of them would, or why the video would fail.
    """

    video: Video
    stages: tuple[str, ...]
    reason: str
    fault: bool = False


class Backfill:
    """One request on its way: plan it, then run it here or queue it.

    Attributes:
        library: the library with the request's own languages and profile.
        stages: that run in any case.
    """

    def __init__(self, request: BackfillRequest, settings: Settings) -> None:
        """Check a request. Raises `SettingsError` if its library or stage is unknown, or away."""
        changes = {"target_langs": request.targets, "profile": request.profile}
        self.library: Library = replace(
            settings.library(request.library), **{n: value for n, value in changes.items() if value}
        )
        self.stages = stages_from(request.stage) if request.stage else ()
        self._request, self._settings = request, settings
        # The videos of the slice, as the sensor would see them.
        seen, pattern = look_at_library(request.library, self.library, settings), request.pattern
        self._paths = sorted(
            path
            for path in seen.videos.values()
            if fnmatch(str(path.relative_to(self.library.path)).lower(), pattern.lower() or "*")
        )

    def foresee(self) -> tuple[list[BackfillPlan], list[SkippedVideo]]:
        """Plan without registering anything."""
        work_dir, skipped = self._settings.work_dir, list[SkippedVideo]()
        known: list[Video] = []
        for path in self._paths:
            library = self._library_of(path)
            judged = decide_admission(path, library, self._settings)
            video = last_at(path, work_dir) if work_dir.is_dir() else None
            if judged.reason:
                skipped.append(SkippedVideo(path, "left out", judged.reason))
            elif video is None or not stat_matches(path, video.identity):
                skipped.append(SkippedVideo(path, "new", targets=judged.targets))
            else:
                profile = library.profile or self._settings.profile
                asked = {"profile": profile, "overrides": library.overrides}
                known.append(replace(video, target_langs=judged.targets, **asked))
        return (self._planned(known) if known else []), skipped

    def register(self, watch: Watch) -> tuple[list[BackfillPlan], list[SkippedVideo]]:
        """Register, then plan. Raises `MissingRequirement`, `LicenceError` as `make_ready`."""
        make_ready(self._profiled, watch.fetch)
        videos: dict[str, Video] = {}
        skipped: list[SkippedVideo] = []
        for path in self._paths:
            name = self._request.library
            try:
                arrived = admit(path, name, self._library_of(path), self._settings)
            except DiskFull as error:
                skipped.append(SkippedVideo(path, "waits", str(error)))
                break
            if isinstance(arrived, Refusal):
                skipped.append(SkippedVideo(path, "left out", arrived.reason))
            else:
                videos.setdefault(arrived.key, arrived)
        return self._planned(list(videos.values())), skipped

    def _library_of(self, path: Path) -> Library:
        """Return the library with the film's own languages, unless others are asked for."""
        if self._request.targets:
            return self.library
        library = library_of(path, self.library, self._settings)
        return replace(library, profile=self._request.profile or library.profile)

    def _planned(self, videos: Sequence[Video]) -> list[BackfillPlan]:
        plans: list[BackfillPlan] = []
        with open_instance(self._settings.work_dir) as instance:
            for planned in plan_all(instance, videos, self._settings):
                redone = {step.stage: step.reason for step in planned.steps if step.rerun}
                stages = tuple(s for s in STAGE_NAMES if s in redone or s in self.stages)
                reason = planned.fault or next(iter(redone.values()), "requested")
                plans.append(BackfillPlan(planned.video, stages, reason, bool(planned.fault)))
        return plans

    def run(self, plans: Sequence[BackfillPlan], watch: Watch) -> Iterator[Attempt]:
        """Dub what is due in this process, one video after the other."""
        keys = self._forgotten(plans)
        if keys:
            try_services(self._profiled, self.library.target_langs)
            yield from dub_registered(keys, self._settings, watch)

    def queue(self, plans: Sequence[BackfillPlan], say: Callable[[str], object]) -> None:
        """Queue what is due as a Dagster backfill that the UI shows and can cancel."""
        keys, library = self._forgotten(plans), self._request.library
        if not keys:
            return
        with open_instance(self._settings.work_dir) as instance:
            tags = {"dubarr/launcher": "backfill", "dubarr/library": library}
            words = " ".join(["dubarr backfill", library, self._request.pattern]).strip()
            names = names_of(self._settings.work_dir)
            queued = queue_videos(instance, keys, tags, words, names)
            say(f"backfill {queued}: {len(keys)} videos queued for Dagster's daemon")
            if away := daemon_is_away(instance):
                say(f"{away}, or use --here")

    @property
    def _profiled(self) -> Settings:
        return self._settings.for_library(self.library)

    def _forgotten(self, plans: Sequence[BackfillPlan]) -> list[str]:
        """Return the keys of what is due, the requested stages' results removed."""
        keys = [each.video.key for each in plans if each.fault or each.stages]
        if not (keys and self.stages):
            return keys
        with open_instance(self._settings.work_dir) as instance:
            for key in keys:
                work = load_video(key, self._settings.work_dir).work(self._settings.work_dir)
                with hold_film(instance, key, self._settings), exclusive(work):
                    forget_stages(work, self.stages)
        return keys
