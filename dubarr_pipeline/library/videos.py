"""Registered videos and their requests: ``video.json``, the first file in every work folder."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.errors import ArtifactError, SourceChanged, SourceMissing
from dubarr_pipeline.files import read_json, write_json, write_text
from dubarr_pipeline.media.container.probe import check_readable
from dubarr_pipeline.media.subtitles.kept_originals import ORIGINALS
from dubarr_pipeline.workdir.identity import FileIdentity, identify, is_same
from dubarr_pipeline.workdir.layout import WorkDir

_T = TypeVar("_T")
SUPERSEDED_MARK = ".superseded"
"""File in the work folder of a video whose place a better release took; it names that one."""
KEY_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,80}-[0-9a-f]{8}")
"""Form of a key; it names a folder, and Dagster accepts any text as a partition."""


@dataclass(frozen=True, slots=True)
class Video:
    """One film, episode or clip to be dubbed.

    Attributes:
        key: the Dagster partition: a readable slug and 8 hex digits of the content's digest.
        source: path of the file; data, never identity.
        identity: size, times and content digest of the file when it was registered.
        target_langs: BCP-47 tags of the tracks to make, in the order in which they are muxed.
        overrides: settings for this video alone, by dotted name.
        tags: labels that Radarr or Sonarr gave it, which choose its languages.
        by_person: a person chose its languages and engines; its library's wishes do not count.
        series: number of its series, ``tvdb-81189``, if Sonarr told it; else empty.
    """

    key: str
    source: Path
    identity: FileIdentity
    target_langs: tuple[str, ...]
    profile: str
    overrides: Mapping[str, Any] = field(default_factory=dict[str, Any])
    library: str | None = None
    tags: tuple[str, ...] = ()
    by_person: bool = False
    series: str = ""

    def work(self, work_dir: Path) -> WorkDir:
        """Return its work folder."""
        return WorkDir(work_dir / self.key)


_VIDEO = TypeAdapter(Video)


EPISODE = re.compile(
    r"(?<![a-z0-9])(?:s[0-9]{1,4}[ ._-]?e[0-9]{1,4}(?:[ ._-]?e[0-9]{1,4})*|[0-9]{1,2}x[0-9]{2,3})"
    r"(?![0-9])",
    re.IGNORECASE,
)
"""The code of an episode in a file's name."""


def slug(stem: str) -> str:
    """Return a file's stem as lower-case ASCII words joined by dashes, 60 characters at most.

    The code of an episode goes first: lists cut names in the middle and at the end.
    """
    code = EPISODE.search(stem)
    if code:
        stem = f"{code.group()} {stem[: code.start()]} {stem[code.end() :]}"
    return plain_words(stem).replace(" ", "-")[:60].strip("-") or "video"


def plain_words(text: str) -> str:
    """Return the words of a text in lower-case ASCII, with one space in between."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", " ", plain).strip()


def find_source(path: Path) -> Path:
    """Return the absolute path of a video that can be opened.

    Raises:
        SourceMissing: if it does not exist, is a folder, or is not readable.
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
    source: Path, work_dir: Path, identity: FileIdentity | None = None, **request: Any
) -> Video:
    """Return the video of a file: the one that is registered for the same content, or a new one.

    `request` are the fields that a person or a library chooses.
    """
    identity = identity or identify(source)
    known = find_by_digest(work_dir, identity.digest)
    if known is not None:
        return replace(known, source=source, identity=identity, **request)
    return Video(f"{slug(source.stem)}-{identity.digest[:8]}", source, identity, **request)


def save_video(video: Video, work_dir: Path) -> None:
    """Write ``video.json``; the earlier one is replaced whole, or left if it is the same."""
    path, place = video.work(work_dir).video, _place(video.source, work_dir)
    same = False
    with suppress(ArtifactError):
        same = _is_registered(video.key, work_dir) and load_video(video.key, work_dir) == video
    if not same:
        write_json(path, {**asdict(video), "source": str(video.source)})
    former = place.read_text(encoding="utf-8", errors="replace") if place.is_file() else ""
    if former != video.key:
        if _is_registered(former, work_dir):
            _supersede_at(load_video(former, work_dir), video, work_dir)
        write_text(place, video.key)
    (video.work(work_dir).root / SUPERSEDED_MARK).unlink(missing_ok=True)


def _supersede_at(old: Video, new: Video, work_dir: Path) -> None:
    """Note that another file took a video's path, unless the video lies elsewhere by now."""
    if old.source == new.source or ORIGINALS in old.source.parts:
        supersede(old, new, work_dir)


def supersede(old: Video, new: Video, work_dir: Path) -> None:
    """Note that a film gave its place to a better release; the date of the mark counts."""
    mark, list_of_old = old.work(work_dir).root / SUPERSEDED_MARK, _superseded_list(new, work_dir)
    known = superseded_by(new, work_dir)
    if old.key not in known:
        write_text(list_of_old, "\n".join((*known, old.key)))
    if not mark.exists():
        write_text(mark, new.key)


def superseded_by(new: Video, work_dir: Path) -> tuple[str, ...]:
    """Return the keys of the videos whose place a film took."""
    path = _superseded_list(new, work_dir)
    keys = path.read_text(encoding="utf-8").split() if path.is_file() else ()
    return tuple(key for key in keys if _is_registered(key, work_dir))


def is_superseded(work: WorkDir) -> bool:
    """Return whether a better release took the place of a video."""
    return (work.root / SUPERSEDED_MARK).is_file()


def _superseded_list(video: Video, work_dir: Path) -> Path:
    return video.work(work_dir).root / ".supersedes"


def last_at(source: Path, work_dir: Path) -> Video | None:
    """Return the video that was registered last under a path, whatever its content was."""
    key = _key_at(source, work_dir)
    return load_video(key, work_dir) if key else None


def kept_answer(source: Path, work_dir: Path) -> Path | None:
    """Return the file that may hold ffprobe's answer on the film at a path: `probe.keep_answer`."""
    key = _key_at(source, work_dir)
    return WorkDir(work_dir / key).probed if key else None


def _key_at(source: Path, work_dir: Path) -> str:
    place = _place(source, work_dir)
    key = place.read_text(encoding="utf-8", errors="replace") if place.is_file() else ""
    return key if _is_registered(key, work_dir) else ""


def _place(source: Path, work_dir: Path) -> Path:
    """Return the file that holds the key of the video that was registered last under a path."""
    digest = hashlib.blake2b(os.fsencode(source), digest_size=12).hexdigest()
    return work_dir / ".sources" / digest


def load_video(key: str, work_dir: Path) -> Video:
    """Read a partition's ``video.json``. Raises `ArtifactError` if it is missing or damaged."""
    if not _is_registered(key, work_dir):
        raise ArtifactError(
            f"no video {key[:120]!r} in {work_dir}: register it with `dubarr dub VIDEO --to LANGS`"
        )
    path = WorkDir(work_dir / key).video
    found = read_record(path, _VIDEO)
    if found.key != key or "\0" in str(found.source):
        raise ArtifactError(f"{path} is damaged: it is not the request of {key}")
    return found


def read_record(path: Path, adapter: TypeAdapter[_T]) -> _T:
    """Read a JSON object as a value. Raises `ArtifactError` if it is missing or damaged."""
    try:
        return adapter.validate_python({k: v for k, v in read_json(path).items() if k != "schema"})
    except ValidationError as error:
        raise ArtifactError(f"{path} is damaged: {error.errors()[0]['msg']}") from error


def unreadable_video(key: str, work_dir: Path) -> Video:
    """Return a stand-in for a video whose request is damaged, with its key and that file."""
    return Video(key, WorkDir(work_dir / key).video, FileIdentity(0, 0, 0, 0, ""), (), "")


def _is_registered(key: str, work_dir: Path) -> bool:
    """Return whether a video of this key has a work folder; never reads outside `work_dir`."""
    return bool(KEY_PATTERN.fullmatch(key)) and WorkDir(work_dir / key).video.is_file()


def registered(work_dir: Path, wanted: Callable[[str], bool] = lambda _: True) -> Iterator[str]:
    """Yield the keys of all videos that have a work folder, in order; of some by their names."""
    # Names alone are listed first: of thousands of videos one is looked for after another.
    named = os.listdir(work_dir) if work_dir.is_dir() else ()  # noqa: PTH208
    for name in sorted(filter(wanted, named)):
        if _is_registered(name, work_dir):
            yield name


def find_by_digest(work_dir: Path, digest: str) -> Video | None:
    """Return the video with this content, whatever its name was."""
    for key in registered(work_dir, lambda key: key.endswith(digest[:8])):
        video = load_video(key, work_dir)
        if video.identity.digest == digest:
            return video
    return None


def check_source(video: Video) -> None:
    """Check that the source is still the file that was registered.

    Raises:
        SourceMissing: if it is gone.
        SourceChanged: if its content has changed.
    """
    source = find_source(video.source)
    if not is_same(source, video.identity):
        raise SourceChanged(
            f"{str(source)!r} has changed since it was registered as {video.key}: "
            "run `dubarr dub` on it again; it becomes a new video, and the earlier result is kept"
        )
