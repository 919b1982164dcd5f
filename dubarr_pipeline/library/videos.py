"""A video and what is asked of it: ``video.json``, the first file in every work folder."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.errors import ArtifactError, SourceChanged, SourceMissing
from dubarr_pipeline.media.identity import FileIdentity, identify, is_same
from dubarr_pipeline.media.probe import check_readable
from dubarr_pipeline.workdir import WorkDir, read_json, write_json, write_text

KEY_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,80}-[0-9a-f]{8}")
"""What a key can be; it names a folder, and Dagster takes any text for a partition."""


@dataclass(frozen=True, slots=True)
class Video:
    """One film, episode or clip to be dubbed.

    Attributes:
        key: the Dagster partition: a readable slug and 8 hex digits of the content's digest.
        source: where the file lies; data, never identity.
        identity: size, times and content digest of the file when it was registered.
        target_langs: BCP-47 tags of the tracks to make, in the order in which they are muxed.
        profile: the engine profile.
        overrides: settings for this video alone, by dotted name.
        library: the library that it was found in, if any.
    """

    key: str
    source: Path
    identity: FileIdentity
    target_langs: tuple[str, ...]
    profile: str
    overrides: Mapping[str, Any] = field(default_factory=dict[str, Any])
    library: str | None = None

    def work(self, work_dir: Path) -> WorkDir:
        """Its work folder."""
        return WorkDir(work_dir / self.key)


_VIDEO = TypeAdapter(Video)


def slug(stem: str) -> str:
    """Return a file's stem as lower-case ASCII words joined by dashes, 60 characters at most."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-") or "video"


def find_source(path: Path) -> Path:
    """Return the absolute path of a video that can be opened.

    Raises:
        SourceMissing: if it is not there, a folder, or not readable.
        NotAVideo: if it is empty, or a pipe, a device or the like (which might never answer).
    """
    absolute = path.absolute()
    check_readable(absolute)
    try:
        with absolute.open("rb"):
            return absolute
    except OSError as error:
        raise SourceMissing(
            f"{absolute} cannot be read ({error.strerror}): check its permissions and the disk"
        ) from error


def make_video(
    source: Path, work_dir: Path, identity: FileIdentity | None = None, **wishes: Any
) -> Video:
    """Return the video of a file: the one that is registered for the same content, or a new one.

    Args:
        source: the file, as `find_source` returned it.
        work_dir: where the work folders lie.
        identity: what `identify` said of the file, where it is known already.
        wishes: ``target_langs``, ``profile``, ``overrides``, ``library``.
    """
    identity = identity or identify(source)
    known = find_by_digest(work_dir, identity.digest)
    if known is not None:
        return replace(known, source=source, identity=identity, **wishes)
    return Video(f"{slug(source.stem)}-{identity.digest[:8]}", source, identity, **wishes)


def save_video(video: Video, work_dir: Path) -> None:
    """Write ``video.json``; the earlier one is replaced whole, or left if it says the same."""
    path, place = video.work(work_dir).video, _place(video.source, work_dir)
    if not (_is_registered(video.key, work_dir) and _reads(video, work_dir)):
        write_json(path, {**asdict(video), "source": str(video.source)})
    if not place.is_file() or place.read_text(encoding="utf-8", errors="replace") != video.key:
        write_text(place, video.key)


def _reads(video: Video, work_dir: Path) -> bool:
    try:
        return load_video(video.key, work_dir) == video
    except ArtifactError:
        return False


def last_at(source: Path, work_dir: Path) -> Video | None:
    """Return the video that was registered last under a path, whatever its content was."""
    place = _place(source, work_dir)
    key = place.read_text(encoding="utf-8", errors="replace") if place.is_file() else ""
    return load_video(key, work_dir) if _is_registered(key, work_dir) else None


def _place(source: Path, work_dir: Path) -> Path:
    """The file that says which video lies, or lay, under a path."""
    digest = hashlib.blake2b(os.fsencode(source), digest_size=12).hexdigest()
    return work_dir / ".sources" / digest


def load_video(key: str, work_dir: Path) -> Video:
    """Read ``video.json`` of a partition.

    Raises:
        ArtifactError: if the video was never registered here, or the file is damaged.
    """
    if not _is_registered(key, work_dir):
        raise ArtifactError(
            f"no video {key[:120]!r} in {work_dir}: register it with `dubarr dub VIDEO --to LANGS`"
        )
    path = WorkDir(work_dir / key).video
    try:
        found = _VIDEO.validate_python({k: v for k, v in read_json(path).items() if k != "schema"})
    except ValidationError as error:
        raise ArtifactError(f"{path} is damaged: {error.errors()[0]['msg']}") from error
    if found.key != key or "\0" in str(found.source):
        raise ArtifactError(f"{path} is damaged: it is not the request of {key}")
    return found


def unreadable_video(key: str, work_dir: Path) -> Video:
    """What stands for a video whose request is damaged: its key, and where the damage is."""
    return Video(key, WorkDir(work_dir / key).video, FileIdentity(0, 0, 0, 0, ""), (), "")


def _is_registered(key: str, work_dir: Path) -> bool:
    """Whether a video of this key has a work folder; never looks outside `work_dir`."""
    return bool(KEY_PATTERN.fullmatch(key)) and WorkDir(work_dir / key).video.is_file()


def registered(work_dir: Path) -> Iterator[str]:
    """Yield the keys of all videos that have a work folder, in order."""
    if work_dir.is_dir():
        for folder in sorted(work_dir.iterdir()):
            if _is_registered(folder.name, work_dir):
                yield folder.name


def find_by_digest(work_dir: Path, digest: str) -> Video | None:
    """Return the video with this content, whatever its name was."""
    for key in registered(work_dir):
        if key.endswith(digest[:8]):
            video = load_video(key, work_dir)
            if video.identity.digest == digest:
                return video
    return None


def check_source(video: Video) -> None:
    """See that the source is still the file that was registered.

    Raises:
        SourceMissing: if it has gone.
        SourceChanged: if its content is another one.
    """
    source = find_source(video.source)
    if not is_same(source, video.identity):
        raise SourceChanged(
            f"{str(source)!r} has changed since it was registered as {video.key}: "
            f"run `dubarr dub` on it again; it is then dubbed anew beside the earlier result"
        )
