"""Runner of ffmpeg, ffprobe and mkvtoolnix; no other module starts them.

No tool outlives its caller: the kernel kills it when the thread that started it ends.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Self, cast

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.errors import DiskFull, MediaToolError, MissingRequirement, WorkspaceError
from dubarr_pipeline.media.container.transport_streams import reading_options
from dubarr_pipeline.text.printable import install_cure
from dubarr_pipeline.text.tables import read_table

Arguments = Sequence[str | Path]

MEMORY_LIMIT_BYTES = 8 << 30
"""Address space of one tool. Films of any length need 0.3 GB, late streams of broadcasts 1 GB."""

LONGEST_S = 43_200.0
"""Time limit of any tool: the slowest pass over a film of ten hours takes a tenth of it."""

_KEPT_BYTES = 65_536
_NEW_STREAM = re.compile(rb"New (\w+) stream \d+:(\d+) at pos:\S+ and DTS:(\S+?)s?$", re.MULTILINE)
_NAMED_LATE_STREAMS = 100
_QUOTED_CHARACTERS = 600
_ALWAYS = {
    "ffmpeg": ("-hide_banner", "-nostdin", "-v", "error"),
    "ffprobe": ("-hide_banner", "-v", "error"),
}
_NO_ROOM = ("No space left on device", "Disk quota exceeded")


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """Output of a tool: its standard output, and the end of its error channel."""

    stdout: bytes
    stderr: str


def file_url(path: str | Path) -> str:
    """Return the form of a path that ffmpeg takes literally, whatever characters the name has."""
    return "file:" + os.path.abspath(path)  # noqa: PTH100 - Path would drop nothing, but resolve() links


def source_arguments(path: str | Path) -> list[str]:
    """Return the input arguments for a file that may be hostile. Raises as `reading_options`.

    It reaches neither the network nor other files, and every reader numbers its streams alike.
    """
    return [*reading_options(Path(path)), *CLOSED_READING, "-i", file_url(path)]


def run(
    arguments: Arguments,
    *,
    tool: str = "ffmpeg",
    stdin: bytes | None = None,
    timeout_s: float | None = None,
    cwd: Path | None = None,
) -> ToolOutput:
    """Run a tool to its end and return what it wrote; it is killed after `timeout_s` seconds.

    Raises:
        MediaToolError: with the tool's last messages, or because it took too long.
        MissingRequirement: if the tool is not installed.
        DiskFull: if there was no room for its output.
    """
    source = subprocess.DEVNULL if stdin is None else subprocess.PIPE
    with _Child(tool, arguments, stdin=source, cwd=cwd) as child:
        try:
            stdout, _ = child.process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            child.kill()
            raise MediaToolError(
                f"{tool} did not finish within {timeout_s:g} s and was stopped: {child.command}"
            ) from None
        child.check(stdout)
    return ToolOutput(stdout, child.words())


class ToolPipe:
    """One end of a running tool: written to (`encoder`) or read from (`reader`) like a file."""

    def __init__(self, child: _Child, stream: IO[bytes], patience_s: float | None = None) -> None:
        self._child = child
        self._stream = stream
        self._patience_s = patience_s

    def write(self, data: bytes | bytearray | memoryview) -> int:
        return self._stream.write(data)

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; fewer only at the end."""
        if self._patience_s is None:
            return self._stream.read(size)
        problem = f"gave nothing for {self._patience_s:g} s"
        watch = threading.Timer(self._patience_s, self._child.give_up, (problem,))
        watch.start()
        try:
            return self._stream.read(size)
        finally:
            watch.cancel()

    def sound(self, channels: int, block: int) -> Iterator[NDArray[np.float32]]:
        """Yield bare float32 samples as ``(channels, block)``; the last may be shorter."""
        while data := self.read(block * channels * 4):
            frames = np.frombuffer(data, "<f4").reshape(-1, channels)
            yield np.ascontiguousarray(frames.T, np.float32)

    @property
    def stderr(self) -> str:
        """The end of the tool's error channel; complete once it has ended."""
        return self._child.words()

    @property
    def late_streams(self) -> list[str]:
        """Streams that ffmpeg met too late to copy them, once it ended (``-v level+warning``)."""
        self._child.words()
        return self._child.channel.late_streams


def is_one_build() -> bool:
    """Return whether ffmpeg and ffprobe lie in one folder, and so come from one build."""
    programs = [shutil.which(tool) for tool in _ALWAYS]
    return all(programs) and len({os.path.dirname(each or "") for each in programs}) == 1  # noqa: PTH120


@contextlib.contextmanager
def encoder(arguments: Arguments) -> Iterator[ToolPipe]:
    """Start ffmpeg with ``pipe:0`` as its input; the end of the block waits for its end.

    An exception inside the block kills ffmpeg. Raises as `run`.
    """
    with _Child("ffmpeg", arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as c:
        try:
            yield ToolPipe(c, c.stdin)
            c.stdin.close()
        except BrokenPipeError:
            c.check()
            raise MediaToolError(
                f"ffmpeg stopped reading before the end of its input: {c.command}"
            ) from None
        c.check()


@contextlib.contextmanager
def reader(
    arguments: Arguments,
    *,
    patience_s: float | None = None,
    tool: str = "ffmpeg",
    open_files: Sequence[int] = (),
) -> Iterator[ToolPipe]:
    """Start a tool with ``pipe:1`` as its output; the end of the block checks its exit status.

    The tool may write to `open_files`, descriptors of ours, too: as ``pipe:`` and the number.

    A read that waits longer than `patience_s` stops it. A block that leaves before the end of
    the stream, or by an exception, kills it. Raises as `run`.
    """
    with _Child(tool, arguments, open_files=open_files) as child:
        yield ToolPipe(child, child.stdout, patience_s)
        if not child.stdout.read(1):
            child.check()


class _Child:
    """A started tool, killed at the latest when the block ends."""

    def __init__(
        self,
        tool: str,
        arguments: Arguments,
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        cwd: Path | None = None,
        open_files: Sequence[int] = (),
    ) -> None:
        self.tool = tool
        self._gave_up = ""
        program = shutil.which(tool)
        if program is None:
            package = "mkvtoolnix" if tool.startswith("mkv") else "ffmpeg"
            raise MissingRequirement(f"{tool} is not installed: {install_cure(package)}")
        command = [program, *_ALWAYS.get(tool, ()), *(os.fspath(a) for a in arguments)]
        self.command = " ".join(each for each in command if each not in CLOSED_READING)[:300]
        self.channel = _ErrorChannel()
        try:
            self.process = subprocess.Popen(
                [*_guards(), *command],
                stdin=stdin,
                stdout=stdout,
                stderr=self.channel.source,
                cwd=cwd,
                pass_fds=open_files,
            )
        finally:
            self.channel.listen()
        # None where they were not to be piped.
        self.stdin = cast("IO[bytes]", self.process.stdin)
        self.stdout = cast("IO[bytes]", self.process.stdout)
        self._watch = threading.Timer(LONGEST_S, self.give_up, (f"ran for {LONGEST_S:g} s",))
        self._watch.daemon = True
        self._watch.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.cancel()
        self.kill()
        for stream in (self.stdin, self.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def kill(self) -> None:
        """End the tool if it still runs, and wait for it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def give_up(self, problem: str) -> None:
        """Kill a tool that takes too long; `check` then raises the error."""
        self._gave_up = f"{self.tool} {problem} and was stopped"
        self.process.kill()

    def words(self) -> str:
        """Return the end of the tool's error channel so far."""
        return self.channel.text(self.process.poll() is not None)

    def check(self, stdout: bytes = b"") -> None:
        """Wait for the tool's end, and raise an error if it failed."""
        status = self.process.wait()
        words = self.words()
        if self._gave_up and status < 0:
            raise MediaToolError(f"{self._gave_up}: {self.command}")
        # mkvtoolnix reports on its standard output, and exits with 1 where it only warns.
        good = (0, 1) if self.tool.startswith("mkv") else (0,)
        # ffmpeg exits with 0 where there was no room for its last, buffered bytes only.
        if status not in good or any(sign in words for sign in _NO_ROOM):
            words = words or stdout[-_KEPT_BYTES:].decode(errors="replace")
            # A run with ``level+info`` reports more than errors.
            lines = words.replace(CLOSED_READING[-1], "...").strip().splitlines()
            errors = [line for line in lines if re.search(r"\[(error|fatal|panic)\]", line)]
            tail = "\n".join(errors or lines).strip()[-_QUOTED_CHARACTERS:] or "no message"
            if any(sign in words for sign in _NO_ROOM):
                raise DiskFull(
                    f"no room left on the disk: free some, then run again ({self.tool}: {tail})"
                )
            if -status == signal.SIGXFSZ or "File too large" in words:
                raise WorkspaceError(
                    "a file grows larger than its file system or the process's limit allows: "
                    "choose a folder on another file system, or raise `ulimit -f` "
                    f"({self.tool}: {tail})"
                )
            ended = f"signal {-status}" if status < 0 else f"exit {status}"
            raise MediaToolError(f"{self.tool} failed ({ended}): {tail} [{self.command}]")


class _ErrorChannel:
    """The end of a tool's error channel, drained so that the tool never blocks on it."""

    def __init__(self) -> None:
        self._drained, self.source = os.pipe()
        self._kept = b""
        self.late_streams: list[str] = []
        self._thread = threading.Thread(target=self._drain, name="tool-stderr", daemon=True)

    def listen(self) -> None:
        """Start draining; the tool has its own copy of the channel by now."""
        os.close(self.source)
        self._thread.start()

    def text(self, ended: bool) -> str:
        if ended:
            self._thread.join()
        return self._kept.decode(errors="replace")

    def _drain(self) -> None:
        with os.fdopen(self._drained, "rb", buffering=0) as stream:
            line = b""
            while data := stream.read(_KEPT_BYTES):
                self._kept = (self._kept + data)[-_KEPT_BYTES:]
                *lines, line = (line[-_KEPT_BYTES:] + data).split(b"\n")
                # These must not be lost behind thousands of other warnings.
                for kind, index, time in _NEW_STREAM.findall(b"\n".join(lines)):
                    if len(self.late_streams) < _NAMED_LATE_STREAMS:
                        late = f"stream {index.decode()} ({kind.decode()}) at {time.decode()} s"
                        self.late_streams.append(late)


@cache
def _guards() -> tuple[str, ...]:
    """Return the commands that start a tool with a memory limit, and kill it with its parent."""
    guards: list[str] = []
    # Not preexec_fn: that is unsafe beside threads, and Python 3.12 warns of it.
    if setpriv := shutil.which("setpriv"):
        usage = subprocess.run([setpriv, "--help"], capture_output=True, check=False)
        if b"--pdeathsig" in usage.stdout:
            guards += [setpriv, "--pdeathsig", "KILL", "--"]
    # A file may claim pictures or tables of any size.
    if prlimit := shutil.which("prlimit"):
        guards += [prlimit, f"--as={MEMORY_LIMIT_BYTES}", "--core=0", "--"]
    return tuple(guards)


_FORMATS: list[str] = read_table("dubarr_pipeline.media.container", "formats")["read"]
CLOSED_READING = ("-protocol_whitelist", "file,pipe", "-format_whitelist", ",".join(_FORMATS))
"""ffmpeg's options before the input."""
