"""The commands `dubarr approve`, `hold` and `qc`."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubarr_pipeline import api
from dubarr_pipeline.cli.terminal import PATH, say, target_option, with_settings

if TYPE_CHECKING:
    from dubarr_pipeline.api.gate import Gate
    from dubarr_pipeline.api.profiles import Settings


def _by_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option ``--by``."""
    return click.option("--by", help="Who decides; default: the user of this system.")(command)


@click.command()
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...")
@click.option("--note", default="", help="A note that stays with the approval.")
@_by_option
@with_settings
def approve(videos: Sequence[str], note: str, by: str | None, settings: Settings) -> None:
    """Publish videos that their gate holds.

    Approved is what is amiss now: another fault after a later run holds the video again.
    """
    for name in videos:
        gate = api.gate.approve(name, settings, by or _user(), note)
        _say_gate(name, gate)
        if gate.state != "held" and api.gate.is_due(name, settings):
            for place in api.libraries.publish(name, settings).places:
                say(f"  published: {place}")


@click.command()
@click.argument("video")
@click.option("--note", required=True, help="Why; it is shown wherever the video is.")
@_by_option
@with_settings
def hold(video: str, note: str, by: str | None, settings: Settings) -> None:
    """Hold a video until it is approved.

    No later run lets it through.
    What is published already stays: `dubarr restore` takes it back.
    """
    _say_gate(video, api.gate.hold(video, settings, by or _user(), note))


def _user() -> str:
    try:
        return getpass.getuser()
    # A container's user may have no name.
    except (KeyError, OSError):
        return "somebody"


def _say_gate(name: str, gate: Gate) -> None:
    say(f"{name}: {gate.state}")
    for reason in gate.reasons:
        say(f"  {reason}")


@click.command()
@click.argument("video")
@target_option(default="", help="Only these languages.")
@click.option("--out", type=PATH, help="The file; default: qc.html in the video's work folder.")
@with_settings
def qc(video: str, targets: tuple[str, ...], out: Path | None, settings: Settings) -> None:
    """Write a page of the lines in doubt, with sounds.

    It is one file, to send to somebody.
    """
    say(str(api.gate.write_qc_sheet(video, settings, targets, out)))


COMMANDS = (approve, hold, qc)
