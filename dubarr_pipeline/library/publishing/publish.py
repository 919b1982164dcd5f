"""Publishing a video as its library wishes, whatever was published of it before.

What is published is the wish at its end: a new name, mode or label takes back what was published
under the former one, a better release takes the place of the one before, and no film is there twice
unless a person asks for it (docs/decisions/0028-publishing-is-an-asset.md).
"""

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from dubarr_pipeline.config.libraries import PublishOptions
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.errors import ArtifactError, DubbingError
from dubarr_pipeline.library.gate import Gate, gate_of, options_for
from dubarr_pipeline.library.publishing import naming
from dubarr_pipeline.library.publishing.files import publish, restore
from dubarr_pipeline.library.publishing.media_servers import tell_servers
from dubarr_pipeline.library.publishing.object_store import publish_objects, withdraw
from dubarr_pipeline.library.publishing.records import (
    Publication,
    PublishedFile,
    StoredObject,
    followed,
    place_of,
    read_publication,
    record,
    record_path,
)
from dubarr_pipeline.library.videos import Video, is_superseded, load_video, superseded_by
from dubarr_pipeline.workdir import checkpoints
from dubarr_pipeline.workdir.layout import WorkDir, exclusive


@dataclass(frozen=True, slots=True)
class Published:
    """A library's wish for a video, fulfilled.

    Attributes:
        publication: what lies in its place; None: nothing was wished.
        reason: why nothing was wished.
        untold: media servers that could not be told yet, and why.
        held: the state of its gate, if that keeps it from being published.
    """

    publication: Publication | None = None
    reason: str = ""
    untold: tuple[str, ...] = ()
    held: Gate | None = None


def no_wish(video: Video, settings: Settings) -> str | None:
    """Return why nothing is to be published of a video, or None if something is."""
    if video.library is None:
        return "it belongs to no library"
    if video.library not in settings.libraries:
        return f"its library {video.library!r} is not in the settings any more"
    if settings.library(video.library).publish.mode == "none":
        return f"its library {video.library!r} publishes nothing (publish.mode = 'none')"
    work = video.work(settings.work_dir)
    if is_superseded(work):
        return "a better release took its place"
    before = read_publication(work)
    return "it was taken back by `dubarr restore`" if before and before.is_taken_back else None


def is_to_be_taken_back(video: Video, settings: Settings) -> bool:
    """Return whether something was published that is not wished any more."""
    work = video.work(settings.work_dir)
    before = read_publication(work)
    if before is None or before.is_taken_back or is_superseded(work):
        return False
    known = video.library in settings.libraries
    return known and settings.library(str(video.library)).publish.mode == "none"


def fulfil_wish(video: Video, settings: Settings, asked: bool = False) -> Published:
    """Publish a video, or take back what was published, as its library wishes it now.

    `asked`: a person asks for it, also after `dubarr restore`. Media servers are told of each file
    that came or went.

    Raises:
        DubbingError: as `library.publishing.files.publish`.
    """
    work = video.work(settings.work_dir)
    with exclusive(work):
        before = read_publication(work)
        if asked and before and before.is_taken_back:
            record_path(work).unlink()
            before = None
        reason = no_wish(video, settings)
        if reason and not is_to_be_taken_back(video, settings):
            return Published(None, reason)
        # What an earlier result left in its place stays.
        if gate := held_at_gate(video, settings):
            return Published(None, held_words(gate), held=gate)
        library = str(video.library)
        options = settings.library(library).publish
        earlier = _places(before)
        if reason or (before and before.mode == "replace" != options.mode):
            take_back(video, settings.work_dir)
            video = load_video(video.key, settings.work_dir)
        if reason:
            return Published(None, reason, _told(earlier, library, settings))
        root = settings.library(library).path
        put = publish_objects if options.url else publish
        published = put(video, root, settings.work_dir, options)
        changed = () if published == before else _places(published)
        went = {*_clear(published, work), *_relieve(video, published, settings.work_dir)}
        published = read_publication(work) or published
        return Published(published, "", _told((*changed, *sorted(went)), library, settings))


def take_back(video: Video, work_dir: Path, by_person: bool = False) -> Publication:
    """Remove what was published of a video; a replaced original gets its place back.

    Taken back by a person, it is published again only when one asks for it.

    Raises:
        ArtifactError: if nothing was published, or the original is not kept any more.
    """
    work = video.work(work_dir)
    with exclusive(work):
        before = read_publication(work)
        for each in (*before.objects, *before.stale) if before else ():
            _remove(each)
        restored = restore(video, work_dir)
        if by_person:
            record(work, Publication("none", (), restored.source, published_s=time.time()))
        return restored


def held_at_gate(video: Video, settings: Settings) -> Gate | None:
    """Return the state of the gate that keeps a film from being published; None if nothing does.

    A film whose result lies in its place already is held by a person alone.

    Raises:
        ArtifactError: if a record of the video is damaged.
    """
    if no_wish(video, settings):
        return None
    gate = gate_of(video.work(settings.work_dir), options_for(video, settings))
    if gate.state != "held":
        return None
    return gate if gate.by_person or publishing_fault(video, settings) else None


def held_words(gate: Gate) -> str:
    """Return why a film is not published that its gate holds."""
    return f"it is held: {'; '.join(gate.reasons)}"


def publishing_fault(video: Video, settings: Settings) -> str | None:
    """Return why what a library wishes for a finished video is not true; None if it is.

    Nothing is read but records and the status of files.
    """
    work = video.work(settings.work_dir)
    with suppress(ArtifactError):
        before, reason = read_publication(work), no_wish(video, settings)
        if reason:
            left = is_to_be_taken_back(video, settings)
            return "what was published is still to be taken back" if left else None
        options = settings.library(str(video.library)).publish
        if before is None:
            return "not published yet"
        before = followed(before)
        if away := [str(file.path) for file in before.files if not file.is_there]:
            return f"{away[0]!r} is not there any more"
        root = settings.library(str(video.library)).path
        return None if is_fulfilled(before, video, work, root, options) else "not published yet"
    return "its record published.json is damaged: delete it"


def is_fulfilled(
    before: Publication, video: Video, work: WorkDir, root: Path, options: PublishOptions
) -> bool:
    """Return whether a publication is the one that is wished, as far as its record tells."""
    made = checkpoints.recorded_digests(work, "mux")
    films = {path: digest for path, digest in made.items() if path.suffix != ".json"}
    original = before.source if before.mode == "replace" else video.source
    if options.url:
        url = naming.object_url(original, root, options)
        wished = {(url, digest) for digest in films.values()}
        return {(each.url, each.digest) for each in before.objects} == wished and not before.files
    wanted = {
        (naming.published_path(path, original, root, options), digest)
        for path, digest in films.items()
    }
    has = {(file.path, file.digest) for file in before.files}
    return before.mode == options.mode and has == wanted and not before.objects


def _places(publication: Publication | None) -> tuple[Path, ...]:
    return tuple(file.path for file in publication.files) if publication else ()


def _told(paths: tuple[Path, ...], library: str, settings: Settings) -> tuple[str, ...]:
    return tuple(tell_servers(paths, library, settings))


def _clear(published: Publication, work: WorkDir) -> list[Path]:
    """Remove what was published before, elsewhere; return the paths."""
    for each in published.stale:
        _remove(each)
    if published.stale:
        record(work, replace(published, stale=()))
    return [each.path for each in published.stale if isinstance(each, PublishedFile)]


def _relieve(video: Video, published: Publication, work_dir: Path) -> list[Path]:
    """Remove what was published of the films whose place this one took; return the paths.

    A kept original stays for its time.
    """
    went: list[Path] = []
    for key in superseded_by(video, work_dir):
        work = WorkDir(work_dir / key)
        with suppress(DubbingError), exclusive(work):
            old = read_publication(work)
            if old is None or key == video.key:
                continue
            for each in (*old.files, *old.objects, *old.stale):
                if place_of(each) not in (*published.places, str(video.source)):
                    _remove(each)
                    went += [each.path] if isinstance(each, PublishedFile) else []
            if old.original and old.original.is_file():
                record(work, replace(old, files=(), objects=(), stale=()))
            else:
                record_path(work).unlink()
    return went


def _remove(published: PublishedFile | StoredObject) -> None:
    """Remove what we published, unless others have replaced it."""
    if isinstance(published, StoredObject):
        withdraw(published)
    elif published.proven():
        published.path.unlink()
