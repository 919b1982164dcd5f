"""Child side of an engine's process: build the worker, answer calls, end with the parent.

Started by `child_process.EngineChild` as ``python -m dubarr_pipeline.compute.child_worker``; its
standard output and error belong to the model library.
"""

import ctypes
import faulthandler
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from dubarr_pipeline.compute.child_process import Call, Done, Failed, Item, Logged, Reply, Reported
from dubarr_pipeline.compute.oom_fallback import is_out_of_memory
from dubarr_pipeline.errors import DubbingError, EngineError, OutOfMemory
from dubarr_pipeline.progress import Progress

_OURS = "dubarr_pipeline"
_PR_SET_PDEATHSIG = 1


def main(descriptor: int, parent: int) -> None:
    """Serve the parent at the other end of the channel until the parent closes it."""
    if sys.platform == "linux":
        # The kernel kills this process when the parent ends, however it ends.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have ended before the call.
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    channel = _Channel(descriptor)
    logger = logging.getLogger(_OURS)
    logger.addHandler(_ToParent(channel))
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        _serve(channel)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Not a normal exit: a model library's shutdown can take seconds, or hang.
        os._exit(0)


class _Channel:
    """Channel to the parent, for all threads of the worker."""

    def __init__(self, descriptor: int) -> None:
        self._connection = Connection(descriptor)
        self._turn = threading.Lock()

    def recv(self) -> Call:
        return self._connection.recv()

    def send(self, reply: Reply) -> None:
        with self._turn:
            self._connection.send(reply)


def _serve(channel: _Channel) -> None:
    worker: object = None
    while True:
        try:
            call = channel.recv()
        except (EOFError, ConnectionError):
            return
        # An argument that cannot be read here: unpickling it may raise anything.
        except Exception as error:
            channel.send(Failed.of(_named(error, channel)))
            continue
        try:
            result = _perform(worker, call, channel)
            if worker is None:
                worker, result = result, None
            channel.send(Done(result))
        except (BrokenPipeError, ConnectionError):
            return
        # Whatever a model library raises is the answer, and the parent raises it; also SystemExit,
        # by which some report a wrong folder.
        except BaseException as error:
            channel.send(Failed.of(_named(error, channel)))


def _perform(worker: object, call: Call, channel: _Channel) -> Any:
    options = dict(call.options)
    if call.watched:

        def report(progress: Progress) -> None:
            channel.send(Reported(progress))

        options["on_progress"] = report
    if worker is None:
        module, _, name = call.method.partition(":")
        return getattr(import_module(module), name)(*call.arguments, **options)
    result = getattr(worker, call.method)(*call.arguments, **options)
    if not isinstance(result, Iterator):
        return result
    for value in result:
        channel.send(Item(value))
    return None


def _named(error: BaseException, channel: _Channel) -> DubbingError:
    """Return our own errors as they are, a library's with its type, message and place."""
    if isinstance(error, DubbingError):
        return error
    frames = "".join(traceback.format_exception(error))
    channel.send(Logged(__name__, logging.DEBUG, frames))
    sys.stdout.flush()
    sys.stderr.flush()
    message = "".join(traceback.format_exception_only(error)).strip()
    if is_out_of_memory(error):
        return OutOfMemory(message)
    if isinstance(error, SystemExit):
        return EngineError(f"the model library gave up (exit {error.code})")
    places = traceback.extract_tb(error.__traceback__)
    place = f" ({places[-1].filename}:{places[-1].lineno})" if places else ""
    return EngineError(f"{message}{place}")


class _ToParent(logging.Handler):
    """Log handler that passes our own records to the parent."""

    def __init__(self, channel: _Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        self._channel.send(Logged(record.name, record.levelno, self.format(record)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
