"""State of a sensor between two ticks, in a file: Dagster keeps the cursor of every tick."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from dubarr_pipeline.files import check_writable, write_text

_NAME = re.compile(r"[0-9a-f]{16}")


class TickState:
    """State of one sensor. Its cursor names the file, which is there until the next tick is over.

    So a tick that Dagster did not record is repeated with the state before it.
    """

    def __init__(self, work_dir: Path, sensor: str) -> None:
        self._work_dir, self._folder = work_dir, work_dir / ".ticks" / sensor

    def load(self, cursor: str | None) -> Any:
        """Return the state that a cursor names; None without one, or if its file is not there.

        Cursors of earlier versions hold the state itself.
        """
        if not cursor:
            return None
        try:
            if not _NAME.fullmatch(cursor):
                return json.loads(cursor)
            return json.loads((self._folder / f"{cursor}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def save(self, state: Any, cursor: str | None) -> str:
        """Write the state after a tick that began with `cursor`; return the new cursor.

        Raises:
            DiskFull, NotWritable, WorkspaceError: if it cannot be written.
        """
        text = json.dumps(state)
        name = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        path = self._folder / f"{name}.json"
        if not path.is_file():
            check_writable(self._work_dir)
            write_text(path, text)
            for old in self._folder.glob("*.json"):
                if old.stem not in (name, cursor):
                    old.unlink(missing_ok=True)
        return name


def last_state(work_dir: Path, sensor: str) -> dict[str, Any]:
    """Return the newest state of a sensor, whether Dagster has recorded its tick or not."""
    files = (work_dir / ".ticks" / sensor).glob("*.json")
    try:
        newest = max(files, key=lambda path: path.stat().st_mtime)
        return json.loads(newest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
