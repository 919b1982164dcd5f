"""Log of a process that is started again and again: appended to, rotated when long, quoted."""

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_FULL_BYTES = 8_000_000
_TAIL_LINES, _TAIL_BYTES = 15, 3000


class ProcessLog:
    """The log of one process over all its starts; its folder is made with the first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = 0

    def open(self, head: str = "") -> BinaryIO:
        """Open the log for the next start, whose output follows `head` and gives the tail."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.rotate()
        log = self.path.open("ab")
        if head:
            log.write(f"{head}\n".encode(errors="replace"))
            log.flush()
        self._start = log.tell()
        return log

    def rotate(self) -> None:
        """Move a log that has grown long aside; its writer appends, and goes on at the start."""
        with suppress(OSError):
            if self.path.stat().st_size > _FULL_BYTES:
                self.path.with_suffix(".log.1").write_bytes(self.path.read_bytes())
                os.truncate(self.path, 0)
                self._start = 0

    def tail(self) -> str:
        """Quote the last lines since the last start, for a message."""
        with suppress(OSError), self.path.open("rb") as log:
            log.seek(max(self._start, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
            if lines:
                quoted = "\n".join(f"  | {line}" for line in lines)
                return f"the end of {self.path}:\n{quoted}"
        return f"its log {self.path} is empty"
