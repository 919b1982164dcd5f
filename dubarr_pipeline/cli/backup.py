"""The command `dubarr backup`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dubarr_pipeline import api
from dubarr_pipeline.cli.terminal import EXIT_CODES, PATH, say, with_settings

if TYPE_CHECKING:
    from dubarr_pipeline.api.profiles import Settings


@click.command(epilog=EXIT_CODES)
@click.argument("folder", type=PATH)
@with_settings
def backup(folder: Path, settings: Settings) -> None:
    """Copy the store below FOLDER, while films are dubbed.

    Then copy the films' work there: docs/operations.md.
    """
    count, size = api.libraries.back_up(settings, folder)
    say(f"{folder / '.dagster'}: {count} databases, {size / 1e6:.1f} MB; now the films' work:")
    say(f"  rsync -a --exclude /.dagster/ {settings.work_dir}/ {folder}/")


COMMANDS = (backup,)
