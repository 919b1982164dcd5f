"""Dubbing in this process: one video, several, or those that failed before."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import dagster as dg

from dubarr_pipeline import errors
from dubarr_pipeline.api.planning import find_key
from dubarr_pipeline.api.profiles import Fetch, fetch_all, make_ready, read_settings
from dubarr_pipeline.api.tasks import list_tasks
from dubarr_pipeline.compute.reserves import share_reserve
from dubarr_pipeline.config.profile_engines import translates_by_pair, try_services
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.library_names import names_of
from dubarr_pipeline.defs.runtime.plan import plan_all
from dubarr_pipeline.defs.runtime.records import stage_results
from dubarr_pipeline.defs.runtime.runs import dub_video, open_instance
from dubarr_pipeline.defs.runtime.stage_run import Watcher, watching
from dubarr_pipeline.defs.runtime.status import task_table
from dubarr_pipeline.defs.stages import PUBLISHED, STAGE_NAMES
from dubarr_pipeline.defs.tables.rows import Task
from dubarr_pipeline.files import check_writable, read_json
from dubarr_pipeline.library.admission import FilmNews, register
from dubarr_pipeline.library.dub_requests import DubRequest, film_of
from dubarr_pipeline.library.publishing.publish import held_at_gate
from dubarr_pipeline.library.publishing.records import read_publication
from dubarr_pipeline.library.source import inspect_source
from dubarr_pipeline.library.videos import Video, kept_answer, load_video, save_video
from dubarr_pipeline.progress import Progress
from dubarr_pipeline.text.languages import parse_languages
from dubarr_pipeline.workdir.layout import exclusive

_T = TypeVar("_T")
_LEFT_ALONE = ("DONE", "PROCESSING", "HELD")
"""Videos that another try would not help; a held one waits for a person."""


@dataclass(frozen=True, slots=True)
class StageResult:
    """A stage of a run: reused, or not; `seconds` of its last run, or None."""

    stage: str
    reused: bool
    seconds: float | None


@dataclass(frozen=True, slots=True)
class LineCounts:
    """Lines of all target languages by their outcome; `kept` are heard in the original."""

    total: int
    placed: int
    kept: int
    failed: int


@dataclass(frozen=True, slots=True)
class DubResult:
    """A dubbed video.

    Attributes:
        key: its name in the task table.
        files: the finished film; with ``mux.container = "mka"`` one file per language.
        report: the page for people; ``report.json`` lies next to it.
        summary: the report in a few lines.
        lines: lines by outcome.
        stages: what the run did, by stage, in their order.
        published: paths and addresses at which its library has it.
        held: why its gate keeps it from being published; empty if it does not.
    """

    key: str
    files: tuple[Path, ...]
    report: Path
    summary: tuple[str, ...]
    lines: LineCounts
    stages: Mapping[str, StageResult]
    published: tuple[str, ...] = ()
    held: tuple[str, ...] = ()

    @property
    def video(self) -> Path:
        """The finished film, or the first of its files."""
        return self.files[0]


Attempt = DubResult | errors.DubbingError
"""One video of several: its result, or the error that ended it."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Callbacks of a run.

    Attributes:
        on_start: called with each video before its first stage.
        on_progress: called with a stage's name and its progress.
        fetch: fetches the models that the profile lacks.
    """

    on_start: Callable[[Video], None] = lambda _video: None
    on_progress: Watcher = lambda _stage, _progress: None
    fetch: Fetch = fetch_all


def dub(
    path: str | os.PathLike[str],
    to: Sequence[str],
    *,
    spoken_language: str = "",
    profile: str | None = None,
    work_dir: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | None = None,
    on_progress: Callable[[str, Progress], None] | None = None,
) -> DubResult:
    """Dub a video; what is finished already is reused.

    Args:
        path: the video file; it is never changed.
        to: target languages, BCP-47.
        spoken_language: BCP-47 of what is spoken; default: what the file names.
        profile: the engine profile; default: that of the film's library, else of the settings.
        work_dir: folder of the work folders; default: ``$DUBARR_WORK_DIR``, else that of the
            settings, else dubarr's data folder.
        config: a ``dubarr.toml``; default: ``$DUBARR_CONFIG``, else the one in this folder.
        on_progress: called with a stage's name and its progress.

    Raises:
        DubbingError: if it cannot be dubbed; see `dubarr_pipeline.errors` for the tree.
    """
    settings = read_settings(work_dir, config, profile)
    watch = Watch(on_progress=on_progress) if on_progress else Watch()
    targets = parse_languages(",".join(to))
    (attempt,) = dub_videos(
        [Path(path)],
        targets,
        settings,
        watch,
        spoken_language=spoken_language,
        profile=profile or "",
    )
    if isinstance(attempt, errors.DubbingError):
        raise attempt
    return attempt


def dub_videos(
    paths: Sequence[Path],
    targets: tuple[str, ...],
    settings: Settings,
    watch: Watch,
    force: bool = False,
    spoken_language: str = "",
    profile: str = "",
) -> Iterator[Attempt]:
    """Dub each file in turn; one that fails does not keep the others from their turn.

    `targets` and `spoken_language` are BCP-47 tags; what is spoken is as the files name it unless
    it is given. With `force` every stage reruns. Without a `profile` a library's film has its
    library's, any other that of the settings.

    Raises:
        MissingRequirement, LicenceError: before any work, if the profile lacks something.
        LanguageError: if its voice does not speak a target.
        NotWritable: if the work folder cannot be used.
    """
    asked = [
        DubRequest(str(path.absolute()), targets, spoken_language, profile=profile)
        for path in paths
    ]
    make_ready(settings, watch.fetch, targets=targets)
    check_writable(settings.work_dir)
    try_services(settings, targets)

    def registered(request: DubRequest) -> Video:
        film = film_of(request, settings)
        if film.settings.profile != settings.profile:
            make_ready(film.settings, watch.fetch, targets=targets)
        kept = kept_answer(film.path, film.settings.work_dir)
        source = inspect_source(film.path, film.settings, targets, kept)
        # What is spoken decides which models of the translator are fetched, if it is known by now.
        if source.language and translates_by_pair(film.settings):
            left = [each for each in targets if each not in source.translations(targets)]
            make_ready(film.settings, watch.fetch, tuple((source.language, each) for each in left))
        news = FilmNews(by_person=film.by_person)
        return register(source, targets, film.settings, film.overrides, film.library, news)

    yield from dub_each(asked, registered, settings, watch, force)


def retry_videos(names: Sequence[str], settings: Settings, watch: Watch) -> Iterator[Attempt]:
    """Go on with the named videos, or with all that are not DONE. Raises as `dub_videos`."""
    make_ready(settings, watch.fetch)
    keys = [find_key(name, settings) for name in names] or [
        task.video.key for task in list_tasks(settings) if task.status not in _LEFT_ALONE
    ]
    if keys:
        videos = [load_video(key, settings.work_dir) for key in keys]
        try_services(settings, {target for video in videos for target in video.target_langs})
    yield from dub_registered(keys, settings, watch)


def dub_registered(keys: Iterable[str], settings: Settings, watch: Watch) -> Iterator[Attempt]:
    """Dub registered videos in turn; the profile is not checked again."""
    return dub_each(keys, lambda key: load_video(key, settings.work_dir), settings, watch)


def dub_each(
    sources: Iterable[_T],
    find: Callable[[_T], Video],
    settings: Settings,
    watch: Watch,
    force: bool = False,
) -> Iterator[Attempt]:
    """Pass every video through the pipeline; `find` returns the video of a source."""
    share_reserve()
    with open_instance(settings.work_dir) as instance:
        for source in sources:
            try:
                video = find(source)
                with exclusive(video.work(settings.work_dir)), watching(watch.on_progress):
                    # Another process may have asked for something else a moment ago.
                    save_video(video, settings.work_dir)
                    watch.on_start(video)
                    attempt: Attempt = _run(instance, video, settings, force)
            except errors.DubbingError as error:
                attempt = error
            yield attempt


def _run(instance: dg.DagsterInstance, video: Video, settings: Settings, force: bool) -> DubResult:
    if not force and (finished := _finished(instance, video, settings)):
        return _result(finished, settings, STAGE_NAMES)
    # The definitions load the code of every stage.
    from dubarr_pipeline.definitions import local_definitions

    ran = dub_video(local_definitions(settings.work_dir), instance, video, settings, force)
    if not ran.succeeded:
        kind = getattr(errors, ran.error or "", errors.DubbingError)
        # Only the loop over the lines can name a line's failure.
        kind = errors.EngineError if kind is errors.LineError else kind
        if ran.failed_stage == PUBLISHED:
            raise kind(f"{video.key} is dubbed, but not published: {ran.cause}")
        raise kind(f"{video.key}, stage {ran.failed_stage}: {ran.cause}")
    (task,) = task_table(instance, settings.work_dir, [video.key])
    return _result(task, settings, ran.kept)


def _finished(instance: dg.DagsterInstance, video: Video, settings: Settings) -> Task | None:
    """Return the row of a video that lies where it should, and of which a run would make nothing.

    A run that reuses every stage costs Dagster a hundred events, and says nothing new.
    """
    made = stage_results(instance, [video.key], names_of(settings.work_dir))
    (task,) = task_table(instance, settings.work_dir, [video.key], settings, made=made)
    if task.status != "DONE":
        return None
    (planned,) = plan_all(instance, [video], settings, made=made)
    return None if planned.fault or any(step.rerun for step in planned.steps) else task


def _result(task: Task, settings: Settings, kept: Sequence[str]) -> DubResult:
    video = task.video
    work = video.work(settings.work_dir)
    mux = settings.for_video(video.profile, video.overrides).mux
    report, published = read_json(work.report), read_publication(work)
    gate = held_at_gate(load_video(video.key, settings.work_dir), settings)
    outcomes = ("lines", "placed", "kept_original", "failed")
    counts = (sum(each[name] for each in report["lines"].values()) for name in outcomes)
    return DubResult(
        key=video.key,
        files=tuple(sorted(work.root.glob("*.mka" if mux.container == "mka" else work.muxed.name))),
        report=work.report_page,
        summary=tuple(report["summary"]),
        lines=LineCounts(*counts),
        stages={s.stage: StageResult(s.stage, s.stage in kept, s.seconds) for s in task.steps},
        published=published.places if published else (),
        held=gate.reasons if gate else (),
    )
