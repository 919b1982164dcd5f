"""The last step, apart from dubbing: the finished film goes where its library wants it.

A file appears under its name whole or not at all, after its copy was read back and compared. No
file that we did not put there is ever overwritten. `replace` keeps the original under
``.dubarr-originals`` in the library: by a second link first, so that there is no moment without it,
and a torrent that seeds the old file goes on with the same inode. Whatever was killed in between is
finished by doing it again.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from dubarr_pipeline import checkpoints
from dubarr_pipeline.errors import ArtifactError, SettingsError, VerificationError
from dubarr_pipeline.library.places import check_place, copy_anew, write_anew
from dubarr_pipeline.library.publications import (
    Mode,
    Placed,
    Publication,
    read_publication,
    record,
    record_path,
)
from dubarr_pipeline.library.videos import Video, check_source, save_video
from dubarr_pipeline.media.identity import identify
from dubarr_pipeline.media.mux import sidecar_path
from dubarr_pipeline.media.probe import probe_video
from dubarr_pipeline.workdir import WorkDir, named_disk_errors

_log = logging.getLogger(__name__)

ORIGINALS = ".dubarr-originals"
_DAY_S = 86_400.0
_PART = ".dubarr-part"
_SAME_DURATION_S = 0.5
"""A container's own word on its duration; the streams themselves were compared by the mux."""


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """Where finished films go.

    Attributes:
        mode: "none": they stay in the work folder. "beside": ``Film - dubbed.mkv`` next to the
            source. "sidecar": one ``Film.es.mka`` per language next to it. "tree": the same path in
            another folder. "replace": in the place of the source, which is kept for some time.
        to: the other folder, for "tree"; absolute.
        url: in its place a folder in an object store, as fsspec writes it: ``s3://bucket/films``.
        label: what is put behind the name, for "beside".
        keep_original_days: so long the original is kept, for "replace"; 0: for ever.
    """

    mode: Mode = "none"
    to: Path = Path()
    url: str = ""
    label: str = " - dubbed"
    keep_original_days: int = 30

    def __post_init__(self) -> None:
        if self.mode == "tree" and self.to.is_absolute() == bool(self.url):
            raise ValueError('mode = "tree" needs the absolute path of a folder in `to`, or `url`')
        if self.url and (self.mode != "tree" or "://" not in self.url):
            raise ValueError('url is for mode = "tree", and begins with a scheme, like s3://')
        # It stands in messages and in published.json.
        if urlsplit(self.url).password is not None:
            raise ValueError("url must hold no password: docs/storage.md says where keys belong")
        if self.mode == "beside" and (not self.label.strip() or {"/", "\0"} & {*self.label}):
            raise ValueError("label must not be empty, nor hold a slash")
        if self.keep_original_days < 0:
            raise ValueError("keep_original_days must not be negative")


def publish(video: Video, root: Path, work_dir: Path, options: PublishOptions) -> Publication:
    """Put a finished film where it is wanted; what lies there already is not done again.

    Args:
        video: with a finished ``mux``.
        root: the folder of its library.
        work_dir: of the work folders.
        options: of its library.

    Raises:
        ArtifactError: if the film is not finished, or not whole.
        SourceMissing, SourceChanged: if the source is not the film that was dubbed.
        SettingsError: if a file that is not ours lies in the way, or its place lies elsewhere.
        VerificationError: if a copy is not what it should be.
        DiskFull, NotWritable: if it cannot be put there; what was there stays.
    """
    work = video.work(work_dir)
    if options.mode == "none":
        raise SettingsError(f"{video.key}: its library publishes nothing (publish.mode = 'none')")
    before = read_publication(work)
    if before and _stands(before, work, options.mode):
        return _unmarked(before)
    original = before.source if before and before.mode == "replace" else video.source
    check_source(video)
    wanted = list(_wanted(video, original, root, work, options))
    for _, path in wanted:
        check_place(path, options.to if options.mode == "tree" else _home(original, root))
        _check_free(path, before, original if options.mode == "replace" else None)
    with named_disk_errors(wanted[0][1].parent):
        if options.mode == "replace":
            return _replace(video, original, wanted[0], root, (work_dir, options))
        files = tuple(_place(made, path, video) for made, path in wanted)
    return _record(work, Publication(options.mode, files, original, published_s=time.time()))


def restore(video: Video, work_dir: Path) -> Publication:
    """Take back what was published: the original has its place again, our files go.

    Raises:
        ArtifactError: if nothing was published, or the original is not kept any more.
    """
    work = video.work(work_dir)
    found = read_publication(work)
    if found is None:
        raise ArtifactError(f"{video.key} was not published")
    moved = found.original is not None and video.source == found.original
    if found.original is not None and moved:
        if not found.original.is_file():
            raise ArtifactError(f"the original {found.original} is not kept any more")
        with named_disk_errors(found.source.parent):
            _link_or_copy(found.original, found.source)
        save_video(replace(video, source=found.source, identity=identify(found.source)), work_dir)
        found.original.unlink()
    for placed in found.files:
        if placed.path != found.source and _is(placed):
            placed.path.unlink()
    record_path(work).unlink()
    return found


def due_original(work: WorkDir, now_s: float) -> Path | None:
    """Return the original of a replaced film if its time is over and the dubbed film is whole."""
    found = read_publication(work)
    if found is None or found.original is None or not 0 < found.keep_until_s <= now_s:
        return None
    if not found.original.is_file() or not found.files:
        return None
    return found.original if all(_is(placed) for placed in found.files) else None


def drop_original(work: WorkDir, now_s: float) -> Path | None:
    """Remove the original of a replaced film whose time is over; returns it, or None."""
    original = due_original(work, now_s)
    if original is not None:
        original.unlink()
        with suppress(OSError):
            original.parent.rmdir()
    return original


def _wanted(
    video: Video, source: Path, root: Path, work: WorkDir, options: PublishOptions
) -> Iterator[tuple[Path, Path]]:
    """The finished files, and where each belongs."""
    files = [path for path in checkpoints.sealed_files(work, "mux") if path.suffix != ".json"]
    alone = [path for path in files if path.suffix == ".mka"]
    if not files or any(not path.is_file() for path in files):
        raise ArtifactError(f"{video.key} is not finished: dub it first")
    if bool(alone) != (options.mode == "sidecar"):
        needed = "mka" if options.mode == "sidecar" else "mkv"
        raise SettingsError(
            f"{video.key}: publish.mode = {options.mode!r} needs mux.container = {needed!r}"
        )
    for path in files:
        if alone:
            yield path, sidecar_path(source, path.stem.rpartition(".")[2])
        elif options.mode == "beside":
            yield path, source.with_name(f"{source.stem}{options.label}.mkv")
        elif options.mode == "tree":
            yield path, (options.to / below(source, root)).with_suffix(".mkv")
        else:
            yield path, source.with_suffix(".mkv")


def below(source: Path, root: Path) -> Path:
    """A film's path below its library's folder; its name where it lies elsewhere."""
    return source.relative_to(root) if source.is_relative_to(root) else Path(source.name)


def _home(source: Path, root: Path) -> Path:
    """The folder that what belongs to a source must not leave."""
    return root if source.is_relative_to(root) else source.parent


def _check_free(path: Path, before: Publication | None, replaced: Path | None) -> None:
    """See that nothing of others lies in the way."""
    if not path.exists() or path == replaced:
        return
    ours = [placed for placed in (before.files if before else ()) if placed.path == path]
    if not any(_is(placed) for placed in ours) and not _is_unrecorded(path):
        raise SettingsError(f"{str(path)!r} is there already and not from us: move it away first")


def _is_unrecorded(path: Path) -> bool:
    """Whether a file was put there by a process that was killed before it could say so."""
    mark = _mark(path)
    return (
        mark.is_file()
        and mark.read_text(encoding="utf-8", errors="replace") == identify(path).digest
    )


def _place(made: Path, path: Path, video: Video) -> Placed:
    """Copy a finished file to its place, read back and compared."""
    digest = identify(made).digest
    placed = Placed(path, digest)
    if path.exists() and _is(placed):
        return placed
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    try:
        copy_anew(made, part)
        _verify(part, digest, video)
        # A killed process must know this file for its own when it comes back.
        write_anew(_mark(path), digest)
        part.replace(path)
        _flush_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)
    return placed


def _verify(part: Path, digest: str, video: Video) -> None:
    """See that a copy is the file that was proven, and opens as the film that it should be."""
    if identify(part).digest != digest:
        raise VerificationError(
            f"the copy {str(part)!r} differs from what was written: check the disk"
        )
    info = probe_video(part)
    if not info.audio:
        raise VerificationError(f"the copy {str(part)!r} has no sound")
    if info.video:
        source_s = probe_video(video.source).duration_s
        if source_s and info.duration_s and abs(info.duration_s - source_s) > _SAME_DURATION_S:
            raise VerificationError(
                f"{str(part)!r} lasts {info.duration_s:.2f} s, its source {source_s:.2f} s"
            )


def _replace(
    video: Video,
    original: Path,
    wanted: tuple[Path, Path],
    root: Path,
    where: tuple[Path, PublishOptions],
) -> Publication:
    """Put the film in the place of its source, which gets a second place first."""
    work_dir, options = where
    made, path = wanted
    work = video.work(work_dir)
    kept = root / ORIGINALS / below(original, root)
    kept = kept.with_name(f"{kept.stem}.{video.key[-8:]}{kept.suffix}")
    check_place(kept, root)
    now_s = time.time()
    until_s = now_s + _DAY_S * options.keep_original_days if options.keep_original_days else 0.0
    # Said first, so that a killed process knows afterwards whose place it was.
    intent = _record(work, Publication("replace", (), original, kept, until_s, now_s))
    if video.source != kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        if not kept.exists():
            _link_or_copy(video.source, kept)
        # From here on the video is the kept file: its place is about to be another film's.
        video = replace(video, source=kept, identity=identify(kept))
        save_video(video, work_dir)
    placed = _place(made, path, video)
    if original != path:
        original.unlink(missing_ok=True)
        _flush_folder(original.parent)
    return _record(work, replace(intent, files=(placed,)))


def _link_or_copy(source: Path, path: Path) -> None:
    """Give a file a second name; where the file system has none, a copy that is read back."""
    part = _part(path)
    part.unlink(missing_ok=True)
    try:
        # Of the file itself: a link into another folder may lead nowhere from here.
        os.link(source.resolve(), part)
    except OSError:
        copy_anew(source, part)
        shutil.copystat(source, part)
        if identify(part).digest != identify(source).digest:
            part.unlink()
            raise VerificationError(
                f"the copy of {str(source)!r} differs: check the disk"
            ) from None
    part.replace(path)
    _flush_folder(path.parent)


def _stands(found: Publication, work: WorkDir, mode: Mode) -> bool:
    """Whether what was published is what is finished now, and still lies there."""
    made = [p for p in checkpoints.sealed_files(work, "mux") if p.suffix != ".json"]
    if found.mode != mode or not found.files or any(not path.is_file() for path in made):
        return False
    digests = {identify(path).digest for path in made}
    return {p.digest for p in found.files} == digests and all(_is(p) for p in found.files)


def _is(placed: Placed) -> bool:
    return placed.path.is_file() and identify(placed.path).digest == placed.digest


def _record(work: WorkDir, found: Publication) -> Publication:
    return _unmarked(record(work, found))


def _unmarked(found: Publication) -> Publication:
    """Remove the marks of files that the record names."""
    for placed in found.files:
        _mark(placed.path).unlink(missing_ok=True)
    return found


def _part(path: Path) -> Path:
    return path.with_name(f".{_short(path)}{_PART}{path.suffix}")


def _mark(path: Path) -> Path:
    return path.with_name(f".{_short(path)}{_PART}.digest")


def _short(path: Path) -> str:
    return os.fsdecode(os.fsencode(path.name)[:200])


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
