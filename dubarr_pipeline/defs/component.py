"""The component `DubbingLibrary`, by which `dg` puts a dubbing library into a project.

`dg` imports this module for every command, so it imports nothing heavy.
"""

from pathlib import Path

import dagster as dg
from dagster.components.component_scaffolding import scaffold_component
from pydantic import BaseModel, Field


class LibraryParams(BaseModel):
    """Options of ``dg scaffold defs``."""

    work_dir: str = Field(description="Folder of the films' work; relative to the project")


class LibraryScaffolder(dg.Scaffolder[LibraryParams]):
    """Writes a `defs.yaml` that is complete."""

    @classmethod
    def get_scaffold_params(cls) -> type[LibraryParams]:
        return LibraryParams

    def scaffold(self, request: dg.ScaffoldRequest[LibraryParams]) -> None:
        scaffold_component(request, {"work_dir": request.params.work_dir})


@dg.scaffold_with(LibraryScaffolder)
class DubbingLibrary(dg.Component, dg.Model, dg.Resolvable):
    """A library that is dubbed: assets, jobs and sensors of dubarr.

    Attributes:
        work_dir: folder of the films' work, relative to the project; None: as the settings say.
        config: file of the settings, relative to the project; None: the user's own.
        key_prefix: put before the key of every asset, and before all names.
        partitions: name of the films' partitions; None: ``videos``, with the prefix before it.
        pool: concurrency pool of the stages that load models.
    """

    work_dir: str | None = None
    config: str | None = None
    key_prefix: list[str] = Field(default_factory=list[str])
    partitions: str | None = None
    pool: str = "gpu"

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        return dg.ComponentTypeSpec(
            description="A film library that dubs itself.", tags=["dubarr", "video"]
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the library's definitions. Raises `SettingsError` for a name that cannot be."""
        from dubarr_pipeline.defs.code_location import build_definitions

        def absolute(path: str | None) -> Path | None:
            return context.project_root / Path(path).expanduser() if path else None

        named = dg.DynamicPartitionsDefinition(name=self.partitions) if self.partitions else None
        return build_definitions(
            work_dir=absolute(self.work_dir),
            config=absolute(self.config),
            key_prefix=self.key_prefix,
            partitions=named,
            pool=self.pool,
        )
