"""Names under which a dubbing library stands in its Dagster: libraries differ by their prefix."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dubarr_pipeline.defs.stages import CAST, GPU, PUBLISHED, STAGE_NAMES
from dubarr_pipeline.errors import ArtifactError, SettingsError
from dubarr_pipeline.files import read_json, write_json

# Dagster is loaded by who asks for an object of its own: a table of films does without.
if TYPE_CHECKING:
    import dagster as dg

DUB, DUB_FILE, PUBLISH, APPROVE, HOUSEKEEPING = JOBS = (
    "dub",
    "dub_file",
    "publish",
    "approve",
    "housekeeping",
)
_NAME = re.compile(r"[A-Za-z0-9_]+")
"""Form of a name that Dagster takes."""
_FILE = ".names.json"
"""In the work folder; of a library without a prefix there is none."""


@dataclass(frozen=True, slots=True)
class LibraryNames:
    """Names of everything that one library has in its Dagster.

    Attributes:
        prefix: put before the key of every asset, and before all other names.
        partitions: name of the films' partitions; empty: ``videos``, with the prefix before it.
        pool: concurrency pool of the stages that load models.
    """

    prefix: tuple[str, ...] = ()
    partitions: str = ""
    pool: str = GPU

    def __post_init__(self) -> None:
        if wrong := [each for each in (*self.prefix, self.pool) if not _NAME.fullmatch(each)]:
            raise SettingsError(
                f"{wrong[0]!r} is no name for Dagster: use A-Z, a-z, 0-9 and _ in the prefix of "
                "the keys and in the name of the pool"
            )

    def prefixed(self, name: str) -> str:
        """Return the name of a job, op, sensor, resource or group."""
        return "_".join((*self.prefix, name))

    def key(self, asset: str) -> dg.AssetKey:
        """Return an asset's key; Dagster refuses a bare ``context``, hence the word before it."""
        from dagster import AssetKey

        return AssetKey(self._path(asset))

    def stored_key(self, asset: str) -> str:
        """Return an asset's key as the rows of the store have it."""
        return json.dumps(self._path(asset))

    def _path(self, asset: str) -> list[str]:
        return [*self.prefix, "dub", asset]

    def film(self, key: str) -> str:
        """Return the name of a film's lease."""
        return "/".join((*self.prefix, "dub", key))

    def op(self, asset: str) -> str:
        """Return the name of an asset's op, by which a run's config knows it."""
        return self.key(asset).to_python_identifier()

    @property
    def videos(self) -> dg.DynamicPartitionsDefinition:
        from dagster import DynamicPartitionsDefinition

        return DynamicPartitionsDefinition(name=self.partitions or self.prefixed("videos"))

    @property
    def series(self) -> dg.DynamicPartitionsDefinition:
        from dagster import DynamicPartitionsDefinition

        return DynamicPartitionsDefinition(name=self.prefixed("series"))

    @property
    def resource(self) -> str:
        return self.prefixed("dubarr")

    @property
    def group(self) -> str:
        return self.prefixed("dubbing")

    def has(self, run: dg.DagsterRun) -> bool:
        """Return whether a run is this library's; others may share its Dagster, and its films."""
        # Of a run in process the selection is empty.
        if not run.asset_selection:
            return run.job_name in map(self.prefixed, JOBS)
        assets = map(self.key, (*STAGE_NAMES, PUBLISHED, CAST))
        return not run.asset_selection.isdisjoint(assets)


PLAIN = LibraryNames()
"""Those of a library without a prefix."""


def names_of(work_dir: Path) -> LibraryNames:
    """Return the names under which the films of a work folder are recorded.

    Raises:
        ArtifactError: if the file that says so is damaged.
    """
    path = work_dir / _FILE
    if not path.is_file():
        return PLAIN
    kept = read_json(path)
    try:
        return LibraryNames(tuple(kept["prefix"]), kept["partitions"], kept["pool"])
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{path} names no library ({error}): delete it") from error


def keep_names(names: LibraryNames, work_dir: Path) -> None:
    """Have commands and pages find the films of a work folder under these names.

    Raises:
        DiskFull, NotWritable, WorkspaceError: if they cannot be written there.
    """
    with contextlib.suppress(ArtifactError):
        if names_of(work_dir) == names:
            return
    kept = {"prefix": names.prefix, "partitions": names.partitions, "pool": names.pool}
    write_json(work_dir / _FILE, kept)


def stage_of(step_key: str | None) -> str | None:
    """Return the stage of a step, in whichever library; the step itself if it is no stage's."""
    return step_key.rpartition("dub__")[2] if step_key else None
