"""A heavy engine in a process of its own: when the process has ended, all its memory is back.

The parent calls methods of a worker that lives in the child; results come back whole or part by
part, and progress, log lines and our errors with them. What the model library prints is kept for
the error message and does not reach the terminal. The child ends with `unload`, with an abandoned
call, and with its parent, however that ends.
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
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from multiprocessing import Pipe
from pathlib import Path
from typing import IO, Any, Self

from dubarr_pipeline.engines.child_messages import (
    Call,
    Done,
    Failed,
    Item,
    Logged,
    Reply,
    Told,
)
from dubarr_pipeline.engines.interfaces import OnProgress, ignore_progress
from dubarr_pipeline.engines.ladder import speaks_of_memory
from dubarr_pipeline.errors import DubbingError, EngineError, OutOfMemory

_log = logging.getLogger(__name__)

_FAREWELL_S = 3.0
"""How long a child that is idle may take to end by itself."""
_SETTLING_S = 0.05
_KEPT_LINES = 200
_QUOTED_CHARACTERS = 1200
_FAULT_HANDLERS_LIST = "Extension modules:"
_WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that wait do not spin: on a shared machine that costs 5 to 10 times the CPU's time."""
_GPUS = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
"""They are counted as `models.devices` counts them."""
_MODULE = "dubarr_pipeline.engines.child_work"


class EngineChild:
    """A worker in a child process; loaded and unloaded like an engine, and a context manager.

    Args:
        name: the engine's, for messages.
        worker: ``module:class`` whose object answers the calls; it is built in the child.
        held: descriptors that the child keeps open as long as it lives, e.g. the lease of a device.
        arguments: what the worker's constructor takes; anything that can be pickled.

    A call that is interrupted (Ctrl-C, a stream that nobody reads on) ends the child: `load` brings
    a fresh one. Calls of several threads wait for each other.
    """

    def __init__(self, name: str, worker: str, held: Sequence[int] = (), **arguments: Any) -> None:
        self.name, self._worker, self._arguments = name, worker, arguments
        self._held = tuple(held)
        self._process: _Process | None = None
        self._turn = threading.Lock()
        self._caller: int | None = None

    def __enter__(self) -> Self:
        self.load()
        return self

    def __exit__(self, *_: object) -> None:
        self.unload()

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is none."""
        return self._process.pid if self._process else None

    def load(self) -> None:
        """Start the child and build the worker in it. Harmless when it runs.

        Raises:
            DubbingError: whatever the worker's constructor raises; the child is gone then.
        """
        if self._process:
            return
        self._process = _Process(self.name, self._held)
        with contextlib.ExitStack() as undo:
            undo.callback(self.kill)
            self._answer(Call(self._worker, options=self._arguments), ignore_progress)
            undo.pop_all()

    def unload(self) -> None:
        """End the child and wait until it is gone. Harmless when nothing runs."""
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
        """Have the worker do something and return its result.

        Args:
            method: the worker's method.
            arguments: passed on; anything that can be pickled.
            on_progress: if given, the method gets an ``on_progress`` that reaches this one.
            options: passed on by name.

        Raises:
            OutOfMemory: if it ran out of memory, or the system killed it.
            DubbingError: our own errors, as they were raised there.
            EngineError: any other error there, with its kind, its words, its place and the log.
        """
        request = Call(method, arguments, options, on_progress is not None)
        return self._answer(request, on_progress or ignore_progress)

    def stream(
        self, method: str, *arguments: Any, on_progress: OnProgress | None = None, **options: Any
    ) -> Iterator[Any]:
        """Have the worker do something, and yield its result part by part.

        The child works at most one part ahead. Leaving before the end ends the child. Arguments
        and errors as in `call`.
        """
        request = Call(method, arguments, options, on_progress is not None)
        yield from self._talk(request, on_progress or ignore_progress)

    def _answer(self, request: Call, tell: OnProgress) -> Any:
        talk = self._talk(request, tell)
        while True:
            try:
                next(talk)
            except StopIteration as end:
                return end.value

    def _talk(self, request: Call, tell: OnProgress) -> Iterator[Any]:
        if self._caller == threading.get_ident():
            raise RuntimeError(f"{self.name} is asked for something inside its own answer")
        with self._turn:
            process = self._process
            if process is None:
                raise EngineError(f"{self.name} is not loaded (or was stopped): load it first")
            self._caller = threading.get_ident()
            try:
                return (yield from process.converse(request, tell))
            except DubbingError:
                if not process.alive:
                    self.kill()
                raise
            # Whatever breaks off a talk (Ctrl-C, a caller who leaves) leaves its answer unread in
            # the channel: this child would answer the next question with it.
            except BaseException:
                self.kill()
                raise
            finally:
                self._caller = None


class _Process:
    """The running child: its channel, its output, its end."""

    def __init__(self, name: str, held: Sequence[int]) -> None:
        self._name = name
        self._stopped = False
        self._oom_kills = _oom_kills()
        self._channel, theirs = Pipe()
        with theirs:
            self._process, self._keeper = _start(theirs.fileno(), held)
        self.pid = self._process.pid
        assert self._process.stdout
        self._output = _Output(name, self._process.stdout)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None and self._keeper.is_alive()

    def converse(self, request: Call, tell: OnProgress) -> Iterator[Any]:
        """Send a request; yield the parts of the answer, and return its end."""
        reply = self._exchange(request)
        while not isinstance(reply, Done):
            match reply:
                case Item(value):
                    yield value
                case Told(progress):
                    tell(progress)
                case Logged(logger, level, text):
                    logging.getLogger(logger).log(level, "%s", text)
                case Failed():
                    raise self._told(reply)
            reply = self._exchange()
        return reply.value

    def _exchange(self, request: Call | None = None) -> Reply:
        """Send the request, if there is one, and wait for the next reply."""
        try:
            if request:
                self._channel.send(request)
            return self._channel.recv()
        except (EOFError, OSError):
            raise self._obituary() from None

    def _told(self, failed: Failed) -> DubbingError:
        error = failed.error()
        if type(error) in (EngineError, OutOfMemory):
            self._output.settle()
            error.args = (f"{self._name}: {error}{self._output.quoted()}",)
        return error

    def _obituary(self) -> EngineError:
        """Why the child is gone."""
        self._keeper.join(_FAREWELL_S)
        self.end(0.0, told=True)
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
        return OutOfMemory(message) if self._output.of_memory() else EngineError(message)

    def end(self, patience_s: float, *, told: bool = False) -> None:
        """Close the channel, which ends an idle child; kill what is still there after that."""
        self._stopped |= not told
        with contextlib.suppress(OSError):
            self._channel.close()
        if patience_s:
            self._keeper.join(patience_s)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._keeper.join()
        self._output.finish()


def _start(
    descriptor: int, held: Sequence[int]
) -> tuple[subprocess.Popen[bytes], threading.Thread]:
    """Start the child from a thread that outlives it.

    The kernel's "when the parent dies" means the thread that started the child; ours may be one of
    a pool that is gone long before the child is.
    """
    started: Future[subprocess.Popen[bytes]] = Future()
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)  # noqa: PTH100 - '' is here

    def keep() -> None:
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
        # The thread that asked would wait for ever: whatever it is is raised there.
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result(process)
        process.wait()

    keeper = threading.Thread(target=keep, name="engine-child", daemon=True)
    keeper.start()
    return started.result(), keeper


class _Output:
    """What the model library prints: every line to our log, the last ones kept for an error."""

    def __init__(self, name: str, stream: IO[bytes]) -> None:
        self._name, self._stream = name, stream
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._read = 0
        self._thread = threading.Thread(target=self._drain, name="engine-output", daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        with self._stream:
            for line in self._stream:
                text = line.decode(errors="replace").rstrip()
                self._lines.append(text)
                self._read += 1
                _log.debug("%s: %s", self._name, text)

    def finish(self) -> None:
        self._thread.join(_FAREWELL_S)

    def settle(self) -> None:
        """Wait until what was printed before now has been read."""
        count = -1
        while count != self._read and self._thread.is_alive():
            count = self._read
            time.sleep(_SETTLING_S)

    def quoted(self) -> str:
        """The last words, to be put behind a message; empty if nothing was said."""
        words = [line for line in self._lines if not line.startswith(_FAULT_HANDLERS_LIST)]
        tail = "\n".join(words).strip()[-_QUOTED_CHARACTERS:]
        return f"; its last words:\n{tail}" if tail else ""

    def of_memory(self) -> bool:
        """Whether it told of a lack of memory."""
        return any(speaks_of_memory(line) for line in self._lines)


def _oom_kills() -> int:
    """How many processes the kernel has killed for want of memory since it started."""
    try:
        text = Path("/proc/vmstat").read_text(encoding="ascii")
    except OSError:
        return 0
    counts = dict(line.split() for line in text.splitlines())
    return int(counts.get("oom_kill", 0))
