"""Names of published files: every one is built and parsed here."""

import hashlib
import os
from pathlib import Path

from dubarr_pipeline.config.libraries import PublishOptions
from dubarr_pipeline.media.subtitles.kept_originals import kept_path
from dubarr_pipeline.text.printable import printable
from dubarr_pipeline.workdir.layout import WorkDir

_PART = ".dubarr-part"


def muxed_sidecar(work: WorkDir, source: Path, language: str) -> Path:
    """Return the path of one language's finished tracks in the work folder: ``Film.es.mka``."""
    return work.subtitles(source.stem, language).with_suffix(".mka")


def published_path(made: Path, source: Path, root: Path, options: PublishOptions) -> Path:
    """Return the path at which a finished file is published.

    `made` is the film in the work folder, or a `muxed_sidecar`; `root` is the folder of its
    library.
    """
    if options.mode == "sidecar":
        # Players look for ``Film.es.mka`` beside ``Film.mkv``.
        language = made.stem.rpartition(".")[2]
        return source.with_name(f"{source.stem}.{language}.mka")
    if options.mode == "beside":
        return source.with_name(f"{source.stem}{options.label}.mkv")
    if options.mode == "tree":
        return (options.to / below(source, root)).with_suffix(".mkv")
    return source.with_suffix(".mkv")


def object_url(source: Path, root: Path, options: PublishOptions) -> str:
    """Return the address at which a film is published in an object store."""
    # A store's names are always UTF-8, those of files are not.
    name = printable(below(source, root).with_suffix(".mkv").as_posix())
    return f"{options.url.rstrip('/')}/{name}"


def kept_original(original: Path, root: Path, key: str) -> Path:
    """Return the path at which the original of a replaced film is kept; `key` is the video's."""
    return kept_path(root, below(original, root), key)


def below(source: Path, root: Path) -> Path:
    """Return a film's path below its library's folder; its name if it is outside of it."""
    return source.relative_to(root) if source.is_relative_to(root) else Path(source.name)


def part_of(path: Path) -> Path:
    """Return the name of a file that is still being copied."""
    return path.with_name(f".{_short_name(path)}{_PART}{path.suffix}")


def mark_of(path: Path) -> Path:
    """Return the name of the file that proves a copy to be ours until its record is written."""
    return path.with_name(f".{_short_name(path)}{_PART}.digest")


def object_part(path: str) -> str:
    """Return an object's name while it is sent: the same each time, to overwrite what was left."""
    folder = path.rpartition("/")[0]
    return f"{folder}/.{hashlib.blake2b(path.encode(), digest_size=16).hexdigest()}{_PART}"


def _short_name(path: Path) -> str:
    return os.fsdecode(os.fsencode(path.name)[:200])
