"""Publications: their record ``published.json`` in a video's work folder, and whose a place is."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from dubarr_pipeline.config.libraries import PublishMode
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import write_json
from dubarr_pipeline.library.videos import is_superseded, read_record, registered
from dubarr_pipeline.media.container.probe import Version, version
from dubarr_pipeline.workdir.identity import identify
from dubarr_pipeline.workdir.layout import WorkDir


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file in its place.

    Attributes:
        digest: BLAKE2b-256 of its content.
        version: its stat when it had that content, which spares the digest; None: not known.
    """

    path: Path
    digest: str
    version: Version | None = None

    @property
    def is_there(self) -> bool:
        """True if a file of its size lies there; what is in it is not read."""
        size = self.path.stat().st_size if self.path.is_file() else 0
        return size > 0 and (self.version is None or size == self.version[0])

    def proven(self) -> "PublishedFile | None":
        """Return it with its present stat if it lies there with its content, else None."""
        if not self.path.is_file():
            return None
        if version(self.path.stat()) == self.version:
            return self
        found = identify(self.path)
        if found.digest != self.digest:
            return None
        return replace(self, version=version(self.path.stat()))


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in a store, and the digest and size of its content."""

    url: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Publication:
    """A finished film in its place.

    Attributes:
        source: the path of the film that was dubbed.
        original: the path at which that film is kept, if the dubbed one took its place.
        keep_until_s: seconds since 1970; 0: for ever.
        published_s: seconds since 1970.
        stale: what was published before, under another name or mode, and is still to be removed.
    """

    mode: PublishMode
    files: tuple[PublishedFile, ...]
    source: Path
    original: Path | None = None
    keep_until_s: float = 0.0
    published_s: float = 0.0
    objects: tuple[StoredObject, ...] = ()
    stale: tuple[PublishedFile | StoredObject, ...] = ()

    @property
    def is_taken_back(self) -> bool:
        """True if a person took the publication back, and wants none."""
        return self.mode == "none"

    @property
    def places(self) -> tuple[str, ...]:
        """Paths and addresses of all that is published."""
        return (*(str(f.path) for f in self.files), *(o.url for o in self.objects))

    def in_place_of(self, before: "Publication | None") -> "Publication":
        """Return it with what was published before it, elsewhere, as what is to be removed."""
        earlier = (*before.files, *before.objects, *before.stale) if before else ()
        own = {*self.places}
        return replace(self, stale=tuple(each for each in earlier if place_of(each) not in own))


_PUBLICATION = TypeAdapter(Publication)


def read_publication(work: WorkDir) -> Publication | None:
    """Return the publication of a video, or None. Raises `ArtifactError` if it is damaged."""
    path = record_path(work)
    return read_record(path, _PUBLICATION) if path.is_file() else None


def place_of(published: PublishedFile | StoredObject) -> str:
    """Return the path or the address of what was published."""
    return published.url if isinstance(published, StoredObject) else str(published.path)


def followed(publication: Publication) -> Publication:
    """Return a publication under the names that other programs gave its files in their folders.

    A manager that renames its films renames the one that was published in their place.
    """
    files = tuple(_followed(file) for file in publication.files)
    if files == publication.files:
        return publication
    source = files[0].path if publication.mode == "replace" else publication.source
    return replace(publication, files=files, source=source)


def _followed(file: PublishedFile) -> PublishedFile:
    if file.version is None or file.path.exists() or not file.path.parent.is_dir():
        return file
    size, mtime_ns, _, inode = file.version
    for each in file.path.parent.iterdir():
        status = each.lstat()
        if (status.st_size, status.st_mtime_ns, status.st_ino) == (size, mtime_ns, inode):
            return replace(file, path=each)
    return file


def record(work: WorkDir, publication: Publication) -> Publication:
    """Write the record of a publication, and return the publication."""
    write_json(record_path(work), _PUBLICATION.dump_python(publication, mode="json"))
    return publication


def owners(place: str, work_dir: Path) -> Iterable[tuple[str, Publication]]:
    """Yield the videos whose publications name a path or an address, by key."""
    for key in registered(work_dir):
        with suppress(ArtifactError):
            publication = read_publication(WorkDir(work_dir / key))
            if publication and place in publication.places:
                yield key, publication


def gives_way(
    owner: str, publication: Publication, to: Path, work_dir: Path, key: str = ""
) -> bool:
    """Return whether a publication gives its place to another film's.

    It does to a newer result of the same video, to a better release of its film, and where its own
    film has gone; `to` is the path of the film that comes, `key` its video's where it has one.
    """
    is_same = owner == key or publication.source == to
    return is_same or is_superseded(WorkDir(work_dir / owner)) or not publication.source.exists()


def record_path(work: WorkDir) -> Path:
    """Return the path of a video's record."""
    return work.root / "published.json"
