"""The commands `dubarr serve` and `dubarr review`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dubarr_pipeline import api
from dubarr_pipeline.cli.terminal import EXIT_CODES, announce, with_settings

if TYPE_CHECKING:
    from dubarr_pipeline.api.profiles import Settings

_host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")


@click.group()
def serve() -> None:
    """Run a service: library, speech API or webhook receiver."""


@serve.command("library", epilog=EXIT_CODES)
@_host
@click.option(
    "--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of the UI."
)
@with_settings
def serve_library(host: str, port: int, settings: Settings) -> None:
    """Run Dagster's processes, so that libraries dub themselves.

    A process that exits is restarted; Ctrl-C or SIGTERM ends all. Logs: .dagster/serving.
    """
    api.libraries.serve_library(settings, host, port)


@serve.command()
@click.option("--model", default="coqui/XTTS-v2", show_default=True, help="Model, or its folder.")
@click.option("--name", default="", help="The model's name for clients; default: the model.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@_host
@click.option("--port", default=8100, show_default=True, help="Port; 0: a free one.")
@click.option("--accept-licence", "accepted", multiple=True, help="A licence that you accept.")
@with_settings
def tts(settings: Settings, **serving: Any) -> None:
    """Serve an OpenAI-compatible speech API that clones voices.

    POST /v1/audio/speech. With $DUBARR_TTS_TOKEN set, clients must send it as their key.
    """
    api.profiles.serve_speech(settings, announce, **serving)


@serve.command()
@with_settings
def webhooks(settings: Settings) -> None:
    """Receive news from Radarr, Sonarr, media servers and scripts.

    The sensor `webhook_inbox` dubs the files.
    """
    api.libraries.serve_webhooks(settings, announce)


@serve.command("review")
@with_settings
def serve_review(settings: Settings) -> None:
    """Serve the review page of all films.

    `dubarr serve library` does so as well.
    """
    api.review.serve_review(settings, announce)


@click.command(epilog=EXIT_CODES)
@click.argument("film")
@click.option("--open", "open_browser", is_flag=True, help="Open it in a browser.")
@with_settings
def review(film: str, open_browser: bool, settings: Settings) -> None:
    """See, hear, mend and approve a film in a browser.

    FILM is its key, a part of it, or its path.

    Prints the address of the page, with the token in it; Ctrl-C ends it.
    """
    api.review.serve_review(settings, announce, film, open_browser)


COMMANDS = (review, serve)
