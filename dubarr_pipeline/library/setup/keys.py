"""Keys of other servers, kept beside the films in a file that only its owner reads.

A key is in no settings file, no log and no message.
"""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import keep_secret, named_disk_errors, read_json, write_json
from dubarr_pipeline.library.setup.servers import Kind


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server that set-up was told of.

    Attributes:
        told: digest of the webhook that it was given; empty: none.
    """

    kind: Kind
    url: str
    key: str = field(repr=False)
    told: str = ""


def _file(work_dir: Path) -> Path:
    return work_dir / ".servers.json"


def known_servers(work_dir: Path) -> list[KnownServer]:
    """Return the servers, in the order in which they were named; none if the file is damaged."""
    path = _file(work_dir)
    if not path.is_file():
        return []
    keep_secret(path)
    try:
        listed: list[dict[str, Any]] = read_json(path)["servers"]
        return [KnownServer(**each) for each in listed]
    except (ArtifactError, KeyError, TypeError):
        return []


def keep_server(server: KnownServer, work_dir: Path) -> None:
    """Keep a server in the place of what was known of its address. Raises `NotWritable`."""
    known = known_servers(work_dir)
    if server in known:
        return
    at = [each.url for each in known]
    if server.url in at:
        known[at.index(server.url)] = server
    else:
        known.append(server)
    path = _file(work_dir)
    with named_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"kind": s.kind, "url": s.url, "key": s.key, "told": s.told} for s in known]
        write_json(path, {"servers": rows}, mode=0o600)


def kept_key(url: str, work_dir: Path) -> str:
    """Return the key that is kept for an address, or empty."""
    return next((each.key for each in known_servers(work_dir) if each.url == url), "")


def with_webhook(server: KnownServer, address: str, token: str) -> KnownServer:
    """Return a server that was told to send its news to an address with this token."""
    facts = f"{server.url}\0{address}\0{token}".encode()
    return replace(server, told=hashlib.blake2b(facts, digest_size=16).hexdigest())
