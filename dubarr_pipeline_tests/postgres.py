"""A real PostgreSQL server for tests, made by the script behind `make postgres`."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from dubarr_pipeline_tests.server import ROOT, free_port

SCRIPT = ROOT / "scripts" / "postgres"


class Postgres:
    """A server on loopback, in a folder that the user postgres can enter; a context manager."""

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="dubarr-postgres-"))
        self.folder.chmod(0o755)
        self._do("start", str(free_port()))
        return self

    def __exit__(self, *_: object) -> None:
        self._do("stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def configure(self, home: Path) -> None:
        """Have Dagster keep its store here."""
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.folder / "dagster.yaml", home / "dagster.yaml")

    def restart(self) -> None:
        """Stop it at once, with all its connections, and start it again."""
        self._do("restart")

    def _do(self, what: str, *more: str) -> None:
        subprocess.run([SCRIPT, what, self.folder, *more], check=True, timeout=240)
