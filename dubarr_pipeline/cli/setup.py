"""The command `dubarr setup`, and the one question that a first dub asks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubarr_pipeline import api
from dubarr_pipeline.cli.models import print_fetches
from dubarr_pipeline.cli.setup_questions import SetupOptions, set_up
from dubarr_pipeline.cli.terminal import (
    EXIT_CODES,
    PATH,
    complain,
    exit_code,
    say,
    with_settings,
)
from dubarr_pipeline.errors import MissingRequirement, ServiceError, SettingsError

if TYPE_CHECKING:
    from dubarr_pipeline.api.profiles import Pairs, Settings
    from dubarr_pipeline.api.voices import VoicesOffer


@click.group(invoke_without_command=True, epilog=EXIT_CODES)
@click.option("--yes", "-y", is_flag=True, help="Ask nothing; take what is given and found.")
@click.option("--films", multiple=True, metavar="FOLDER", help="Folder of films; repeatable.")
@click.option("--to", metavar="LANG[,LANG]", default="", help="Languages to dub into.")
@click.option("--voices", "profile", default="", help="lite or laptop.")
@click.option("--publish", type=click.Choice(["beside", "sidecar", "none"]), default="beside")
@click.option("--radarr", metavar="URL", default="", help="Its key: $RADARR_KEY, or asked for.")
@click.option("--sonarr", metavar="URL", default="", help="Its key: $SONARR_KEY.")
@click.option("--bazarr", metavar="URL", default="", help="Its key: $BAZARR_KEY.")
@click.option("--jellyfin", metavar="URL", default="", help="Its key: $JELLYFIN_KEY.")
@click.option("--plex", metavar="URL", default="", help="Its token: $PLEX_KEY.")
@click.option("--map", "maps", multiple=True, metavar="THEIRS=OURS", help="A folder; repeatable.")
@click.option("--address", metavar="URL", default="", help="Address by which they reach dubarr.")
@click.option("--first-film", is_flag=True, help="Dub a film at the end; with --yes.")
@click.option("--page", is_flag=True, help="Print the link of the page, which does the same.")
@click.option("--work-dir", type=PATH, help="Folder of the work folders.")
@click.option("--config", type=PATH, help="Settings file; default: ./dubarr.toml.")
@click.pass_context
def setup(
    ctx: click.Context, work_dir: Path | None, config: Path | None, page: bool, **options: Any
) -> None:
    """Set up libraries, voices and the servers around them.

    It finds Radarr, Sonarr, Bazarr, Jellyfin and Plex, shows what it would change, and asks. Can be
    run again at any time. Keys are asked for unseen.
    """
    if ctx.invoked_subcommand:
        return
    settings = api.profiles.read_settings(work_dir, config)
    if page:
        say(api.setup.page_link(settings))
        return
    ctx.exit(set_up(SetupOptions(**options), settings))


@setup.command(epilog=EXIT_CODES)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--from", "spoken", metavar="LANG", help="Language that is spoken in your films.")
@click.option("--to", metavar="LANG[,LANG]", help="Languages to dub into.")
@with_settings
def voices(yes: bool, spoken: str, to: str, settings: Settings) -> int:
    """Get neural voices and recognition for the CPU, and use them.

    With --from and --to also the translators of these languages; they come with a film otherwise.
    """
    pairs = api.profiles.language_pairs(spoken or "", to or "")
    offer = api.voices.voices_offer(settings, pairs)
    for name, licence, size in offer.models:
        say(f"  {name}: about {size} MB, {licence}")
    for package in offer.packages:
        say(f"  {package}: by pip, into {sys.prefix}")
    where = settings.config_file or Path("dubarr.toml").absolute()
    say(f'  profile = "{api.voices.BETTER}" in {where}')
    if not yes:
        if not sys.stdin.isatty():
            raise SettingsError("nobody is here to say yes: add --yes")
        if not click.confirm("Get all this?", err=True):
            return 0
    _get(offer, settings, pairs)
    return exit_code(MissingRequirement) if _tell_what_is_missing(settings) else 0


COMMANDS = (setup,)


def offer_voices(settings: Settings, profile: str | None, targets: Sequence[str]) -> Settings:
    """Ask once, in a terminal, whether better voices are wanted; return the settings to dub with.

    `profile` is what the command line chose. Nobody is asked who has chosen a profile or a voice,
    or who dubs into a language that the better voices do not speak.
    """
    in_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if profile or not in_terminal or not api.voices.is_to_be_asked(settings, targets):
        return settings
    offer = api.voices.voices_offer(settings)
    cost = f"about {offer.about_mb} MB once ({', '.join(offer.licences)})" if offer.models else ""
    click.echo(
        f"These voices are a robot's. Natural ones, and speech recognition, run on this CPU: "
        f"{cost or 'their models are here already'}.\n"
        "`dubarr setup voices` gets them at any time; a translator (12-39 MB) comes with a film.",
        err=True,
    )
    wanted = click.confirm("Get them now?", err=True)
    if wanted:
        _get(offer, settings)
    # Not before: whoever wants them and cannot have them today is asked again.
    api.voices.remember_answer(settings)
    if not wanted:
        return settings
    return api.voices.better_settings(settings)


def _get(offer: VoicesOffer, settings: Settings, pairs: Pairs = ()) -> None:
    if offer.packages:
        api.voices.install(offer.packages)
    better = api.voices.better_settings(settings)
    try:
        if fetches := api.profiles.models_to_fetch(better, pairs=pairs):
            print_fetches(better.profile, fetches)
    except ServiceError as error:
        raise MissingRequirement(
            f"{error}; your settings are as they were: check the network and run `dubarr setup "
            "voices` again, or go on with the robot's voices by --profile lite"
        ) from error
    for name in sorted(offer.helpful):
        try:
            print_fetches(better.profile, api.profiles.models_to_fetch(better, [name]))
        except (MissingRequirement, ServiceError) as error:
            complain(f"works without {name}, only not as well: {error}")
    say(f'profile = "{better.profile}" in {api.voices.choose_profile(settings)}')


def _tell_what_is_missing(settings: Settings) -> bool:
    """Print the needs that are still unmet, with their cures; return whether there are any."""
    needs = api.profiles.needs(api.voices.better_settings(settings))
    missing = [need for _, need in needs if not need.present]
    for need in missing:
        say(f"MISSING {need.kind} {need.name}  → {need.cure}")
    return bool(missing)
