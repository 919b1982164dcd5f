"""A video of a library at the door: whether it is dubbed, into which languages, and if not, why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline.errors import (
    DubbingError,
    MissingRequirement,
    SettingsError,
    WorkspaceError,
)
from dubarr_pipeline.library.intake import Plan, check_targets, listen_to, look_at, take_in
from dubarr_pipeline.library.libraries import Library
from dubarr_pipeline.library.object_publishing import publish_objects
from dubarr_pipeline.library.publications import Publication, read_publication
from dubarr_pipeline.library.publishing import publish
from dubarr_pipeline.library.rules import missing_targets, spoken_reason
from dubarr_pipeline.library.videos import Video, find_by_digest, last_at
from dubarr_pipeline.media.identity import FileIdentity
from dubarr_pipeline.media.stream_plan import MARK
from dubarr_pipeline.media.streams import MediaInfo
from dubarr_pipeline.settings import Settings
from dubarr_pipeline.workdir import exclusive


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of a video: the languages that it is dubbed into, or why it is not.

    Attributes:
        targets: BCP-47 tags; empty where it is not dubbed.
        reason: in words for people, or None.
        spoken: BCP-47 of what is spoken, where the container or the subtitles tell.
    """

    targets: tuple[str, ...] = ()
    reason: str | None = None
    spoken: str | None = None


def judge(path: Path, library: Library, settings: Settings) -> Judgement:
    """Look into a video and say whether it is dubbed. Reads its headers alone.

    Raises:
        MissingRequirement, WorkspaceError: what is no fault of the video.
    """
    settings = settings.for_video(library.profile or settings.profile, library.overrides)
    try:
        heard = listen_to(path, settings)
        if is_ours(heard.info):
            return Judgement(reason="it is a dubbed film that dubarr made", spoken=heard.language)
        found = _wanted(heard, library) if heard.language else None
        if found and not found.targets:
            return found
        plan = look_at(path, settings)
        found = _wanted(plan, library)
        check_targets(plan, found.targets, settings)
    except (MissingRequirement, WorkspaceError):
        raise
    except DubbingError as error:
        return Judgement(reason=str(error))
    return found


def is_ours(info: MediaInfo) -> bool:
    """Whether a file holds a track that this program made."""
    return any(MARK in {name.lower() for name in stream.tags} for stream in info.audio)


def _behind(
    path: Path, identity: FileIdentity | None, settings: Settings
) -> tuple[Path, FileIdentity | None]:
    """The original behind a film that we put in its place, or the film itself."""
    before = last_at(path, settings.work_dir)
    found = read_publication(before.work(settings.work_dir)) if before else None
    if not (before and found and found.original and identity):
        return path, identity
    ours = any((p.path, p.digest) == (path, identity.digest) for p in found.files)
    return (before.source, before.identity) if ours else (path, identity)


def _twin(path: Path, identity: FileIdentity | None, settings: Settings) -> Video | None:
    """The video of the same content that still lies elsewhere; of a moved one it does not."""
    known = find_by_digest(settings.work_dir, identity.digest) if identity else None
    if known is None or known.source == path or not known.source.is_file():
        return None
    # A hard link more changes the date of the inode: what was registered is still this.
    lies = known.source.stat()
    same = (lies.st_size, lies.st_mtime_ns) == (known.identity.size, known.identity.mtime_ns)
    return known if same else None


def _wanted(plan: Plan, library: Library) -> Judgement:
    """What the library's rules say of a video whose language is known as well as it can be."""
    reason = spoken_reason(library.rules, plan.language)
    if reason:
        return Judgement(reason=reason, spoken=plan.language)
    targets = missing_targets(library.rules, plan.info, plan.language, library.target_langs)
    if not targets:
        wished = ", ".join(library.target_langs)
        return Judgement(reason=f"it is to be heard in {wished} already", spoken=plan.language)
    return Judgement(targets, spoken=plan.language)


def arrive(
    path: Path, name: str, library: Library, settings: Settings, identity: FileIdentity | None
) -> Video | str:
    """Register a library's video, or return why it is not dubbed.

    Raises:
        MissingRequirement, WorkspaceError: what is no fault of the video.
    """
    if not (library.outside_links or library.holds(path)):
        return f"{str(path)!r} does not lie in library {name!r} ({library.path})"
    path, identity = _behind(path, identity, settings)
    twin = _twin(path, identity, settings)
    if twin and twin.library not in (None, name):
        return f"{str(path)!r} is a copy of {str(twin.source)!r} in library {twin.library!r}"
    if twin and twin.library == name:
        path, identity = twin.source, twin.identity
    found = judge(path, library, settings)
    if not found.targets:
        return found.reason or "there is nothing to do"
    profiled = settings.for_video(library.profile or settings.profile, library.overrides)
    try:
        return take_in(
            path,
            found.targets,
            profiled,
            library=name,
            overrides=library.overrides,
            identity=identity,
        )
    except (MissingRequirement, WorkspaceError):
        raise
    except DubbingError as error:
        return str(error)


def publish_video(video: Video, settings: Settings) -> Publication:
    """Put a finished film where its library wants it.

    Raises:
        SettingsError: if it belongs to no library, or its library publishes nothing.
        DubbingError: as `library.publishing.publish`.
    """
    if video.library is None:
        raise SettingsError(f"{video.key} belongs to no library: nothing says where it goes")
    library: Library = settings.library(video.library)
    with exclusive(video.work(settings.work_dir)):
        put = publish_objects if library.publish.url else publish
        return put(video, library.path, settings.work_dir, library.publish)
