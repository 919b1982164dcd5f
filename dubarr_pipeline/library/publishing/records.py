"""Publications: their options, and their record ``published.json`` in a video's work folder."""

from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from dubarr_pipeline.config.libraries import PublishMode
from dubarr_pipeline.files import write_json
from dubarr_pipeline.library.videos import read_record
from dubarr_pipeline.workdir.layout import WorkDir


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file in its place, and the digest of its content."""

    path: Path
    digest: str


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
    """

    mode: PublishMode
    files: tuple[PublishedFile, ...]
    source: Path
    original: Path | None = None
    keep_until_s: float = 0.0
    published_s: float = 0.0
    objects: tuple[StoredObject, ...] = ()


_PUBLICATION = TypeAdapter(Publication)


def read_publication(work: WorkDir) -> Publication | None:
    """Return the publication of a video, or None. Raises `ArtifactError` if it is damaged."""
    path = record_path(work)
    return read_record(path, _PUBLICATION) if path.is_file() else None


def record(work: WorkDir, publication: Publication) -> Publication:
    """Write the record of a publication, and return the publication."""
    original = publication.original and str(publication.original)
    document = {**asdict(publication), "source": str(publication.source), "original": original}
    document["files"] = [{"path": str(f.path), "digest": f.digest} for f in publication.files]
    write_json(record_path(work), document)
    return publication


def record_path(work: WorkDir) -> Path:
    """Return the path of a video's record."""
    return work.root / "published.json"
