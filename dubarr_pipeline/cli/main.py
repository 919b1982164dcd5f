"""`dubarr`: the whole pipeline from a terminal. No logic here: it parses, calls and prints."""

from __future__ import annotations

import atexit
import gc
import os
from typing import Any

import click

from dubarr_pipeline import __version__
from dubarr_pipeline.cli import (
    backup,
    cast,
    dub,
    gate,
    library,
    models,
    sample,
    serve,
    setup,
    videos,
)
from dubarr_pipeline.cli.terminal import EXIT_CODES, complain, exit_code
from dubarr_pipeline.errors import DubbingError


class _Group(click.Group):
    """Command group that turns our errors into one message and their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DubbingError as error:
            complain(str(error))
            ctx.exit(exit_code(type(error)))
        except KeyboardInterrupt:
            click.echo("\ndubarr: stopped; run the same command to go on", err=True)
            ctx.exit(130)


@click.group(
    cls=_Group, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="dubarr")
def main() -> None:
    """Dub videos: extra audio tracks in other languages, over the untouched music and effects."""
    # A command loads two thousand modules, among which there is nothing to collect: looking for it
    # every 700 objects costs a third of a command that finds all done, and half a second of a dub.
    gc.set_threshold(1_000_000)
    # Nor is there at the end, where Python looks through all of them again before it goes.
    atexit.register(gc.freeze)
    # Matrices are small here: numpy's second thread mostly waits, and does so at full speed.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


for module in (dub, sample, videos, cast, library, gate, models, setup, serve, backup):
    for command in module.COMMANDS:
        main.add_command(command)

if __name__ == "__main__":
    main()
