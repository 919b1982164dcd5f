"""The table of stages (``stages.toml``), in the order in which a video passes them.

The assets, the jobs, the plan, the task table and the run queue's GPU rule all derive from it. The
code of a stage is the module of its name in `defs.assets`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from dubarr_pipeline.engines.registry import PROFILES, Kind
from dubarr_pipeline.text.tables import read_table

if TYPE_CHECKING:
    from dubarr_pipeline.defs.runtime.stage_run import Outcome, StageContext

PUBLISHED = "published"
"""Name of the asset after the last stage: the film in its place. Its code is `defs.publishing`."""
CAST = "cast"
"""Name of the asset of what is known of a series' people. Its code is `defs.series_cast`."""
GPU = "gpu"
"""Pool of the stages that load models, and that hold the device when an engine uses one."""


_BADGE = re.compile(r"[A-Za-z0-9_.-]{1,63}")
"""Form of a badge that Dagster takes; engines of other packages may have any name."""


class StageModule(Protocol):
    """Code of a stage, as plain functions around Dagster."""

    def facts(self, context: StageContext) -> Mapping[str, Any]:
        """Return what the result depends on besides its inputs; options as their dataclasses."""
        ...

    def make(self, context: StageContext) -> Outcome:
        """Do the work; the docstring describes the asset."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """A row of the table.

    Attributes:
        name: short name of its asset, and its module in `defs.assets`.
        kinds: badges that the UI shows in any case.
        pool: `GPU`, or None if it loads no model.
        version: raised whenever its code would make another result.
        checks: asset checks of its product, described in a sentence; `defs.assets.checks` runs
            them. Stages that load models have the memory check as well.
        engines: kinds of the engines that it uses, with the badge of the embedded profile's engine;
            any other engine's badge is its name.
        memories: assets of series that it reads and adds to by itself, under their locks; a series
            is no video, so no result of theirs is an input.
    """

    name: str
    inputs: tuple[str, ...]
    kinds: frozenset[str] = frozenset()
    pool: str | None = None
    version: str = "1"
    checks: Mapping[str, str] = field(default_factory=dict[str, str])
    engines: Mapping[str, str] = field(default_factory=dict[str, str])
    memories: tuple[str, ...] = ()

    def badges(self, engines: Mapping[Kind, str]) -> frozenset[str]:
        """Return the badges that the UI shows where these engines are chosen, by kind."""
        chosen, own = (cast("Mapping[str, str]", each) for each in (engines, PROFILES["lite"]))
        used = [b if chosen[k] == own[k] else chosen[k] for k, b in self.engines.items()]
        return self.kinds | {each for each in used if _BADGE.fullmatch(each)}

    @property
    def module(self) -> StageModule:
        """Its code, imported late: the task table and the queue need none of it."""
        return cast("StageModule", import_module(f"dubarr_pipeline.defs.assets.{self.name}"))


def _stage(name: str, row: Mapping[str, Any]) -> Stage:
    sets = {"inputs": tuple(row["inputs"]), "kinds": frozenset(row.get("kinds", ()))}
    sets["memories"] = tuple(row.get("memories", ()))
    return Stage(name, **{**row, **sets})


STAGES: tuple[Stage, ...] = (*(_stage(*row) for row in read_table(__package__, "stages").items()),)
_INPUTS = {stage.name: frozenset(stage.inputs) for stage in STAGES}


def direct_inputs(stage: Stage) -> tuple[str, ...]:
    """Return the inputs that no other input has already: the graph's edges that matter."""
    implied = {name for each in stage.inputs for name in _INPUTS[each]}
    return tuple(name for name in stage.inputs if name not in implied)


STAGE_NAMES = tuple(stage.name for stage in STAGES)
GPU_STAGES = frozenset(stage.name for stage in STAGES if stage.pool == GPU)
