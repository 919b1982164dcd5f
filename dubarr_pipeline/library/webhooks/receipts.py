"""Receipts of requests that came by REST: what became of each, also before it has a video."""

import hashlib
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import write_json
from dubarr_pipeline.library.dub_requests import DubRequest
from dubarr_pipeline.library.housekeeping import RECEIPTS
from dubarr_pipeline.library.videos import read_record

_NAME = re.compile(r"request-[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Receipt:
    """State of one request.

    Attributes:
        state: ``REQUESTED``: it is in the inbox. ``REFUSED``: it leads to nothing.
            ``ACCEPTED``: it led to a video.
        video: its key, once it is accepted.
        cause: why it is refused, or what it waits for.
    """

    request: DubRequest
    state: Literal["REQUESTED", "REFUSED", "ACCEPTED"] = "REQUESTED"
    video: str = ""
    cause: str = ""

    @property
    def name(self) -> str:
        """Name that stands for the video until there is one; equal requests share it."""
        facts = repr(self.request).encode("utf-8", "surrogatepass")
        return f"request-{hashlib.blake2b(facts, digest_size=8).hexdigest()}"


_RECEIPT = TypeAdapter(Receipt)


def write_receipt(receipt: Receipt, work_dir: Path) -> None:
    """Write a receipt, unless it says the same already."""
    if read_receipt(receipt.name, work_dir) != receipt:
        write_json(_path(receipt.name, work_dir), asdict(receipt))


def read_receipt(name: str, work_dir: Path) -> Receipt | None:
    """Return a receipt by its name, or None if there is none."""
    path = _path(name, work_dir)
    if not (_NAME.fullmatch(name) and path.is_file()):
        return None
    try:
        return read_record(path, _RECEIPT)
    except ArtifactError:
        return None


def _path(name: str, work_dir: Path) -> Path:
    return work_dir / RECEIPTS / f"{name}.json"
