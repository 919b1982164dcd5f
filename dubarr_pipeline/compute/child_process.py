"""Child process of a heavy engine: when it has ended, all its memory is free.

The parent calls methods of a worker that lives in the child; results come back whole or part by
part, and progress, log lines and our errors with them. The model library's output is kept for the
error message and does not reach the terminal. The child ends with `unload`, with an abandoned call,
and with its parent, however that ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing import Pipe
from pathlib import Path
from typing import IO, Any, Self

from dubarr_pipeline.compute.oom_fallback import speaks_of_memory
from dubarr_pipeline.errors import DubbingError, EngineError, OutOfMemory
from dubarr_pipeline.progress import OnProgress, Progress, ignore_progress

_log = logging.getLogger(__name__)

_FAREWELL_S = 3.0
"""Longest wait for an idle child to end by itself."""
_SETTLING_S = 0.05
_KEPT_LINES = 200
_QUOTED_CHARACTERS = 1200
_FAULT_HANDLERS_LIST = "Extension modules:"
_WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Keeps waiting threads from spinning, which takes 5 to 10 times the CPU time on a busy machine."""
_GPUS = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
"""Numbers the GPUs as `compute.devices` does."""
_MODULE = "dubarr_pipeline.compute.child_worker"


@dataclass(frozen=True, slots=True)
class Call:
    """Request of the parent.

    Attributes:
        method: the worker's method; in the first call ``module:class``, which builds the worker.
        watched: True if the method takes an ``on_progress``.
    """

    method: str
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    watched: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """Part of a result that is made part by part."""

    value: Any


@dataclass(frozen=True, slots=True)
class Done:
    """End of a call, with its result."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Reported:
    """Progress of a call."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class Logged:
    """Record of the worker's log."""

    logger: str
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Error of ours in parts: those whose constructors take more cannot be pickled."""

    kind: type[DubbingError]
    message: str
    state: Mapping[str, str | int | float | bool | None]

    @classmethod
    def of(cls, error: DubbingError) -> Failed:
        """Return the parts of an error."""
        plain = {
            name: value
            for name, value in vars(error).items()
            if isinstance(value, str | int | float | bool | None)
        }
        return cls(type(error), str(error), plain)

    def error(self) -> DubbingError:
        """Return the error, assembled from its parts."""
        error = self.kind.__new__(self.kind, self.message)
        error.args = (self.message,)
        vars(error).update(self.state)
        return error


Reply = Item | Done | Reported | Logged | Failed


class EngineChild:
    """Worker in a child process; loaded and unloaded like an engine, and a context manager.

    An interrupted call (Ctrl-C, a stream that is not read to its end) ends the child: `load` starts
    a new one. Calls of several threads wait for each other.

    Args:
        name: for messages.
        worker: ``module:class`` that is built in the child and answers the calls.
        held: descriptors that the child keeps open as long as it lives, e.g. the lease of a device.
        arguments: of the worker's constructor; anything that can be pickled.
    """

    def __init__(self, name: str, worker: str, held: Sequence[int] = (), **arguments: Any) -> None:
        self.name, self._worker, self._arguments = name, worker, arguments
        self._held = tuple(held)
        self._process: _RunningChild | None = None
        self._turn = threading.Lock()
        self._caller: int | None = None

    def __enter__(self) -> Self:
        self.load()
        return self

    def __exit__(self, *_: object) -> None:
        self.unload()

    @property
    def pid(self) -> int | None:
        """Process id of the child; None while there is none."""
        return self._process.pid if self._process else None

    def load(self) -> None:
        """Start the child and build the worker in it; an error of its constructor ends it."""
        if self._process:
            return
        self._process = _RunningChild(self.name, self._held)
        with contextlib.ExitStack() as undo:
            undo.callback(self.kill)
            self._answer(Call(self._worker, options=self._arguments), ignore_progress)
            undo.pop_all()

    def unload(self) -> None:
        """End the child and wait until it is gone, if there is one."""
        process, self._process = self._process, None
        if process:
            process.end(_FAREWELL_S if self._caller is None else 0.0)

    def kill(self) -> None:
        """End the child at once, with every process that it has started."""
        process, self._process = self._process, None
        if process:
            process.end(0.0)

    def call(
        self, method: str, *arguments: Any, on_progress: OnProgress | None = None, **options: Any
    ) -> Any:
        """Call a method of the worker and return its result; all arguments can be pickled.

        `on_progress`, if given, is passed on to the method.

        Raises:
            OutOfMemory: if it ran out of memory, or the system killed it.
            DubbingError: our own errors, as they were raised there.
            EngineError: any other error there, with its type, message, place and output.
        """
        request = Call(method, arguments, options, on_progress is not None)
        return self._answer(request, on_progress or ignore_progress)

    def stream(
        self, method: str, *arguments: Any, on_progress: OnProgress | None = None, **options: Any
    ) -> Iterator[Any]:
        """Call a method of the worker, and yield its result part by part.

        The child works at most one part ahead. Leaving before the end ends the child. Arguments
        and errors as in `call`.
        """
        request = Call(method, arguments, options, on_progress is not None)
        yield from self._talk(request, on_progress or ignore_progress)

    def _answer(self, request: Call, report: OnProgress) -> Any:
        talk = self._talk(request, report)
        while True:
            try:
                next(talk)
            except StopIteration as end:
                return end.value

    def _talk(self, request: Call, report: OnProgress) -> Iterator[Any]:
        if self._caller == threading.get_ident():
            raise RuntimeError(f"{self.name} is called inside its own answer")
        with self._turn:
            process = self._process
            if process is None:
                raise EngineError(f"{self.name} is not loaded (or was stopped): load it first")
            self._caller = threading.get_ident()
            try:
                return (yield from process.converse(request, report))
            except DubbingError:
                if not process.alive:
                    self.kill()
                raise
            # An interrupted call (Ctrl-C, a caller who leaves) leaves its answer unread in the
            # channel: this child would answer the next call with it.
            except BaseException:
                self.kill()
                raise
            finally:
                self._caller = None


class _RunningChild:
    """A running child: its channel, its output, its end."""

    def __init__(self, name: str, held: Sequence[int]) -> None:
        self._name = name
        self._stopped = False
        self._oom_kills = _oom_kills()
        self._channel, theirs = Pipe()
        with theirs:
            self._process, self._waiter = _start(theirs.fileno(), held)
        self.pid = self._process.pid
        assert self._process.stdout
        self._output = _Output(name, self._process.stdout)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None and self._waiter.is_alive()

    def converse(self, request: Call, report: OnProgress) -> Iterator[Any]:
        """Send a request; yield the parts of the answer, and return its end."""
        reply = self._exchange(request)
        while not isinstance(reply, Done):
            match reply:
                case Item(value):
                    yield value
                case Reported(progress):
                    report(progress)
                case Logged(logger, level, text):
                    logging.getLogger(logger).log(level, "%s", text)
                case Failed():
                    error = reply.error()
                    if type(error) in (EngineError, OutOfMemory):
                        self._output.settle()
                        error.args = (f"{self._name}: {error}{self._output.quoted()}",)
                    raise error
            reply = self._exchange()
        return reply.value

    def _exchange(self, request: Call | None = None) -> Reply:
        """Send the request, if there is one, and wait for the next reply."""
        try:
            if request:
                self._channel.send(request)
            return self._channel.recv()
        except (EOFError, OSError):
            raise self._cause_of_death() from None

    def _cause_of_death(self) -> EngineError:
        """Return the error that says why the child is gone."""
        self._waiter.join(_FAREWELL_S)
        self.end(0.0, wanted=False)
        status = self._process.returncode
        quoted = self._output.quoted()
        if self._stopped:
            return EngineError(f"{self._name} was stopped in the middle of its work")
        if status == -signal.SIGKILL:
            sure = _oom_kills() > self._oom_kills
            why = "by the system, which had no memory left" if sure else "(signal 9: no memory?)"
            return OutOfMemory(f"{self._name}: its process was killed {why}{quoted}")
        how = signal.Signals(-status).name if status and status < 0 else f"exit {status}"
        message = f"{self._name}: its process ended unexpectedly ({how}){quoted}"
        memory = any(speaks_of_memory(line) for line in self._output.lines)
        return OutOfMemory(message) if memory else EngineError(message)

    def end(self, grace_s: float, *, wanted: bool = True) -> None:
        """Close the channel, which ends an idle child; kill what is still there after that."""
        self._stopped |= wanted
        with contextlib.suppress(OSError):
            self._channel.close()
        if grace_s:
            self._waiter.join(grace_s)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._waiter.join()
        self._output.finish()


def _module_path() -> str:
    """Return where a child finds the modules that this process finds."""
    return os.pathsep.join(os.path.abspath(entry) for entry in sys.path)  # noqa: PTH100 - '' is here


def _start(
    descriptor: int, held: Sequence[int]
) -> tuple[subprocess.Popen[bytes], threading.Thread]:
    """Start the child from a thread that outlives it, and return both.

    The kernel's "parent dies" signal is tied to the thread that started the child; the caller may
    be a thread of a pool, which ends long before the child.
    """
    started: Future[subprocess.Popen[bytes]] = Future()
    path = _module_path()

    def start_and_wait() -> None:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULE, str(descriptor), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(descriptor, *held),
                env={**_WAITING, **os.environ, "PYTHONPATH": path, **_GPUS},
                start_new_session=True,
            )
        # The calling thread would wait for ever: it raises whatever went wrong.
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result(process)
        process.wait()

    waiter = threading.Thread(target=start_and_wait, name="engine-child", daemon=True)
    waiter.start()
    return started.result(), waiter


class _Output:
    """Output of the model library: every line goes to our log, the last ones into an error."""

    def __init__(self, name: str, stream: IO[bytes]) -> None:
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._read = 0

        def drain() -> None:
            with stream:
                for line in stream:
                    text = line.decode(errors="replace").rstrip()
                    self.lines.append(text)
                    self._read += 1
                    _log.debug("%s: %s", name, text)

        self._thread = threading.Thread(target=drain, name="engine-output", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        self._thread.join(_FAREWELL_S)

    def settle(self) -> None:
        """Wait until what was printed before now has been read."""
        count = -1
        while count != self._read and self._thread.is_alive():
            count = self._read
            time.sleep(_SETTLING_S)

    def quoted(self) -> str:
        """Return the last lines, to be appended to a message; empty if there are none."""
        words = [line for line in self.lines if not line.startswith(_FAULT_HANDLERS_LIST)]
        tail = "\n".join(words).strip()[-_QUOTED_CHARACTERS:]
        return f"; its last words:\n{tail}" if tail else ""


def _oom_kills() -> int:
    """Return the number of processes that the kernel has killed for lack of memory since boot."""
    try:
        text = Path("/proc/vmstat").read_text(encoding="ascii")
    except OSError:
        return 0
    counts = dict(line.split() for line in text.splitlines())
    return int(counts.get("oom_kill", 0))
