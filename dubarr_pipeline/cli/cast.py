"""The command `dubarr cast`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from dubarr_pipeline import api
from dubarr_pipeline.cli.dub import print_attempts
from dubarr_pipeline.cli.terminal import as_json, say, say_json, with_settings

if TYPE_CHECKING:
    from dubarr_pipeline.api.profiles import Settings
    from dubarr_pipeline.api.series import CastCorrection, SeriesCast

_FIELDS = ("character", "name", "voice", "rendering", "pronunciation")


@click.command()
@click.argument("series", required=False)
@click.option("--is", "character", multiple=True, help="FILM/SPEAKER_00=C01, or =new.")
@click.option("--name", multiple=True, help="C01=Anna.")
@click.option("--voice", multiple=True, help="C01/es=ef_dora; nothing after = is the dealt one.")
@click.option("--rendering", multiple=True, help="TERM/es=words, in the glossary of the series.")
@click.option("--pronunciation", multiple=True, help="TERM/es=words, as a voice is to read it.")
@click.option("--respeak", is_flag=True, help="Speak the corrected people again, in all films.")
@as_json
@with_settings
def cast(
    series: str | None, respeak: bool, settings: Settings, as_json: bool, **given: Sequence[str]
) -> int:
    """Show who is known in a series, and correct it.

    Without SERIES: all series. A correction counts in the films that come; with --respeak also in
    those that are finished, where only the corrected people are spoken again.
    """
    if series is None and (respeak or any(given.values())):
        raise click.UsageError("corrections and --respeak are of one SERIES: name it")
    if series is None:
        known = api.series.list_series(settings)
    else:
        corrections = [
            _correction(name, text, settings) for name in _FIELDS for text in given[name]
        ]
        found = api.series.series_cast(series, settings)
        if corrections:
            found = api.series.correct_cast(found.key, corrections, settings)
        known = [found]
    if as_json:
        say_json([{**asdict(each), "people": _people(each)} for each in known])
    else:
        for each in known:
            _print_cast(each)
        if not known:
            say("no series is remembered yet")
    if respeak:
        return print_attempts(lambda watch: api.series.respeak(known[0].key, settings, watch))
    return 0


def _correction(field: str, text: str, settings: Settings) -> CastCorrection:
    """Return a correction of the command line: TARGET=VALUE, or TARGET/LANGUAGE=VALUE."""
    target, sign, value = text.partition("=")
    if not sign or not target:
        raise click.UsageError(f"{text!r} has no =: write TARGET=VALUE")
    language = ""
    if field in ("voice", "rendering", "pronunciation"):
        target, _, language = target.rpartition("/")
    elif field == "character":
        film, _, speaker = target.rpartition("/")
        target = f"{api.planning.find_key(film, settings)}/{speaker}"
    return api.series.CastCorrection(target, field, value or None, language)  # pyright: ignore


def _people(found: SeriesCast) -> list[dict[str, object]]:
    return [
        {**asdict(each), "reference": str(each.reference) if each.reference else None}
        for each in found.people
    ]


def _print_cast(found: SeriesCast) -> None:
    say(f"{found.key}  {found.title}: {len(found.people)} people, {len(found.episodes)} films")
    for each in found.people:
        voices = "; ".join(
            f"{language} {voice}"
            for spoken in each.voices.values()
            for language, voice in spoken.items()
        )
        say(f"  {each.id}  {each.name or '-':20} {voices or '-'}  in {len(each.episodes)} films")
    for one in found.unsure:
        may = f"may be {one.proposed}: " if one.proposed else ""
        say(f"  ?  {one.episode}/{one.speaker}  {may}{one.why}")
    if found.to_respeak:
        say(f"  corrected, but not spoken again: {', '.join(found.to_respeak)} (--respeak)")


COMMANDS = (cast,)
