"""What was put where: ``published.json`` in a video's work folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.workdir import WorkDir, read_json, write_json

Mode = Literal["none", "beside", "sidecar", "tree", "replace"]


@dataclass(frozen=True, slots=True)
class Placed:
    """A file that we put somewhere, and the digest of its content."""

    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What we put into an object store, with the digest and size of its content."""

    url: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Publication:
    """What was put where.

    Attributes:
        mode: as in `PublishOptions`.
        files: what lies there now.
        source: the path of the film that was dubbed.
        original: where it is kept, if the dubbed one took its place.
        keep_until_s: seconds since 1970; 0: for ever.
        published_s: seconds since 1970.
        objects: what lies in an object store.
    """

    mode: Mode
    files: tuple[Placed, ...]
    source: Path
    original: Path | None = None
    keep_until_s: float = 0.0
    published_s: float = 0.0
    objects: tuple[StoredObject, ...] = ()


_PUBLICATION = TypeAdapter(Publication)


def read_publication(work: WorkDir) -> Publication | None:
    """What was published of a video, or None.

    Raises:
        ArtifactError: if the record is damaged.
    """
    path = record_path(work)
    if not path.is_file():
        return None
    try:
        document = {k: v for k, v in read_json(path).items() if k != "schema"}
        return _PUBLICATION.validate_python(document)
    except ValidationError as error:
        raise ArtifactError(f"{path} is damaged: {error.errors()[0]['msg']}") from error


def record(work: WorkDir, found: Publication) -> Publication:
    """Remember what was published of a video."""
    write_json(record_path(work), _document(found))
    return found


def record_path(work: WorkDir) -> Path:
    """Where that is written."""
    return work.root / "published.json"


def _document(found: Publication) -> dict[str, Any]:
    document = asdict(found)
    document["source"], document["original"] = (
        str(found.source),
        found.original and str(found.original),
    )
    document["files"] = [{"path": str(p.path), "digest": p.digest} for p in found.files]
    return document
