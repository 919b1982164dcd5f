"""Parts that all commands share: options, settings, exit codes, lines and bars of a terminal."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubarr_pipeline import api, errors
from dubarr_pipeline.text.printable import printable

if TYPE_CHECKING:
    from tqdm import tqdm

PATH = click.Path(path_type=Path)
EXIT_CODES = """\b
Exit codes:
  0  everything asked for is done
  1  at least one video ended in an error, is held by its gate, or is not
     published as its library wants (the others are done)
  2  wrong usage: an option, a setting or a language
  3  something that the profile needs is missing (`dubarr doctor`)
  4  a video cannot be used: not there, not a video, no audio, no script
  5  the work folder cannot be used: not writable, disk full, busy
  130  stopped from the keyboard; run the same command to go on
"""


def exit_code(error: type[BaseException]) -> int:
    """Return the documented exit code of an error."""
    for base, code in (
        (errors.SettingsError, 2),
        (errors.MissingRequirement, 3),
        (errors.SourceError, 4),
        (errors.WorkspaceError, 5),
    ):
        if issubclass(error, base):
            return code
    return 1


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def target_option(**attributes: Any) -> Callable[[Any], Any]:
    """Return the option ``--to``, a list of languages; one that may be left out may be empty."""

    def parse(_ctx: click.Context, option: click.Parameter, value: str) -> tuple[str, ...]:
        from dubarr_pipeline.text.languages import parse_languages

        return parse_languages(value) if value or option.required else ()

    return click.option("--to", "targets", callback=parse, **attributes)


def with_settings(command: Callable[..., int | None]) -> Any:
    """Add the options that choose settings and work folder; the command gets the `Settings`.

    It has the profile of its own option ``--profile``, if there is one. What it returns is the exit
    code.
    """

    @click.option("--work-dir", type=PATH, help="Folder of the work folders.")
    @click.option("--config", type=PATH, help="Settings file; default: ./dubarr.toml.")
    @wraps(command)
    def run(work_dir: Path | None, config: Path | None, **options: Any) -> None:
        settings = api.profiles.read_settings(work_dir, config, options.pop("profile", None))
        api.profiles.start_logging(settings)
        sys.exit(command(settings=settings, **options))

    return run


def say_json(document: Any) -> None:
    """Print a document."""
    say(json.dumps(document, indent=1))


def say(line: str) -> None:
    """Print a line; a name in it may hold anything."""
    click.echo(printable(line))


def announce(line: str) -> None:
    """Print where a service answers, or log it as JSON where the process does."""
    if not api.profiles.log_line(logging.INFO, line):
        click.echo(line)


def complain(message: str) -> None:
    """Print an error, or log it as JSON where the process does."""
    if not api.profiles.log_line(logging.ERROR, printable(message)):
        click.echo(f"dubarr: {printable(message)}", err=True)


@dataclass
class StageBars:
    """A bar per stage on a terminal; nothing elsewhere."""

    _bar: tqdm[Any] | None = None
    _stage: str = ""

    def show(self, stage: str, share: float, note: str) -> None:
        """Draw the progress of a stage, 0 to 1."""
        if not sys.stderr.isatty():
            return
        if stage != self._stage:
            from tqdm import tqdm

            self.close()
            # A terminal may say that it has no rows or columns, in which nothing would be drawn.
            columns, rows = shutil.get_terminal_size()
            self._bar = tqdm(
                total=1.0,
                desc=stage,
                bar_format="  {desc:12} {percentage:3.0f}% |{bar:30}| {elapsed} {postfix}",
                file=sys.stderr,
                ncols=columns,
                nrows=rows,
            )
            self._stage = stage
        if self._bar is not None:
            self._bar.n = min(1.0, share)
            self._bar.set_postfix_str(note)

    def close(self) -> None:
        """End the bar, so that other lines can follow."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextmanager
def byte_bar(name: str) -> Iterator[Callable[[str, int, int], None]]:
    """Draw a bar of bytes on a terminal; yields a function of (file, done, total)."""
    from tqdm import tqdm

    quiet = not sys.stderr.isatty()
    with tqdm(desc=f"  {name}", unit="B", unit_scale=True, disable=quiet, file=sys.stderr) as bar:

        def show(file: str, done: int, total: int) -> None:
            bar.total = total
            bar.set_postfix_str(printable(file), refresh=False)
            bar.update(done - bar.n)

        yield show


@contextmanager
def video_bar(verb: str) -> Iterator[Callable[[Any], None]]:
    """Draw a bar of videos on a terminal; yields what takes the progress in one library."""
    from tqdm import tqdm

    quiet = not sys.stderr.isatty()
    with tqdm(unit=" videos", disable=quiet, file=sys.stderr, leave=False) as bar:

        def show(progress: Any) -> None:
            if not quiet:
                bar.total = int(progress.total)
                bar.set_description_str(f"  {verb} {printable(progress.note)}", refresh=False)
                bar.update(int(progress.done) - bar.n)

        yield show
