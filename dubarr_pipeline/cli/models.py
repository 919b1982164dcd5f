"""The commands `dubarr models`, `doctor` and `engines`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

import click

from dubarr_pipeline import api
from dubarr_pipeline.cli.terminal import (
    EXIT_CODES,
    as_json,
    byte_bar,
    exit_code,
    say,
    say_json,
    with_settings,
)
from dubarr_pipeline.errors import MissingRequirement
from dubarr_pipeline.text.printable import megabytes

if TYPE_CHECKING:
    from dubarr_pipeline.api.profiles import ModelFetch, Settings


@click.group()
def models() -> None:
    """List, fetch, verify and remove the engines' models."""


def print_fetches(profile: str, fetches: Sequence[ModelFetch]) -> None:
    """Fetch the models that a profile is missing; print all sizes first."""
    say(f"profile {profile!r} is missing {len(fetches)} model{'s' if len(fetches) > 1 else ''}:")
    _fetch(fetches)


@models.command(epilog=EXIT_CODES)
@click.argument("names", nargs=-1, metavar="[MODEL...]")
@click.option("--profile", help="Profile to fetch for, if no model is named.")
@click.option("--update", is_flag=True, help="Take the host's newest version, not the pinned one.")
@with_settings
def pull(names: Sequence[str], settings: Settings, update: bool) -> None:
    """Fetch the named models, or all that the profile is missing."""
    fetches = api.profiles.models_to_fetch(settings, names, update)
    _fetch(fetches)
    if not fetches:
        say(f"profile {settings.profile!r}: every model that it needs is here")


def _fetch(fetches: Sequence[ModelFetch]) -> None:
    for each in fetches:
        size = f"{megabytes(each.size)} to fetch" if each.size else "nothing to fetch"
        say(f"  {each.name}: {size}")
    if len(fetches) > 1:
        total = megabytes(sum(each.size for each in fetches))
        say(f"  together {total}, into {api.profiles.models_dir()}")
    for each in fetches:
        with byte_bar(each.name) as show:
            size = each.fetch(lambda at, show=show: show(at.file, at.done, at.total))
        say(f"  {each.name}: here, {megabytes(size)}, checked")


@models.command(epilog=EXIT_CODES)
@click.argument("names", nargs=-1, metavar="[MODEL...]")
@with_settings
def verify(names: Sequence[str], settings: Settings) -> int:  # noqa: ARG001
    """Compare every checksum of the named models, or of all."""
    faults_of = api.profiles.verify_models(names)
    for name, faults in faults_of.items():
        say(f"{name}: " + ("DAMAGED" if faults else "whole"))
        for fault in faults:
            say(f"  {fault}")
        if faults:
            say(f"  → dubarr models pull {name}")
    return exit_code(MissingRequirement) if any(faults_of.values()) else 0


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="MODEL...")
@with_settings
def remove(names: Sequence[str], settings: Settings) -> None:  # noqa: ARG001
    """Remove models from the disk; a pull fetches the same bytes."""
    for name in names:
        say(f"{name}: {megabytes(api.profiles.remove_model(name))} freed")


@models.command("list")
@as_json
@with_settings
def list_models(as_json: bool, settings: Settings) -> None:  # noqa: ARG001
    """List every model: presence, size, licence and engines."""
    listings = api.profiles.list_models()
    if as_json:
        say_json([asdict(each) for each in listings])
        return
    say(f"models in {api.profiles.models_dir()}")
    # Of a large family those that are here, and one line for the others.
    others = [each for each in listings if each.family and not each.present]
    for each in listings:
        if each in others:
            continue
        mark = "here   " if each.present else "-      "
        size = megabytes(each.bytes) if each.bytes else "?"
        say(f"{mark} {each.name}  {'' if each.present else 'about '}{size}")
        notes = {True: "", False: " (NO commercial use)", None: f" (see {each.page})"}
        facts = (
            each.summary,
            f"licence {each.licence}{notes[each.commercial]}",
            f"conditions to accept at {each.page}" if each.gated else "",
            f"{each.vram_gb:g} GB of graphics memory" if each.vram_gb else "",
            f"used by {', '.join(each.used_by)}" if each.used_by else "",
        )
        say(f"        {'; '.join(filter(None, facts))}")
    for family, group in groupby(others, key=lambda each: each.family):
        rows = list(group)
        sizes = sorted(each.bytes for each in rows)
        say(f"-       {family}/...  {megabytes(sizes[0])} to {megabytes(sizes[-1])} each")
        names = " ".join(each.name.partition("/")[2] for each in rows)
        say(f"        licence {rows[0].licence}; of these, those of the film's languages: {names}")


@click.command()
@click.option("--profile", help="Engine profile to check.")
@click.option("--from", "spoken", metavar="LANG", help="Language that is spoken in your films.")
@click.option("--to", metavar="LANG[,LANG]", help="Languages to dub into.")
@with_settings
def doctor(settings: Settings, spoken: str, to: str) -> int:
    """Show what the profile needs, and how to get what is missing.

    With --to also whether the voice speaks them; with --from and --to whether the translator serves
    them, and its models of each pair of languages.
    """
    pairs = api.profiles.language_pairs(spoken or "", to or "")
    needs = api.profiles.needs(settings, pairs)
    needs += api.profiles.language_needs(settings, pairs, to or "")
    for user, need in needs:
        mark = "ok     " if need.present else "MISSING"
        cure = "" if need.present else f"  → {need.cure}"
        say(f"{mark} {need.kind:8} {need.name}  ({user}){cure}")
    for each in api.profiles.list_engines(settings):
        if each.chosen and each.row.caution:
            say(f"note    {each.row.kind} {each.row.name}: {each.row.caution}")
    servers = api.profiles.list_llm_servers(settings)
    if any(chosen for _, chosen in servers):
        for row, _ in (each for each in servers if not each[1]):
            say(f'note    language model: also by llm.serve = "{row.name}": {row.summary}')
            say(f"        needs: {row.needs}")
    missing = sum(not need.present for _, need in needs)
    say(f"profile {settings.profile!r}: " + (f"{missing} missing" if missing else "ready"))
    return exit_code(MissingRequirement) if missing else 0


@click.command(epilog=EXIT_CODES)
@click.option("--play", "language", metavar="LANG", help="Hear every voice in this language.")
@click.option("--engine", "name", metavar="NAME", help="Synthesizer to hear, if another one.")
@with_settings
def engines(settings: Settings, language: str | None, name: str | None) -> None:
    """List the profiles and engines with their licences.

    With --play write a sentence in every voice of the synthesizer to the folder voices_LANG, with a
    page to play them.
    """
    if language or name:
        if not language:
            raise click.UsageError("--engine needs --play LANG")
        folder, samples = api.profiles.play_voices(
            settings,
            language,
            name,
            lambda at: say(f"  {at.done + 1:.0f} of {at.total:.0f}: {at.note}"),
        )
        heard = sum(bool(sample.file) for sample in samples)
        say(f"{heard} of {len(samples)} voices: {folder / 'index.html'}")
        return
    _print_engines(settings)


def _print_engines(settings: Settings) -> None:
    say(f"profiles: {', '.join(api.profiles.PROFILES)} (chosen: {settings.profile})")
    listings = api.profiles.list_engines(settings)
    for kind, group in groupby(listings, key=lambda each: each.row.kind):
        say(kind)
        for each in group:
            row, mark = each.row, "*" if each.chosen else " "
            say(f"  {mark} {row.name:14} {row.licence:18} {row.summary}")
            if row.caution:
                say(f"      {row.caution}")
            if not row.commercial:
                state = "accepted" if each.accepted else "not accepted"
                say(f"      {row.licence} allows NO commercial use ({state})")
            for name, licence in each.model_licences.items():
                say(f"      model {name}: {licence}")
    say("language model (llm.serve)")
    for row, chosen in api.profiles.list_llm_servers(settings):
        say(f"  {'*' if chosen else ' '} {row.name:14} {row.licence:18} {row.summary}")
        say(f"      needs: {row.needs}")


COMMANDS = (models, doctor, engines)
