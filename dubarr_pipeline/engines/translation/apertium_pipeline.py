"""Apertium's programs, kept running: a line goes in, its translation comes out, in 2 ms.

Started anew for each line they cost 0.4 s. They end when their input is closed, so that they cannot
outlive us even when we are killed: only this process holds the writing end. (A parent-death signal
would be wrong here: it fires when the *thread* that started them ends.)
"""

from __future__ import annotations

import os
import selectors
import subprocess
import tempfile
import time
from typing import IO

from dubarr_pipeline.errors import EngineError, MissingRequirement

CHUNK_BYTES = 4096
"""Written at once: less than a pipe holds, so that a write to a pipe that is ready never blocks."""
LAST_WORDS_BYTES = 400


class ProgramPipeline:
    """A chain of programs, each reading what the one before it writes, that answers NUL by NUL.

    Not for several threads at once.

    Args:
        programs: the commands, first to last.
        timeout_s: how long one exchange may take.
    """

    def __init__(self, programs: list[list[str]], timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            for program in programs:
                self._processes.append(self._start(program))
        except (OSError, MissingRequirement):
            self.close()
            raise
        os.set_blocking(self._input.fileno(), False)
        os.set_blocking(self._output.fileno(), False)

    @property
    def _input(self) -> IO[bytes]:
        stream = self._processes[0].stdin
        assert stream is not None
        return stream

    @property
    def _output(self) -> IO[bytes]:
        stream = self._processes[-1].stdout
        assert stream is not None
        return stream

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The programs' ids, for those who watch memory."""
        return tuple(process.pid for process in self._processes)

    def _start(self, program: list[str]) -> subprocess.Popen[bytes]:
        before = self._processes[-1].stdout if self._processes else None
        try:
            process = subprocess.Popen(
                program,
                stdin=before or subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is ours to handle
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )
        except FileNotFoundError as fault:
            raise MissingRequirement(
                f"{program[0]} is not installed; apt install apertium"
            ) from fault
        if before is not None:
            before.close()  # or the program before would never learn that its reader has died
        return process

    def exchange(self, request: bytes) -> bytes:
        """Send one text without NULs, and return what comes out at the other end.

        Raises:
            EngineError: if a program has died, or no answer came in time. Useless from then on.
        """
        outgoing, incoming = memoryview(request + b"\0"), bytearray()
        deadline = time.monotonic() + self._timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            selector.register(self._input, selectors.EVENT_WRITE)
            while not incoming.endswith(b"\0"):
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise EngineError(f"no answer in {self._timeout_s:g} s{self._last_words()}")
                for key, _ in ready:
                    if key.fileobj is self._input:
                        outgoing = self._write(outgoing)
                        if not outgoing:
                            selector.unregister(self._input)
                    else:
                        incoming += self._read()
        return bytes(incoming[:-1])

    def _write(self, outgoing: memoryview) -> memoryview:
        try:
            return outgoing[self._input.write(outgoing[:CHUNK_BYTES]) or 0 :]
        except BrokenPipeError as fault:
            raise EngineError(f"a program has ended{self._last_words()}") from fault

    def _read(self) -> bytes:
        received = self._output.read(65536)
        if received == b"":
            raise EngineError(f"a program has ended{self._last_words()}")
        return received or b""

    def _last_words(self) -> str:
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - LAST_WORDS_BYTES))
        words = self._errors.read().decode("utf-8", "replace").strip()
        return f": {words}" if words else ""

    def close(self) -> None:
        """End every program and wait for it."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            process.wait()
        self._processes.clear()
        self._errors.close()
