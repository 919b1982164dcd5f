"""What an engine's child process and its parent tell each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dubarr_pipeline.engines.interfaces import Progress
from dubarr_pipeline.errors import DubbingError


@dataclass(frozen=True, slots=True)
class Call:
    """One request of the parent.

    Attributes:
        method: the worker's method; in the first call ``module:class``, which builds the worker.
        watched: whether the method is handed an ``on_progress``.
    """

    method: str
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    watched: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One part of a result that is made part by part."""

    value: Any


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a call, with what it returned."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Told:
    """How far a call has come."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class Logged:
    """What the worker wrote to its log."""

    logger: str
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An error of ours, taken apart: errors whose constructors want more cannot be pickled."""

    kind: type[DubbingError]
    message: str
    state: Mapping[str, str | int | float | bool | None]

    @classmethod
    def of(cls, error: DubbingError) -> Failed:
        """Take an error apart."""
        plain = {
            name: value
            for name, value in vars(error).items()
            if isinstance(value, str | int | float | bool | None)
        }
        return cls(type(error), str(error), plain)

    def error(self) -> DubbingError:
        """Put the error together again."""
        error = self.kind.__new__(self.kind, self.message)
        error.args = (self.message,)
        vars(error).update(self.state)
        return error


Reply = Item | Done | Told | Logged | Failed
