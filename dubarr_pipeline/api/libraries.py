"""Watched folders: their videos and the reason why each is dubbed or not, publishing, webhooks."""

import datetime
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline import errors
from dubarr_pipeline.api.planning import find_key
from dubarr_pipeline.api.tasks import list_tasks
from dubarr_pipeline.api.video_counts import look_at_library
from dubarr_pipeline.config.libraries import Library, is_quiet
from dubarr_pipeline.config.live_settings import LiveSettings
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.distributed.leases import hold_film
from dubarr_pipeline.defs.operations.backup import back_up_store
from dubarr_pipeline.defs.runtime.runs import open_instance, publish_here
from dubarr_pipeline.defs.runtime.server import WebAddress
from dubarr_pipeline.defs.runtime.server import serve_library as keep_serving
from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.files import check_writable
from dubarr_pipeline.library.admission import decide_admission
from dubarr_pipeline.library.publishing.publish import held_at_gate, held_words, no_wish
from dubarr_pipeline.library.publishing.publish import take_back as withdraw
from dubarr_pipeline.library.publishing.records import Publication, read_publication
from dubarr_pipeline.library.scan import VIDEO_SUFFIXES
from dubarr_pipeline.library.videos import Video, last_at, load_video
from dubarr_pipeline.library.webhooks.inbox import TOKEN_VARIABLE, webhook_token
from dubarr_pipeline.progress import OnProgress, Progress, ignore_progress
from dubarr_pipeline.workdir.identity import stat_matches


@dataclass(frozen=True, slots=True)
class Finding:
    """One video of a library.

    Attributes:
        status: that of its row in the task table; NEW without one; LEFT OUT by rule.
        reason: why it is not dubbed, or what it waits for.
    """

    path: Path
    library: str
    status: str
    targets: tuple[str, ...] = ()
    reason: str | None = None


def scan_libraries(
    names: Sequence[str], settings: Settings, on_progress: OnProgress = ignore_progress
) -> list[Finding]:
    """Return every video of the named libraries, or of all. Starts nothing."""
    for name in names:
        settings.library(name)
    found: list[Finding] = []
    for name in names or settings.libraries:
        for each in _scan(name, settings, on_progress=on_progress):
            found.append(each)
    return found


def explain(path: Path, settings: Settings) -> list[Finding]:
    """Return the reason why a video is or is not dubbed, for each library that holds it.

    Raises:
        SettingsError: if it is in no library.
    """
    absolute = path.absolute()
    holding = [
        (name, library)
        for name, library in settings.libraries.items()
        if absolute.is_relative_to(library.path) or library.holds(absolute)
    ]
    if not holding:
        listed = ", ".join(f"{n} ({each.path})" for n, each in settings.libraries.items())
        raise SettingsError(f"{str(path)!r} is not inside any library: {listed or 'none'}")
    return [each for name, _ in holding for each in _explain(absolute, name, settings)]


def _explain(path: Path, name: str, settings: Settings) -> Iterator[Finding]:
    """Yield the reasons that one library has for a file, and for what lies beside it."""
    library = settings.library(name)
    found = list(_scan(name, settings, only=path))
    if not found:
        yield Finding(path, name, "LEFT OUT", reason=_unseen_reason(path, name, library, settings))
    yield from found
    faults = look_at_library(name, library, settings).faults
    for beside in sorted(each for each in faults if each.parent == path.parent and each != path):
        yield Finding(beside, name, "LEFT OUT", reason=faults[beside])


def _unseen_reason(path: Path, name: str, library: Library, settings: Settings) -> str:
    """Return the reason why the scan of a library does not show a file."""
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        return f"its name is not that of a video ({' '.join(sorted(VIDEO_SUFFIXES))})"
    try:
        if not path.is_file():
            return "it does not exist"
        seen = look_at_library(name, library, settings).videos.values()
        twin = next((other for other in seen if other.samefile(path)), None)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return (
        f"it is the same file as {str(twin)!r}" if twin else "a name of its path begins with a dot"
    )


def _scan(
    name: str,
    settings: Settings,
    only: Path | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Iterator[Finding]:
    """Yield every video of a library, by path; or the finding of one alone."""
    library = settings.library(name)
    seen = look_at_library(name, library, settings)
    tasks = {task.video.key: task for task in list_tasks(settings)}
    videos = {*seen.videos.values()}
    passed = {p: why for p, why in {**seen.left_out, **seen.faults}.items() if p not in videos}
    for number, path in enumerate(listed := sorted({*videos, *passed})):
        on_progress(Progress(number, len(listed), name))
        if only is not None and path not in (only, *only.parents):
            continue
        if path in passed:
            yield Finding(path, name, "LEFT OUT", reason=passed[path])
            continue
        # By its dates, the file at that path may be another one by now.
        video = last_at(path, settings.work_dir)
        is_known = video and stat_matches(video.source, video.identity)
        task = tasks.get(video.key) if video and is_known else None
        if task:
            yield Finding(path, name, task.status, task.video.target_langs, task.cause)
            continue
        judged = decide_admission(path, library, settings)
        if judged.targets:
            quiet = is_quiet(library.quiet_hours, datetime.datetime.now().time())
            waits = f"deferred until quiet hours end ({', '.join(library.quiet_hours)})"
            yield Finding(path, name, "NEW", judged.targets, waits if quiet else None)
        else:
            yield Finding(path, name, "LEFT OUT", reason=judged.reason)


def publish(name: str, settings: Settings) -> Publication:
    """Put a finished video where its library wants it; the task table has it.

    Raises:
        SettingsError: if it belongs to no library, or its library publishes nothing.
        DubbingError: if it cannot be published.
    """
    video = load_video(find_key(name, settings), settings.work_dir)
    work = video.work(settings.work_dir)
    before = read_publication(work)
    reason = no_wish(video, settings)
    if reason and not (before and before.is_taken_back):
        raise SettingsError(f"{video.key} is not published: {reason}")
    _record(video, settings, asked=True)
    published = read_publication(work)
    gate = held_at_gate(video, settings)
    if gate or published is None or published.is_taken_back:
        why = held_words(gate) if gate else no_wish(video, settings)
        raise SettingsError(f"{video.key} is not published: {why}")
    return published


def _record(video: Video, settings: Settings, asked: bool = False) -> None:
    """Run the asset `published` in this process, so that Dagster's store knows what lies where."""
    # The definitions load the code of every stage.
    from dubarr_pipeline.definitions import local_definitions

    with open_instance(settings.work_dir) as instance:
        definitions = local_definitions(settings.work_dir)
        ran = publish_here(definitions, instance, video, settings, asked)
    if not ran.succeeded:
        kind = getattr(errors, ran.error or "", errors.DubbingError)
        raise kind(ran.cause)


def take_back(name: str, settings: Settings) -> tuple[str, Path]:
    """Take back what was published of a video; return its key and its original's place."""
    video = load_video(find_key(name, settings), settings.work_dir)
    with open_instance(settings.work_dir) as instance, hold_film(instance, video.key, settings):
        source = withdraw(video, settings.work_dir, by_person=True).source
    _record(load_video(video.key, settings.work_dir), settings)
    return video.key, source


def serve_webhooks(settings: Settings, say: Callable[[str], object]) -> None:
    """Receive webhooks until stopped; a library may be set up meanwhile."""
    check_writable(settings.work_dir)
    token, path = webhook_token(settings.work_dir)
    where = f"password or bearer token: see {path}" if path else f"token: ${TOKEN_VARIABLE}"
    # The web framework costs 0.2 s, and the other functions of this module do without it.
    from dubarr_pipeline.api.requests import LOOKUP
    from dubarr_pipeline.defs.operations.monitor import monitor_of
    from dubarr_pipeline.library.webhooks.payloads import SENDERS
    from dubarr_pipeline.library.webhooks.rest import API
    from dubarr_pipeline.library.webhooks.server import webhook_server

    live = LiveSettings(settings)
    server = webhook_server(settings, settings.webhooks, token, LOOKUP, monitor_of(live))
    with closing(server) as server:
        say(f"{server.url}/{', /'.join(SENDERS)}; {API}/dub; {where}")
        server.serve()


def back_up(settings: Settings, folder: Path) -> tuple[int, int]:
    """Copy the store, which may be in use, below a folder; the films' work is left to you.

    Return the number of databases and their bytes.

    Raises:
        SettingsError: if it is in PostgreSQL, which has a command of its own.
        WorkspaceError: if it cannot be copied.
    """
    return back_up_store(settings.work_dir, folder.absolute())


def serve_library(settings: Settings, host: str, port: int) -> None:
    """Keep Dagster's webserver, daemon and code server alive until stopped."""
    keep_serving(settings, WebAddress(host, port))
