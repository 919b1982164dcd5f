"""Stages that take a stated time more, as if their models worked elsewhere; for Celery's workers.

Import it in a worker (`-I`). ``$DUBARR_WAITING`` names a table in JSON: `seconds` by stage, and
`log`, a file that gets a line for every begin and end of a stage's work.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline.defs.runtime.stage_run import Outcome, StageContext
from dubarr_pipeline.defs.stages import STAGES, Stage

VARIABLE = "DUBARR_WAITING"


@dataclass(frozen=True)
class WorkedStage:
    """One time that a stage's work began, and ended unless it was lost; seconds since 1970."""

    key: str
    stage: str
    pid: int
    began_s: float
    ended_s: float | None


def make_wait(stage: Stage, seconds: float, log: Path) -> None:
    """Have a stage wait before it works, and note when."""
    make = stage.module.make

    def waiting(context: StageContext) -> Outcome:
        _note(log, "began", context)
        time.sleep(seconds)
        outcome = make(context)
        _note(log, "ended", context)
        return outcome

    stage.module.make = waiting


def worked(log: Path) -> list[WorkedStage]:
    """Return what a log says, in the order of the begins."""
    found: dict[tuple[str, str, int], list[WorkedStage]] = {}
    for line in log.read_text().splitlines() if log.exists() else ():
        what, at, pid, key, stage = line.split()
        times = found.setdefault((key, stage, int(pid)), [])
        if what == "began":
            times.append(WorkedStage(key, stage, int(pid), float(at), None))
        else:
            times[-1] = WorkedStage(key, stage, int(pid), times[-1].began_s, float(at))
    return sorted((each for times in found.values() for each in times), key=lambda w: w.began_s)


def _note(log: Path, what: str, context: StageContext) -> None:
    line = f"{what} {time.time():.3f} {os.getpid()} {context.video.key} {context.stage.name}\n"
    with log.open("a") as out:
        out.write(line)


if VARIABLE in os.environ:
    _table = json.loads(os.environ[VARIABLE])
    for _stage in STAGES:
        make_wait(_stage, _table["seconds"].get(_stage.name, 0.0), Path(_table["log"]))
