"""The Hugging Face hub on the wire: what a repository holds, and who we are when we ask.

Only the hub itself is ever told the token: neither the hosts that it sends us on to, nor those of
other addresses. ``HF_ENDPOINT`` and ``HF_TOKEN`` mean what they mean to all programs of the hub;
``DUBARR_MIRROR`` is a server that holds copies of plain addresses, as ``{mirror}/{host}/{path}``.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

from dubarr_pipeline.errors import ModelRefused
from dubarr_pipeline.models.manifest import ModelRow
from dubarr_pipeline.models.wire import Wire


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that can be fetched, and what it must be.

    Attributes:
        path: its name within the model's folder.
        url: where it is fetched.
        size: bytes.
        sha256: hex, whole or its first digits; empty where the host does not tell.
        git_sha1: git's own checksum, which the hub tells of small files instead; or empty.
        version: what the host calls this very content (ETag), where it tells no checksum.
    """

    path: str
    url: str
    size: int
    sha256: str = ""
    git_sha1: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a model consists of at one commit; the revision is empty for plain addresses."""

    revision: str
    files: tuple[RemoteFile, ...]


def endpoint() -> str:
    """The hub's address."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_token() -> str:
    """The person's token, from ``HF_TOKEN`` or the usual token file; empty if there is none."""
    given = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN")
    if given:
        return given.strip()
    try:
        return _token_file().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _token_file() -> Path:
    if named := os.environ.get("HF_TOKEN_PATH"):
        return Path(named).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.environ.get("HF_HOME") or cache).expanduser() / "token"


def file_url(repo: str, revision: str, path: str) -> str:
    """Where the hub gives a file of a commit."""
    return f"{endpoint()}/{repo}/resolve/{quote(revision, safe='')}/{quote(path)}"


def mirrored(url: str) -> str:
    """A plain address, or its copy on the mirror."""
    mirror = os.environ.get("DUBARR_MIRROR", "").rstrip("/")
    parts = urlsplit(url)
    return f"{mirror}/{parts.netloc}{parts.path}" if mirror else url


def list_files(row: ModelRow, wire: Wire) -> Listing:
    """Ask what a model consists of now.

    Raises:
        ModelRefused: if there is no such model, or it is not given to us.
        ServiceError: if the host does not answer, or not as it should.
    """
    return _list_repository(row, wire) if row.repo else _list_addresses(row, wire)


def _list_repository(row: ModelRow, wire: Wire) -> Listing:
    base = f"{endpoint()}/api/models/{row.repo}"
    about = wire.ask(f"{base}/revision/{quote(row.revision, safe='')}")
    commit = str(about.get("sha") or row.revision)
    files = tuple(
        _remote(entry, row, commit)
        for entry in wire.ask_pages(f"{base}/tree/{commit}?recursive=true")
        if entry.get("type") == "file" and _is_wanted(str(entry["path"]), row.files)
    )
    _check_complete(row, files)
    return Listing(commit, files)


def _remote(entry: dict[str, object], row: ModelRow, commit: str) -> RemoteFile:
    path = str(entry["path"])
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ModelRefused(f"{row.repo} holds a file outside its folder: {path!r}; not fetched")
    large = entry.get("lfs")
    stated = str(large.get("oid", "")) if isinstance(large, dict) else ""
    size = large.get("size", 0) if isinstance(large, dict) else entry.get("size", 0)
    return RemoteFile(
        path,
        file_url(row.repo, commit, path),
        int(str(size)),
        row.checksum(path) or stated,
        "" if stated else str(entry.get("oid", "")),
    )


def _is_wanted(path: str, patterns: tuple[str, ...]) -> bool:
    hidden = path.startswith(".") or path == "README.md"
    return not hidden and any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _check_complete(row: ModelRow, files: tuple[RemoteFile, ...]) -> None:
    """A repository without a file that the manifest names is not the model we know."""
    found = {file.path for file in files}
    lacking = [name for name in row.files if "*" not in name and name not in found]
    if lacking or not files:
        what = ", ".join(lacking) or "any of the files " + ", ".join(row.files)
        raise ModelRefused(
            f"{row.repo} at {row.revision} lacks {what}: name another model, or write its files "
            "in models.toml"
        )


def _list_addresses(row: ModelRow, wire: Wire) -> Listing:
    return Listing("", tuple(_addresses(row, wire)))


def _addresses(row: ModelRow, wire: Wire) -> Iterator[RemoteFile]:
    for url in row.urls:
        path = PurePosixPath(urlsplit(url).path).name
        size, version = wire.measure(mirrored(url))
        yield RemoteFile(path, mirrored(url), size, row.checksum(path), version=version)
