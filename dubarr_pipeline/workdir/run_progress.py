"""Progress of the stage that works at a video, for other processes to see."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.progress import Progress
from dubarr_pipeline.workdir.layout import WorkDir


@dataclass(frozen=True, slots=True)
class RunProgress:
    """A stage and its progress: `done` of `total` units."""

    stage: str
    done: float
    total: float


_PROGRESS = TypeAdapter(RunProgress)


def note_progress(work: WorkDir, stage: str, progress: Progress) -> None:
    """Write how far a stage is; a disk that refuses costs the note alone."""
    noted = json.dumps(asdict(RunProgress(stage, float(progress.done), float(progress.total))))
    part = work.progress.with_suffix(".new")
    with suppress(OSError):
        part.write_text(noted, encoding="ascii")
        part.replace(work.progress)


def forget_progress(work: WorkDir) -> None:
    """Remove the note."""
    with suppress(OSError):
        work.progress.unlink(missing_ok=True)


def read_progress(work: WorkDir) -> RunProgress | None:
    """Return how far the stage is that works at a video; None if none does, as far as is known.

    A process that was killed leaves its last note.
    """
    with suppress(OSError, ValidationError):
        return _PROGRESS.validate_json(work.progress.read_bytes())
    return None
