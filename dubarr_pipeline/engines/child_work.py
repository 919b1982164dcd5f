"""The child's side: build the worker, answer calls, end with the parent.

Started by `child.EngineChild` as ``python -m dubarr_pipeline.engines.child_work``; its standard
output and error channel belong to the model library.
"""

from __future__ import annotations

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

from dubarr_pipeline.engines.child_messages import Call, Done, Failed, Item, Logged, Reply, Told
from dubarr_pipeline.engines.interfaces import Progress
from dubarr_pipeline.engines.ladder import is_out_of_memory
from dubarr_pipeline.errors import DubbingError, EngineError, OutOfMemory

_OURS = "dubarr_pipeline"
_PR_SET_PDEATHSIG = 1


def main(descriptor: int, parent: int) -> None:
    """Serve the parent at the other end of the channel until it closes it."""
    die_with(parent)
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
        # Nothing is worth waiting for: a model library's farewell can take seconds, or hang.
        os._exit(0)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when `parent` ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have ended before the kernel was asked.
    if os.getppid() != parent:
        os._exit(1)


class _Channel:
    """The way to the parent, for all threads of the worker."""

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
        # by which some tell of a wrong folder.
        except BaseException as error:
            channel.send(Failed.of(_named(error, channel)))


def _perform(worker: object, call: Call, channel: _Channel) -> Any:
    options = dict(call.options)
    if call.watched:
        options["on_progress"] = _teller(channel)
    if worker is None:
        module, _, name = call.method.partition(":")
        return getattr(import_module(module), name)(*call.arguments, **options)
    result = getattr(worker, call.method)(*call.arguments, **options)
    if not isinstance(result, Iterator):
        return result
    for value in result:
        channel.send(Item(value))
    return None


def _teller(channel: _Channel):
    def tell(progress: Progress) -> None:
        channel.send(Told(progress))

    return tell


def _named(error: BaseException, channel: _Channel) -> DubbingError:
    """Our own errors as they are; a library's by its kind, its words and its place."""
    if isinstance(error, DubbingError):
        return error
    frames = "".join(traceback.format_exception(error))
    channel.send(Logged(__name__, logging.DEBUG, frames))
    sys.stdout.flush()
    sys.stderr.flush()
    said = "".join(traceback.format_exception_only(error)).strip()
    if is_out_of_memory(error):
        return OutOfMemory(said)
    if isinstance(error, SystemExit):
        return EngineError(f"the model library gave up (exit {error.code})")
    places = traceback.extract_tb(error.__traceback__)
    place = f" ({places[-1].filename}:{places[-1].lineno})" if places else ""
    return EngineError(f"{said}{place}")


class _ToParent(logging.Handler):
    """Hands our own log lines to the parent, whose log they belong to."""

    def __init__(self, channel: _Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        self._channel.send(Logged(record.name, record.levelno, self.format(record)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
