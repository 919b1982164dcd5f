"""A worker for the tests of the engine child: it does as it is told."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dubarr_pipeline.engines.interfaces import OnProgress, Progress, Samples
from dubarr_pipeline.errors import LineError, MissingRequirement


def say(words: str) -> None:
    """Speak as a C library does."""
    os.write(1, words.encode() + b"\n")


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


class Worker:
    def __init__(self, greeting: str = "hello", broken: bool = False) -> None:
        if broken:
            raise MissingRequirement("the model is not here: dubarr models pull tiny")
        self.greeting = greeting
        self.made = 0

    def greet(self, name: str, mark: str = "!") -> str:
        return f"{self.greeting} {name}{mark}"

    def double(self, sound: Samples) -> Samples:
        return 2 * sound

    def where(self) -> tuple[int, int, int]:
        return os.getpid(), os.getppid(), os.getpgid(0)

    def blocks(self, count: int, counter: Path) -> Iterator[Samples]:
        for index in range(count):
            with counter.open("ab") as told:  # a byte for each: it may be killed at any time
                told.write(b"|")
            yield np.full(1_000_000, index, np.float32)

    def count(self, total: int, on_progress: OnProgress) -> int:
        for done in range(total):
            on_progress(Progress(done + 1, total, "counting"))
        return total

    def log(self) -> None:
        logging.getLogger("dubarr_pipeline.engines.test").info("it says %s", "hello")

    def chatter(self) -> None:
        say("words of the library")
        os.write(2, b"and of its C++ part\n")

    def fail(self, kind: str) -> None:
        if kind == "line":
            raise LineError("too_long", "line 7 is too long")
        if kind == "memory":
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if kind == "exit":
            sys.stderr.write("FATAL: no such folder" + "\n")
            sys.exit(1)
        if kind == "unpicklable":
            return lambda: None  # type: ignore[return-value]
        raise ZeroDivisionError("division by naught")

    def die(self, number: int) -> None:
        say("about to go")
        os.kill(os.getpid(), number)

    def crash(self) -> None:
        ctypes.string_at(0)

    def abort(self) -> None:
        say("terminate called after throwing an instance of 'std::bad_alloc'")
        os.kill(os.getpid(), signal.SIGABRT)

    def hold(self, megabytes: int) -> int:
        self.held = np.ones(megabytes * 131_072)
        return self.held.nbytes

    def sleep(self, mark: Path, seconds: float = 600.0) -> None:
        mark.write_text("asleep")
        time.sleep(seconds)

    def bear(self) -> int:
        return subprocess.Popen(["sleep", "600"]).pid
