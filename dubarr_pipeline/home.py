"""Where Dagster keeps its store of a work folder: ``$DAGSTER_HOME``."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.workdir import write_text


def dagster_home(work_dir: Path) -> Path:
    """Return the folder of the store: ``$DAGSTER_HOME`` if it is set, else one in the work folder.

    The same choice is left in the environment, so that whatever is started from here shares it.

    Raises:
        SettingsError: if ``$DAGSTER_HOME`` is no folder.
        DiskFull, NotWritable, WorkspaceError: if it cannot be made.
    """
    if not os.environ.get("DAGSTER_HOME"):
        config = work_dir / ".dagster" / "dagster.yaml"
        if not config.exists():
            write_text(config, files("dubarr_pipeline").joinpath("dagster.yaml").read_text())
        os.environ["DAGSTER_HOME"] = str(config.parent)
    home = os.environ["DAGSTER_HOME"]
    if not (Path(home).is_absolute() and Path(home).is_dir()):
        raise SettingsError(f"DAGSTER_HOME={home!r} must be the absolute path of a folder: make it")
    return Path(home)
