"""Heavy engines in a child process, with an out-of-memory fallback."""

import contextlib
import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from dubarr_pipeline.compute.child_process import EngineChild
from dubarr_pipeline.compute.devices import lease_device
from dubarr_pipeline.compute.oom_fallback import EngineConfiguration, OomFallback, StepDown
from dubarr_pipeline.engines.interfaces import Engine
from dubarr_pipeline.engines.requirements import require
from dubarr_pipeline.errors import EngineError
from dubarr_pipeline.progress import OnProgress, Progress

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class LadderedEngine(Engine):
    """An engine whose model works in a child process, on a device of its own.

    Where memory runs out, the child is ended and started again at a lower step.
    """

    worker: ClassVar[str]
    """``module:class`` that works in the child."""
    uses_torch: ClassVar[bool] = True
    """True if the model runs in PyTorch."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._leases = contextlib.ExitStack()
        self._held: tuple[int, ...] = ()
        self._ladder: OomFallback | None = None
        self._child: EngineChild | None = None
        self._standing: dict[str, Any] | None = None

    @abstractmethod
    def _rungs(self, device: str) -> Sequence[EngineConfiguration]:
        """Return the configurations for the device that was taken, from the best down."""

    @abstractmethod
    def _arguments(self, configuration: EngineConfiguration) -> Mapping[str, Any]:
        """Return the arguments of the worker's constructor for a configuration."""

    @property
    def steps(self) -> tuple[StepDown, ...]:
        """Steps down for want of memory since `load`."""
        return tuple(self._ladder.steps) if self._ladder else ()

    def load(self) -> None:
        require(self)
        if self._ladder:
            return
        with contextlib.ExitStack() as undo:
            undo.callback(self.unload)
            lease = self._leases.enter_context(
                lease_device(
                    self._device, torch=self.uses_torch, on_wait=lambda text: _log.info("%s", text)
                )
            )
            self._held = lease.held
            self._ladder = OomFallback(self.name, self._rungs(lease.device))
            self._ladder.run(self._stand)
            undo.pop_all()

    def unload(self) -> None:
        self._end()
        self._ladder = None
        self._leases.close()

    def _call(self, method: str, *arguments: Any, on_progress: OnProgress | None = None) -> Any:
        """Call the worker, again at lower steps while memory runs out; errors as in `_run`."""
        return self._run(lambda child, _: child.call(method, *arguments, on_progress=on_progress))

    def _run(self, work: Callable[[EngineChild, EngineConfiguration], _Result]) -> _Result:
        """Do work with the child, again at lower steps while memory runs out.

        Raises:
            EngineError: if it is not loaded, or fails.
            OutOfMemory: if the lowest step does not fit either.
        """
        if self._ladder is None:
            raise EngineError(f"{self.name} is not loaded: use it inside `with`")

        def attempt(configuration: EngineConfiguration) -> _Result:
            child = self._stand(configuration)
            with contextlib.ExitStack() as undo:
                # Only the end of the process surely releases its memory.
                undo.callback(self._end)
                answer = work(child, configuration)
                undo.pop_all()
            return answer

        return self._ladder.run(attempt)

    def _stand(self, configuration: EngineConfiguration) -> EngineChild:
        arguments = dict(self._arguments(configuration))
        if self._child is None or self._child.pid is None or self._standing != arguments:
            self._end()
            child = EngineChild(self.name, self.worker, self._held, **arguments)
            child.load()
            self._child, self._standing = child, arguments
        return self._child

    def _end(self) -> None:
        child, self._child, self._standing = self._child, None, None
        if child:
            child.unload()


def never_back(on_progress: OnProgress) -> OnProgress:
    """Return a callback whose progress never goes back, even if a part of the work is repeated."""
    furthest = 0.0

    def tell(progress: Progress) -> None:
        nonlocal furthest
        share = progress.done / progress.total if progress.total else 0.0
        furthest = max(furthest, share)
        done = progress.total * furthest if share < furthest else progress.done
        on_progress(Progress(done, progress.total, progress.note))

    return tell
