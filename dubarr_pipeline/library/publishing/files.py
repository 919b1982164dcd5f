"""Publishing into folders: the finished film goes to the place that its library names.

A file appears under its name whole or not at all, after its copy was read back and compared. No
file of others is ever overwritten. `replace` keeps the original under ``.dubarr-originals`` in the
library: by a second link first, so that there is no moment without it, and a torrent client goes on
seeding the same inode. A second try finishes what was killed in between.

Others may write into a library, too. A download may bring a symbolic link along, under the very
name that is about to be written or in place of a folder: no file is written through one.
"""

import os
import shutil
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from dubarr_pipeline.config.libraries import PublishMode, PublishOptions
from dubarr_pipeline.errors import ArtifactError, SettingsError, VerificationError
from dubarr_pipeline.files import flush_to_disk, named_disk_errors
from dubarr_pipeline.library.publishing import naming
from dubarr_pipeline.library.publishing.records import (
    Publication,
    PublishedFile,
    followed,
    gives_way,
    owners,
    read_publication,
    record,
    record_path,
)
from dubarr_pipeline.library.videos import Video, check_source, is_superseded, save_video
from dubarr_pipeline.media.container.packet_times import read_timelines
from dubarr_pipeline.media.container.probe import probe, probe_video, version
from dubarr_pipeline.workdir import checkpoints
from dubarr_pipeline.workdir.identity import identify
from dubarr_pipeline.workdir.layout import WorkDir

_DAY_S = 86_400.0
_LONGEST_NAME_BYTES = 255
_SAME_DURATION_S = 0.5
"""Containers declare durations loosely; the mux has compared the streams themselves."""


def publish(video: Video, root: Path, work_dir: Path, options: PublishOptions) -> Publication:
    """Put a finished film in the place that its library names; a file that is there is kept.

    `root` is the folder of its library. What was published elsewhere before becomes `stale`.

    Raises:
        ArtifactError: if the film is not finished, or not whole.
        SourceMissing, SourceChanged: if the source is not the film that was dubbed.
        SettingsError: if a file of others is in the way, or a link leads out of the library.
        VerificationError: if a copy differs from the finished film.
        DiskFull, NotWritable: if it cannot be written; the files that were there stay.
    """
    work = video.work(work_dir)
    if options.mode == "none":
        raise SettingsError(f"{video.key}: its library publishes nothing (publish.mode = 'none')")
    before = read_publication(work)
    before = before and followed(before)
    made = _finished_files(video, work, options.mode)
    original = before.source if before and before.mode == "replace" else video.source
    wanted = {
        naming.published_path(path, original, root, options): (path, digest)
        for path, digest in made.items()
    }
    if before and before.mode == options.mode:
        asked = {(path, digest) for path, (_, digest) in wanted.items()}
        there = [file.proven() for file in before.files]
        if {(file.path, file.digest) for file in before.files} == asked and all(there):
            proven = replace(before, files=tuple(file for file in there if file))
            same = proven == read_publication(work)
            return _remove_marks(before if same else record(work, proven))
    check_source(video)
    replaced = original if options.mode == "replace" else None
    home = _home(original, root, options)
    for path in wanted:
        check_place(path, home)
        _check_free(path, original, work_dir, replaced, video.key)
    with named_disk_errors(next(iter(wanted)).parent):
        if replaced:
            ((path, (film, digest)),) = wanted.items()
            kept = before and before.mode == "replace" and before.original
            kept = kept or naming.kept_original(original, root, video.key)
            check_place(kept, root)
            now_s = time.time()
            keep_s = _DAY_S * options.keep_original_days
            until_s = now_s + keep_s if keep_s else 0.0
            intent = Publication("replace", (), original, kept, until_s, now_s)
            return _replace(video, (film, digest), path, intent.in_place_of(before), work_dir)
        ours = before.files if before else ()
        files = tuple(_place(film, path, video, ours) for path, film in wanted.items())
    published = Publication(options.mode, files, original, published_s=time.time())
    return _record(work, published.in_place_of(before))


def _home(source: Path, root: Path, options: PublishOptions) -> Path:
    """Return the folder that a film's places must lie in, links resolved."""
    if options.mode == "tree":
        return options.to
    return root if source.is_relative_to(root) else source.parent


def check_destination(
    source: Path, languages: Sequence[str], root: Path, options: PublishOptions, work_dir: Path
) -> None:
    """Check, before any work, that a film can be published where its library wants it.

    Raises:
        SettingsError: if a name is too long, a file of others has it, or its folder cannot be
            written to, or lies behind a link that leads out of the library.
    """
    if options.mode == "none" or options.url:
        return
    made = [Path(f"film.{each}.mka") for each in languages if options.mode == "sidecar"]
    replaced = source if options.mode == "replace" else None
    places = made or [Path("film")]
    for path in (naming.published_path(each, source, root, options) for each in places):
        check_place(path, _home(source, root, options))
        try:
            _check_free(path, source, work_dir, replaced)
            folder = next(each for each in path.parents if each.is_dir())
            is_open = os.access(folder, os.W_OK | os.X_OK, effective_ids=True)
        except PermissionError:
            folder, is_open = path.parent, False
        if not is_open:
            raise SettingsError(
                f"{str(folder)!r} cannot be written to, and {path.name[:60]!r} is to be published"
                " there: give dubarr's user the right, or choose another publish.mode"
            )


def restore(video: Video, work_dir: Path) -> Publication:
    """Withdraw a publication: the original gets its place back, the published files go.

    Raises:
        ArtifactError: if nothing was published, or the original is not kept any more.
    """
    work = video.work(work_dir)
    publication = read_publication(work)
    if publication is None or publication.is_taken_back:
        raise ArtifactError(f"{video.key} was not published")
    publication = followed(publication)
    original, place = publication.original, publication.source
    if original is not None and video.source == original:
        if not original.is_file():
            raise ArtifactError(f"the original {original} is not kept any more")
        ours = any(file.path == place and file.proven() for file in publication.files)
        if place.exists() and not (ours or place.samefile(original)):
            raise SettingsError(f"{str(place)!r} was not written by dubarr: move it first")
        with named_disk_errors(place.parent):
            _link_or_copy(original, place)
        save_video(replace(video, source=place, identity=identify(place)), work_dir)
        original.unlink()
    for file in publication.files:
        if file.path != place and file.proven():
            file.path.unlink()
    record_path(work).unlink()
    return publication


def due_original(work: WorkDir, now_s: float) -> Path | None:
    """Return the original of a replaced film if its time is over.

    The dubbed film must be whole, or a better release must have taken its place.
    """
    publication = read_publication(work)
    if publication is None or not 0 < publication.keep_until_s <= now_s:
        return None
    original, files = publication.original, publication.files
    if original is None or not original.is_file():
        return None
    whole = bool(files) and all(file.proven() for file in files)
    return original if whole or is_superseded(work) else None


def drop_original(work: WorkDir, now_s: float) -> Path | None:
    """Remove the original of a replaced film whose time is over; return its path, or None."""
    original = due_original(work, now_s)
    if original is not None:
        original.unlink()
        with suppress(OSError):
            original.parent.rmdir()
    return original


def _finished_files(video: Video, work: WorkDir, mode: PublishMode) -> dict[Path, str]:
    """Return the files that the mux left and their digests, and check that they fit the mode."""
    files = checkpoints.recorded_files(work, "mux")
    films = [path for path in files if path.suffix != ".json"]
    if not films or any(not path.is_file() for path in films):
        raise ArtifactError(f"{video.key} is not finished: dub it first")
    if any(path.suffix == ".mka" for path in films) != (mode == "sidecar"):
        needed = "mka" if mode == "sidecar" else "mkv"
        raise SettingsError(
            f"{video.key}: publish.mode = {mode!r} needs mux.container = {needed!r}: dub it again"
        )
    digests = checkpoints.recorded_digests(work, "mux")
    return {path: digests[path] for path in films}


def check_place(path: Path, home: Path) -> None:
    """Check that a file's folder is inside the folder that it belongs to, with links resolved.

    Raises:
        SettingsError: if it is elsewhere, or its name is longer than file systems take.
    """
    try:
        inside = path.parent.resolve().is_relative_to(home.resolve())
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(f"{str(path)!r} cannot hold a film: {error}") from error
    if not inside:
        raise SettingsError(
            f"{str(path.parent)!r} leads out of {str(home)!r}: remove the link in its way"
        )
    if len(os.fsencode(path.name)) > _LONGEST_NAME_BYTES:
        raise SettingsError(
            f"the name {path.name[:60]!r}... is longer than {_LONGEST_NAME_BYTES} bytes: give the "
            "source, or publish.label, a shorter one"
        )


def _check_free(
    path: Path, source: Path, work_dir: Path, replaced: Path | None, key: str = ""
) -> None:
    """Check that no file of others is in the way of a film's; ours of another film is one."""
    if not path.exists() or path == replaced:
        return
    for owner, before in owners(str(path), work_dir):
        if not any(file.path == path and file.proven() for file in before.files):
            continue
        if gives_way(owner, before, source, work_dir, key):
            return
        raise SettingsError(
            f"{str(path)!r} is the dub of {before.source.name[:100]!r}: give one of the two films "
            "another name"
        )
    # A process that was killed before it wrote its record has left a mark of its copy.
    mark = naming.mark_of(path)
    if mark.is_file() and mark.read_text("utf-8", errors="replace") == identify(path).digest:
        return
    raise SettingsError(
        f"{str(path)!r} already exists and was not written by dubarr: move it first"
    )


def _place(
    film: tuple[Path, str], path: Path, video: Video, ours: Sequence[PublishedFile] = ()
) -> PublishedFile:
    """Copy a finished film, with its digest, to its place, read it back and compare it.

    One of `ours` that holds the same, under its former name, gets the new one and is not copied.
    """
    made, digest = film
    file = PublishedFile(path, digest)
    if path.exists() and (there := file.proven()):
        return there
    folders = [each for each in path.parents if not each.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        _make_alike(folder, video.source.parent)
    part = naming.part_of(path)
    try:
        if not _link(part, next((x for x in ours if x.digest == digest and x.proven()), None)):
            _copy(made, part)
            _verify(part, digest, video)
        _make_alike(part, video.source)
        # A killed process must know this file for its own when it comes back.
        mark = naming.mark_of(path)
        mark.unlink(missing_ok=True)
        with open(mark, "w", encoding="ascii", opener=_new_file) as stream:
            stream.write(digest)
        part.replace(path)
        flush_to_disk(path.parent)
    finally:
        part.unlink(missing_ok=True)
    return replace(file, version=version(path.stat()))


def _link(part: Path, same: PublishedFile | None) -> bool:
    """Give a file that was published before a second name; False where there is none."""
    part.unlink(missing_ok=True)
    with suppress(OSError):
        if same:
            os.link(same.path, part)
            return True
    return False


def _make_alike(path: Path, film: Path) -> None:
    """Give a file or folder the rights, and as far as we may the owner, of the film's."""
    like = film.stat()
    for owner in (like.st_uid, -1):
        with suppress(OSError):
            os.chown(path, owner, like.st_gid)
            break
    with suppress(OSError):
        folder = path.is_dir()
        path.chmod(stat.S_IMODE(like.st_mode) & (0o2777 if folder else 0o666) | 0o600)


def _verify(part: Path, digest: str, video: Video) -> None:
    """Check that a copy equals the finished file, and opens as the film that it should be."""
    if identify(part).digest != digest:
        raise VerificationError(
            f"the copy {str(part)!r} differs from what was written: check the disk"
        )
    info = probe(part)
    if not info.audio:
        raise VerificationError(f"the copy {str(part)!r} has no sound")
    if info.video:
        source_s = probe_video(video.source).duration_s
        if abs(info.duration_s - source_s) > _SAME_DURATION_S:
            # A broadcast's first and last time stamp say nothing where its clock jumps.
            source_s = read_timelines(video.source).end_s or source_s
        if source_s and info.duration_s and abs(info.duration_s - source_s) > _SAME_DURATION_S:
            raise VerificationError(
                f"{str(part)!r} lasts {info.duration_s:.2f} s, its source {source_s:.2f} s"
            )


def _replace(
    video: Video, film: tuple[Path, str], path: Path, intent: Publication, work_dir: Path
) -> Publication:
    """Put the film in the place of its source, which gets a second place first."""
    work, original, kept = video.work(work_dir), intent.source, intent.original
    # Recorded first, so that a killed process knows afterwards whose place it was.
    intent = _record(work, intent)
    if kept and video.source != kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        if not kept.exists():
            _link_or_copy(video.source, kept)
        # From here on the video is the kept file: its place is about to be another film's.
        video = replace(video, source=kept, identity=identify(kept))
        save_video(video, work_dir)
    file = _place(film, path, video)
    if original != path:
        original.unlink(missing_ok=True)
        flush_to_disk(original.parent)
    published = replace(intent, files=(file,))
    return _record(work, published.in_place_of(published))


def _link_or_copy(source: Path, path: Path) -> None:
    """Give a file a second name; where the file system has none, a copy that is read back."""
    part = naming.part_of(path)
    part.unlink(missing_ok=True)
    try:
        # Of the file itself: a link into another folder may lead nowhere from here.
        os.link(source.resolve(), part)
    except OSError:
        _copy(source, part)
        shutil.copystat(source, part)
        if identify(part).digest != identify(source).digest:
            part.unlink()
            raise VerificationError(
                f"the copy of {str(source)!r} differs: check the disk"
            ) from None
    part.replace(path)
    flush_to_disk(path.parent)


def _copy(source: Path, path: Path) -> None:
    """Copy a file to a path, in place of whatever was there, and flush it to disk."""
    path.unlink(missing_ok=True)
    with source.open("rb") as original, open(path, "wb", opener=_new_file) as copy:
        shutil.copyfileobj(original, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())


def _new_file(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL | os.O_NOFOLLOW, 0o666)


def _record(work: WorkDir, publication: Publication) -> Publication:
    return _remove_marks(record(work, publication))


def _remove_marks(publication: Publication) -> Publication:
    """Remove the marks of files that the record names."""
    for file in publication.files:
        naming.mark_of(file.path).unlink(missing_ok=True)
    return publication
