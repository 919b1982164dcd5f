"""Progress of a stage, as a share of its work."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a stage: `done` of `total` units, and a word on the current one."""

    done: float
    total: float
    note: str = ""


OnProgress = Callable[[Progress], None]
OnSeconds = Callable[[float, float], None]
"""Told the seconds of film that are done, and of how many."""


def ignore_progress(_: Progress) -> None:
    """Ignore the progress."""
