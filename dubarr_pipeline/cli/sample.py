"""The command `dubarr sample`."""

from __future__ import annotations

import re
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dubarr_pipeline import api
from dubarr_pipeline.cli.models import print_fetches
from dubarr_pipeline.cli.terminal import (
    EXIT_CODES,
    PATH,
    StageBars,
    as_json,
    say,
    say_json,
    target_option,
    with_settings,
)

if TYPE_CHECKING:
    from dubarr_pipeline.api.profiles import Settings
    from dubarr_pipeline.api.samples import Sample

_CLOCK = re.compile(r"(?:(?:(\d{1,2}):)?(\d{1,3}):)?(\d{1,5}(?:\.\d{1,3})?)")


def _seconds(_ctx: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    found = _CLOCK.fullmatch(value)
    if not found:
        raise click.BadParameter(f"{value!r} is no time: write 0:12:00, 12:00 or 720")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


@click.command(epilog=EXIT_CODES)
@click.argument("film")
@target_option(default="", help="Target languages; default: the film's own, or its library's.")
@click.option("--at", "at_s", callback=_seconds, help="Begin there, e.g. 0:12:00.")
@click.option(
    "--seconds",
    "length_s",
    type=click.FloatRange(5, 600),
    default=60.0,
    show_default=True,
    help="Length of the sample.",
)
@click.option("--out", type=PATH, help="File or folder to put it in; default: the work folder.")
@click.option("--from", "spoken", default="", help="Spoken language; default: what the file names.")
@click.option("--profile", help="Engine profile; default: that of the film, its library, or lite.")
@as_json
@with_settings
def sample(
    film: str,
    targets: tuple[str, ...],
    at_s: float | None,
    length_s: float,
    out: Path | None,
    spoken: str,
    settings: Settings,
    as_json: bool,
) -> None:
    """Dub one minute of a film, to hear how all of it would be.

    Without --at it is the minute in which most people speak. The sample is a small film to play;
    FILM and its library are not touched, and nothing is published.
    """
    profile = click.get_current_context().params["profile"] or ""
    request = api.samples.SampleRequest(film, targets, at_s, length_s, out, spoken, profile)
    bars = StageBars()
    watch = api.dubbing.Watch(
        on_progress=lambda stage, at: bars.show(stage, at.done / (at.total or 1), at.note),
        fetch=print_fetches,
    )
    try:
        made = api.samples.make_sample(request, settings, watch)
    finally:
        bars.close()
    if as_json:
        say_json({**asdict(made), "path": str(made.path), "report": str(made.report)})
    else:
        _print_sample(made)


def _print_sample(made: Sample) -> None:
    clock = api.samples.clock
    minute = made.minute
    say(f"{clock(minute.start_s)} to {clock(minute.end_s)}: {minute.reason}")
    for each in made.speakers:
        name = f" ({each.name})" if each.name else ""
        voices = ", ".join(f"{language}: {voice}" for language, voice in each.voices.items())
        lines = f"{each.lines} line{'s' * (each.lines != 1)}"
        say(f"  {each.id}{name}, {lines}{f'; voice {voices}' if voices else ''}")
    for line in made.carried:
        say(f"  your correction holds: {line}")
    for line in made.summary:
        say(f"  {line}")
    say(f"  report: {made.report}")
    say(f"  sample: {made.path}")
    say(f"  play it: mpv {shlex.quote(str(made.path))} (# is the next track), or any other player")


COMMANDS = (sample,)
