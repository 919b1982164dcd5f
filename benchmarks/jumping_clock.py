"""A clock that can be made to jump, for processes that are started with its environment."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


class JumpingClock:
    """The wall clock of other processes, `ahead_s` seconds ahead of the true one.

    Args:
        folder: where its parts are made.

    Raises:
        FileNotFoundError: where there is no C compiler.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._state, library = folder / "ahead", folder / "jumping_clock.so"
        self.jump_to(0.0)
        compiled = ["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"]
        subprocess.run(compiled, check=True)
        self.environment = {"LD_PRELOAD": str(library), "JUMPING_CLOCK": str(self._state)}

    def jump_to(self, ahead_s: float) -> None:
        """Have it go so many seconds before the true time from now on."""
        with self._state.open("r+b" if self._state.exists() else "wb", buffering=0) as file:
            file.write(struct.pack("=q", round(ahead_s * 1e9)))
        self.ahead_s = ahead_s
