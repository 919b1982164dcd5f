"""A better release of a film that was dubbed before: what was made for the old one is not lost."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from dubarr_pipeline.workdir import WorkDir, whole_file

_log = logging.getLogger(__name__)


def inherit_lines(old: WorkDir, new: WorkDir) -> None:
    """Start a new work folder with another's corrections, drafts, takes and learned lengths.

    Every line is kept or redone by its own fingerprint, so nothing that does not fit is taken. What
    the new folder has already stays as it is; harmless if it is repeated after a kill.
    """
    if new.journal.exists() or not old.root.is_dir():
        return
    for source, copy in ((old.edits, new.edits), (old.segments / "takes", new.segments / "takes")):
        if source.is_dir() and not copy.exists():
            _copy_folder(source, copy)
    # The journal last: it names the takes, and that it is there ends this.
    for source, copy in ((old.lengths, new.lengths), (old.journal, new.journal)):
        if source.is_file():
            with whole_file(copy) as temporary:
                shutil.copyfile(source, temporary)
    _log.info("%s starts with the lines of %s", new.root.name, old.root.name)


def _copy_folder(source: Path, copy: Path) -> None:
    """Copy a folder so that it is there whole or not at all."""
    part = copy.with_name(f".{copy.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(source, part)
    part.rename(copy)
