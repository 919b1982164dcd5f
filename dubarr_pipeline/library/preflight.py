"""Before hours of work: one small real question to every service that will be asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from dubarr_pipeline.engines.registry import KINDS, row
from dubarr_pipeline.errors import MissingRequirement
from dubarr_pipeline.library import crew
from dubarr_pipeline.settings import Settings
from dubarr_pipeline.workdir import whole_file


@runtime_checkable
class Questionable(Protocol):
    """An engine behind a service, which can be asked something small."""

    def try_out(self, targets: Sequence[str]) -> None:
        """Raises `MissingRequirement` with what is wrong and the cure. The engine is loaded."""
        ...


def try_services(settings: Settings, targets: Sequence[str]) -> None:
    """Ask every service one small question; those that take a start of minutes once only.

    A service that we start ourselves is asked when its model or settings are new, or the language:
    what it answered then it will answer again.

    Raises:
        MissingRequirement: one list of all that is wrong, each with its cure.
    """
    faults: list[str] = []
    for kind in KINDS:
        engine = crew.engine(settings, kind)
        if not isinstance(engine, Questionable):
            continue
        wanted = tuple(sorted(targets))
        starts = "logs" in row(kind, engine.name).takes and not _runs_elsewhere(engine)
        answered = _answered(settings, f"{kind} {engine.identity()} {wanted}")
        if starts and answered.is_file():
            continue
        try:
            with engine:
                engine.try_out(wanted)
        except MissingRequirement as error:
            faults.append(f"  {kind} engine {engine.name!r}: {error}")
            continue
        if starts:
            answered.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(answered) as part:
                part.touch()
    if faults:
        raise MissingRequirement("what was asked of the services failed:\n" + "\n".join(faults))


def _runs_elsewhere(engine: object) -> bool:
    """Whether it asks a server that runs already: a question costs nothing there."""
    return getattr(getattr(engine, "options", None), "serve", "") == "url"


def _answered(settings: Settings, facts: str) -> Path:
    """The mark of a question that was answered well."""
    digest = hashlib.sha256(facts.encode()).hexdigest()[:16]
    return settings.work_dir / "logs" / f"tried-{digest}"
