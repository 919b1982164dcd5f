"""What `dubarr library ...` does: show the libraries, and say why a video is dubbed or not."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from dubarr_pipeline.commands import find_key
from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.library.arrivals import judge, publish_video
from dubarr_pipeline.library.libraries import Library
from dubarr_pipeline.library.object_publishing import withdraw
from dubarr_pipeline.library.publications import read_publication
from dubarr_pipeline.library.publishing import restore
from dubarr_pipeline.library.quiet_hours import is_quiet
from dubarr_pipeline.library.videos import Video, last_at, load_video
from dubarr_pipeline.library.watch import VIDEO_SUFFIXES, Look, Memory, look
from dubarr_pipeline.library.webhooks import TOKEN_VARIABLE, WebhookServer, webhook_token
from dubarr_pipeline.media.identity import stat_matches
from dubarr_pipeline.runs import open_instance
from dubarr_pipeline.settings import Settings
from dubarr_pipeline.tasks import Task, task_table
from dubarr_pipeline.terminal import printable
from dubarr_pipeline.workdir import check_writable, exclusive


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one video of a library.

    Attributes:
        status: of its row in the task table; NEW where it has none; LEFT OUT by rule.
        reason: why it is not dubbed, or what it waits for.
    """

    path: Path
    library: str
    status: str
    targets: tuple[str, ...] = ()
    reason: str | None = None


def print_libraries(settings: Settings, as_json: bool) -> None:
    """Print every library with its wishes, and how far its videos are."""
    found = {name: list(_scan(name, settings)) for name in settings.libraries}
    if as_json:
        click.echo(
            json.dumps([_library_document(n, settings, f) for n, f in found.items()], indent=1)
        )
        return
    if not found:
        click.echo(
            "no libraries: write [libraries.NAME] into dubarr.toml (see dubarr.example.toml)"
        )
    for name, findings in found.items():
        library: Library = settings.library(name)
        click.echo(f"{name}: {printable(str(library.path))} → {', '.join(library.target_langs)}")
        click.echo(f"  profile {library.profile or settings.profile}, priority {library.priority}")
        for status, count in sorted(Counter(each.status for each in findings).items()):
            click.echo(f"  {status:10} {count}")


def print_scan(names: tuple[str, ...], settings: Settings, as_json: bool) -> None:
    """Print every video of the libraries: dubbed into what, or why not. Starts nothing."""
    for name in names:
        settings.library(name)
    found = [each for name in names or settings.libraries for each in _scan(name, settings)]
    if as_json:
        click.echo(json.dumps([_document(each) for each in found], indent=1))
        return
    for each in found:
        click.echo(_line(each))
    click.echo(f"{len(found)} found; switch on the sensor `media_folder` to have them dubbed")


def explain(path: Path, settings: Settings, as_json: bool) -> None:
    """Print why a video is or is not dubbed.

    Raises:
        SettingsError: if it lies in no library.
    """
    absolute = path.absolute()
    names = [name for name in settings.libraries if _lies_in(absolute, settings.library(name))]
    if not names:
        listed = ", ".join(f"{n} ({settings.library(n).path})" for n in settings.libraries)
        raise SettingsError(f"{str(path)!r} lies in none of the libraries: {listed or 'none'}")
    findings = [_explained(absolute, name, settings) for name in names]
    if as_json:
        click.echo(json.dumps([_document(each) for each in findings], indent=1))
        return
    for each in findings:
        click.echo(_line(each))


def _lies_in(path: Path, library: Library) -> bool:
    return path.is_relative_to(library.path) or library.holds(path)


def _explained(path: Path, name: str, settings: Settings) -> Finding:
    library: Library = settings.library(name)
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        suffixes = " ".join(sorted(VIDEO_SUFFIXES))
        return Finding(path, name, "LEFT OUT", reason=f"its name is no video's ({suffixes})")
    if not path.is_file():
        return Finding(path, name, "LEFT OUT", reason="it is not there")
    for finding in _scan(name, settings, only=path):
        return finding
    twin = next((p for p in _look(library, settings).videos.values() if p.samefile(path)), None)
    reason = (
        f"it is the same file as {str(twin)!r}" if twin else "its name or folder begins with a dot"
    )
    return Finding(path, name, "LEFT OUT", reason=reason)


def _look(library: Library, settings: Settings) -> Look:
    return look(library, Memory(), settings.work_dir)


def _scan(name: str, settings: Settings, only: Path | None = None) -> Iterator[Finding]:
    """Every video of a library, by path; or the finding of one alone."""
    library: Library = settings.library(name)
    seen = _look(library, settings)
    if seen.gone:
        raise SettingsError(f"library {name!r} ({library.path}): {seen.gone}: is it mounted?")
    tasks = _tasks(settings)
    for path in sorted([*seen.videos.values(), *seen.left_out]):
        if only is not None and path not in (only, *only.parents):
            continue
        if path in seen.left_out:
            yield Finding(path, name, "LEFT OUT", reason=seen.left_out[path])
        else:
            yield _finding(path, name, settings, tasks)


def _finding(path: Path, name: str, settings: Settings, tasks: dict[str, Task]) -> Finding:
    """What is known of a video that the listing lets pass."""
    library: Library = settings.library(name)
    video = last_at(path, settings.work_dir)
    task = tasks.get(video.key) if video and _is_there(video) else None
    if task:
        return Finding(path, name, task.status, task.video.target_langs, task.cause)
    found = judge(path, library, settings)
    if not found.targets:
        return Finding(path, name, "LEFT OUT", reason=found.reason)
    quiet = is_quiet(library.quiet_hours, datetime.datetime.now().time())
    waits = f"it waits for the end of the quiet hours ({', '.join(library.quiet_hours)})"
    return Finding(path, name, "NEW", found.targets, waits if quiet else None)


def _is_there(video: Video) -> bool:
    """Whether the file at the video's path is still the one that was registered, by its dates."""
    return stat_matches(video.source, video.identity)


def _tasks(settings: Settings) -> dict[str, Task]:
    if not settings.work_dir.is_dir():
        return {}
    with open_instance(settings.work_dir) as instance:
        return {task.video.key: task for task in task_table(instance, settings.work_dir)}


def _line(finding: Finding) -> str:
    languages = f"  → {', '.join(finding.targets)}" if finding.targets else ""
    reason = f": {printable(finding.reason)}" if finding.reason else ""
    return f"{finding.status:10}  {printable(str(finding.path))}{languages}{reason}"


def _document(finding: Finding) -> dict[str, object]:
    return {
        "video": str(finding.path),
        "library": finding.library,
        "status": finding.status,
        "target_langs": list(finding.targets),
        "reason": finding.reason,
    }


def _library_document(name: str, settings: Settings, findings: list[Finding]) -> dict[str, object]:
    library: Library = settings.library(name)
    return {
        "library": name,
        "path": str(library.path),
        "target_langs": list(library.target_langs),
        "profile": library.profile or settings.profile,
        "priority": library.priority,
        "videos": dict(Counter(each.status for each in findings)),
    }


def serve_webhooks(settings: Settings) -> None:
    """Receive webhooks until somebody stops it."""
    if not settings.libraries:
        raise SettingsError("no library: nothing that a webhook names could be dubbed")
    check_writable(settings.work_dir)
    token, path = webhook_token(settings.work_dir)
    server = WebhookServer(settings, settings.options("webhooks"), token)
    told = f"the password or bearer token stands in {path}" if path else f"token: ${TOKEN_VARIABLE}"
    click.echo(f"{server.url}/radarr, /sonarr, /generic; {told}")
    try:
        server.serve()
    finally:
        server.close()


def publish_videos(names: tuple[str, ...], settings: Settings) -> None:
    """Put the named videos where their libraries want them."""
    for name in names:
        found = publish_video(load_video(find_key(name, settings), settings.work_dir), settings)
        for place in (*(placed.path for placed in found.files), *(o.url for o in found.objects)):
            click.echo(printable(str(place)))
        if found.original:
            until = (
                datetime.date.fromtimestamp(found.keep_until_s) if found.keep_until_s else "ever"
            )
            click.echo(f"  original: {printable(str(found.original))}, kept until {until}")


def restore_videos(names: tuple[str, ...], settings: Settings) -> None:
    """Take back what was published of the named videos."""
    for name in names:
        video = load_video(find_key(name, settings), settings.work_dir)
        with exclusive(video.work(settings.work_dir)):
            put = read_publication(video.work(settings.work_dir))
            for stored in put.objects if put else ():
                withdraw(stored)
            found = restore(video, settings.work_dir)
        click.echo(f"{video.key}: {printable(str(found.source))} is the original again")
