"""The one place that starts ffmpeg, ffprobe and mkvtoolnix.

Commands are lists, never shell text. A tool that fails raises with its own last words. Nothing a
tool says on its error channel can block it, and no tool outlives us: it is started through
``setpriv``, which has the kernel kill it when the thread that started it ends.
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
from types import TracebackType
from typing import IO, Self

from dubarr_pipeline.errors import DiskFull, MediaToolError, MissingRequirement, WorkspaceError
from dubarr_pipeline.media.closed_formats import CLOSED_READING
from dubarr_pipeline.media.transport import reading_options

Arguments = Sequence[str | Path]

MEMORY_LIMIT_BYTES = 8 << 30
"""Address space of one tool. Films of any length take 0.3 GB, late streams of broadcasts 1 GB."""

LONGEST_S = 43_200.0
"""No tool works longer: the slowest pass over a film of ten hours takes a tenth of it."""

_KEPT_BYTES = 65_536
_NEW_STREAM = re.compile(rb"New (\w+) stream \d+:(\d+) at pos:\S+ and DTS:(\S+?)s?$", re.MULTILINE)
_NAMED_LATE_STREAMS = 100
_QUOTED_CHARACTERS = 600
_ALWAYS = {
    "ffmpeg": ("-hide_banner", "-nostdin", "-v", "error"),
    "ffprobe": ("-hide_banner", "-v", "error"),
}
_PACKAGES = {
    "ffmpeg": "ffmpeg",
    "ffprobe": "ffmpeg",
    "mkvmerge": "mkvtoolnix",
    "mkvpropedit": "mkvtoolnix",
    "mkvextract": "mkvtoolnix",
}
_TOO_LARGE = ("File too large",)
_NO_ROOM = ("No space left on device", "Disk quota exceeded")


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a tool wrote: its standard output, and the end of what it said on its error channel."""

    stdout: bytes
    stderr: str


@dataclass(frozen=True, slots=True)
class LateStream:
    """A stream that ffmpeg met in the middle of a file."""

    kind: str
    index: int
    time: str


def file_url(path: str | Path) -> str:
    """Return the form of a path that ffmpeg takes literally, whatever characters the name has."""
    return "file:" + os.path.abspath(path)  # noqa: PTH100 - Path would drop nothing, but resolve() links


def source_arguments(path: str | Path) -> list[str]:
    """Return the input arguments for a file that may be hostile.

    It reaches neither the network nor other files: lists that name files are not opened at all.

    All who read a file look equally far into it, so that they number its streams alike.

    Raises:
        NotMuxable: as `reading_options`.
    """
    looking = reading_options(Path(path))
    return [*looking, *CLOSED_READING, "-i", file_url(path)]


def run(
    arguments: Arguments,
    *,
    tool: str = "ffmpeg",
    stdin: bytes | None = None,
    timeout_s: float | None = None,
    cwd: Path | None = None,
) -> ToolOutput:
    """Run a tool to its end and return what it wrote.

    Args:
        arguments: what follows the tool's name; ffmpeg and ffprobe also get their quiet options.
        tool: ffmpeg, ffprobe, or one of mkvtoolnix.
        stdin: bytes to feed it; without them it reads nothing.
        timeout_s: seconds after which it is killed.
        cwd: the folder in which it runs.

    Raises:
        MediaToolError: with the tool's last words, or because it took too long.
        MissingRequirement: if the tool is not installed.
        DiskFull: if it found no room for its output.
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
        watch = threading.Timer(self._patience_s, self._child.give_up, (self._patience_s,))
        watch.start()
        try:
            return self._stream.read(size)
        finally:
            watch.cancel()

    @property
    def stderr(self) -> str:
        """The end of what the tool has said on its error channel; complete once it has ended."""
        return self._child.words()

    @property
    def late_streams(self) -> tuple[LateStream, ...]:
        """The streams that ffmpeg met while it read, too late to copy them.

        It tells of them where warnings are asked for (``-v level+warning``). Complete once the
        tool has ended.
        """
        self._child.words()
        return self._child.late_streams()


@contextlib.contextmanager
def encoder(arguments: Arguments, *, cwd: Path | None = None) -> Iterator[ToolPipe]:
    """Start ffmpeg reading its ``pipe:0`` from us; the end of the block waits for its end.

    An exception inside the block kills ffmpeg. Raises as `run`.
    """
    with _Child(
        "ffmpeg", arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=cwd
    ) as c:
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
    arguments: Arguments, *, cwd: Path | None = None, patience_s: float | None = None
) -> Iterator[ToolPipe]:
    """Start ffmpeg writing ``pipe:1`` to us; at the end of the block see that it ended well.

    A read that waits longer than `patience_s` stops ffmpeg, which is then an error.

    A block that leaves before the end of the stream, or by an exception, kills ffmpeg. Raises as
    `run`.
    """
    with _Child("ffmpeg", arguments, cwd=cwd) as child:
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
    ) -> None:
        self.tool = tool
        self._gave_up = ""
        command = [_program(tool), *_ALWAYS.get(tool, ()), *(os.fspath(a) for a in arguments)]
        self.command = " ".join(each for each in command if each not in CLOSED_READING)[:300]
        self._words = _LastWords()
        try:
            self.process = subprocess.Popen(
                [*_until_we_die(), *_limits(), *command],
                stdin=stdin,
                stdout=stdout,
                stderr=self._words.channel,
                cwd=cwd,
            )
        finally:
            self._words.listen()
        self._watch = threading.Timer(LONGEST_S, self._worked_too_long)
        self._watch.daemon = True
        self._watch.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watch.cancel()
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    @property
    def stdin(self) -> IO[bytes]:
        assert self.process.stdin
        return self.process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self.process.stdout
        return self.process.stdout

    def kill(self) -> None:
        """End the tool if it still runs, and wait for it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def give_up(self, after_s: float) -> None:
        """End a tool that has kept us waiting for too long; `check` will tell of it."""
        self._gave_up = f"{self.tool} gave nothing for {after_s:g} s and was stopped"
        self.process.kill()

    def _worked_too_long(self) -> None:
        self._gave_up = f"{self.tool} worked for {LONGEST_S:g} s and was stopped"
        self.process.kill()

    def words(self) -> str:
        """The end of what the tool has said so far."""
        if self.process.poll() is not None:
            self._words.finish()
        return self._words.text()

    def late_streams(self) -> tuple[LateStream, ...]:
        return tuple(self._words.late_streams)

    def check(self, stdout: bytes = b"") -> None:
        """Wait for the tool's end, and raise if it was not a good one."""
        status = self.process.wait()
        words = self.words()
        if self._gave_up and status < 0:
            raise MediaToolError(f"{self._gave_up}: {self.command}")
        # mkvtoolnix speaks on its standard output, and ends with 1 where it only warns.
        good = (0, 1) if self.tool.startswith("mkv") else (0,)
        # ffmpeg ends with 0 where only its last, buffered bytes found no room.
        if status not in good or any(sign in words for sign in _NO_ROOM):
            raise _failure(self, status, words or stdout[-_KEPT_BYTES:].decode(errors="replace"))


def _failure(child: _Child, status: int, words: str) -> WorkspaceError | MediaToolError:
    words = words.replace(CLOSED_READING[-1], "...")
    tail = _complaints(words)[-_QUOTED_CHARACTERS:] or "without a word"
    if any(sign in words for sign in _NO_ROOM):
        return DiskFull(
            f"no room left on the disk: free some, then run again ({child.tool}: {tail})"
        )
    if -status == signal.SIGXFSZ or any(sign in words for sign in _TOO_LARGE):
        return WorkspaceError(
            "a file grows larger than its file system or the process's limit allows: choose a "
            f"folder on another file system, or raise `ulimit -f` ({child.tool}: {tail})"
        )
    ended = f"signal {-status}" if status < 0 else f"exit {status}"
    return MediaToolError(f"{child.tool} failed ({ended}): {tail} [{child.command}]")


def _complaints(words: str) -> str:
    """What went wrong, without the chatter of a run that was asked for more (``level+info``)."""
    lines = words.strip().splitlines()
    errors = [line for line in lines if re.search(r"\[(error|fatal|panic)\]", line)]
    return "\n".join(errors or lines).strip()


class _LastWords:
    """The end of what a tool says on its error channel; drained, so that it never blocks."""

    def __init__(self) -> None:
        self._source, self.channel = os.pipe()
        self._kept = b""
        self.late_streams: list[LateStream] = []
        self._thread = threading.Thread(target=self._drain, name="tool-stderr", daemon=True)

    def listen(self) -> None:
        """Start draining; the tool has its own copy of the channel by now."""
        os.close(self.channel)
        self._thread.start()

    def finish(self) -> None:
        self._thread.join()

    def text(self) -> str:
        return self._kept.decode(errors="replace")

    def _drain(self) -> None:
        with os.fdopen(self._source, "rb", buffering=0) as stream:
            line = b""
            while data := stream.read(_KEPT_BYTES):
                self._kept = (self._kept + data)[-_KEPT_BYTES:]
                *lines, line = (line[-_KEPT_BYTES:] + data).split(b"\n")
                self._note(b"\n".join(lines))

    def _note(self, lines: bytes) -> None:
        """Keep what must not be lost behind thousands of other warnings."""
        for kind, index, time in _NEW_STREAM.findall(lines):
            if len(self.late_streams) < _NAMED_LATE_STREAMS:
                self.late_streams.append(LateStream(kind.decode(), int(index), time.decode()))


def _program(tool: str) -> str:
    found = shutil.which(tool)
    if found is None:
        package = _PACKAGES.get(tool, tool)
        raise MissingRequirement(
            f"{tool} is not installed: apt-get install {package} (or the package of your system)"
        )
    return found


@cache
def _limits() -> tuple[str, ...]:
    """What bounds a tool's memory: a file may claim pictures or tables of any size."""
    prlimit = shutil.which("prlimit")
    return (prlimit, f"--as={MEMORY_LIMIT_BYTES}", "--core=0", "--") if prlimit else ()


@cache
def _until_we_die() -> tuple[str, ...]:
    # Not preexec_fn: that is unsafe beside threads, and Python 3.12 warns of it.
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return ()
    told = subprocess.run([setpriv, "--help"], capture_output=True, check=False)
    return (setpriv, "--pdeathsig", "KILL", "--") if b"--pdeathsig" in told.stdout else ()
