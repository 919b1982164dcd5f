"""A heavy engine in its child process, on the highest rung of its ladder that memory carries."""

from __future__ import annotations

import contextlib
import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from dubarr_pipeline.engines.child import EngineChild
from dubarr_pipeline.engines.interfaces import Engine, OnProgress, Progress
from dubarr_pipeline.engines.ladder import Footing, Ladder, StepDown
from dubarr_pipeline.engines.needs import require
from dubarr_pipeline.errors import EngineError
from dubarr_pipeline.models.devices import lease_device

_log = logging.getLogger(__name__)


class LadderedChild:
    """The child of an engine: loaded on a device of its own, and anew on a lower rung when needed.

    Args:
        name: the engine's, for messages.
        worker: ``module:class`` that works in the child.
        arguments: what the worker's constructor takes on a rung.
    """

    def __init__(
        self, name: str, worker: str, arguments: Callable[[Footing], Mapping[str, Any]]
    ) -> None:
        self._name, self._worker, self._arguments = name, worker, arguments
        self._leases = contextlib.ExitStack()
        self._held: tuple[int, ...] = ()
        self._ladder: Ladder | None = None
        self._child: EngineChild | None = None
        self._standing: Footing | None = None

    @property
    def steps(self) -> tuple[StepDown, ...]:
        """The steps down since `load`."""
        return tuple(self._ladder.steps) if self._ladder else ()

    def load(
        self, asked: str, rungs: Callable[[str], Sequence[Footing]], *, torch: bool = True
    ) -> None:
        """Take a device and start the child on the first rung that it can be loaded on.

        Args:
            asked: the device of the settings.
            rungs: the ladder for the device that was taken.
            torch: whether the model runs in PyTorch.
        """
        if self._ladder:
            return
        with contextlib.ExitStack() as undo:
            undo.callback(self.unload)
            lease = self._leases.enter_context(
                lease_device(asked, torch=torch, on_wait=lambda text: _log.info("%s", text))
            )
            self._held = lease.held
            self._ladder = Ladder(self._name, rungs(lease.device))
            self._ladder.run(self._stand)
            undo.pop_all()

    def unload(self) -> None:
        """End the child and give the device back. Harmless when nothing is loaded."""
        self._end()
        self._ladder = None
        self._leases.close()

    def call(self, method: str, *arguments: Any, on_progress: OnProgress | None = None) -> Any:
        """Have the worker do something; again on lower rungs while memory runs out.

        Raises:
            EngineError: if it is not loaded, or fails.
            OutOfMemory: if it does not fit on the lowest rung either.
        """
        if self._ladder is None:
            raise EngineError(f"{self._name} is not loaded: use it inside `with`")

        def work(footing: Footing) -> Any:
            child = self._stand(footing)
            with contextlib.ExitStack() as undo:
                # What it has taken is surely given back only by its end.
                undo.callback(self._end)
                answer = child.call(method, *arguments, on_progress=on_progress)
                undo.pop_all()
            return answer

        return self._ladder.run(work)

    def _stand(self, footing: Footing) -> EngineChild:
        if self._child is None or self._child.pid is None or self._standing != footing:
            self._end()
            child = EngineChild(
                self._name, self._worker, self._held, **dict(self._arguments(footing))
            )
            child.load()
            self._child, self._standing = child, footing
        return self._child

    def _end(self) -> None:
        child, self._child, self._standing = self._child, None, None
        if child:
            child.unload()


class LadderedEngine(Engine):
    """An engine whose model works in a `LadderedChild`.

    Args:
        device: of the settings.
    """

    worker: ClassVar[str]
    """``module:class`` that works in the child."""
    uses_torch: ClassVar[bool] = True
    """Whether the model runs in PyTorch."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._child = LadderedChild(self.name, self.worker, self._arguments)

    @abstractmethod
    def _rungs(self, device: str) -> Sequence[Footing]:
        """The ladder for the device that was taken."""

    @abstractmethod
    def _arguments(self, footing: Footing) -> Mapping[str, object]:
        """What the worker's constructor takes on a rung."""

    def load(self) -> None:
        """Start the engine's process and load the model. Raises `MissingRequirement`."""
        require(self)
        self._child.load(self._device, self._rungs, torch=self.uses_torch)

    def unload(self) -> None:
        """End the engine's process, and with it all that it holds."""
        self._child.unload()

    @property
    def steps(self) -> tuple[StepDown, ...]:
        """Where memory did not suffice."""
        return self._child.steps


def never_back(on_progress: OnProgress) -> OnProgress:
    """Tell progress that never goes back, also where a part of the work is done again."""
    furthest = 0.0

    def tell(progress: Progress) -> None:
        nonlocal furthest
        share = progress.done / progress.total if progress.total else 0.0
        furthest = max(furthest, share)
        done = progress.total * furthest if share < furthest else progress.done
        on_progress(Progress(done, progress.total, progress.note))

    return tell
