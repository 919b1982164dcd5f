"""`dubarr`: the whole pipeline from a terminal. No logic here: it parses, calls and prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubarr_pipeline import __version__
from dubarr_pipeline.cli.terminal import EXIT_CODES, complain, exit_code
from dubarr_pipeline.errors import DubbingError

if TYPE_CHECKING:
    from dubarr_pipeline.api.profiles import Settings


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


def _targets(_ctx: click.Context, option: click.Parameter, value: str) -> tuple[str, ...]:
    from dubarr_pipeline.text.languages import parse_languages

    # An option that may be left out may be empty, too; a required one names a language.
    return parse_languages(value) if value or option.required else ()


def _where(command: Any) -> Any:
    """Add the options that say which settings and work folder a command uses."""
    path = click.Path(path_type=Path)
    command = click.option("--config", type=path, help="Settings file; default: ./dubarr.toml.")(
        command
    )
    return click.option("--work-dir", type=path, help="Folder of the work folders.")(command)


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _settings(
    work_dir: Path | None = None, config: Path | None = None, profile: str | None = None
) -> Settings:
    from dubarr_pipeline.api.profiles import read_settings

    return read_settings(work_dir, config, profile)


@click.group(
    cls=_Group, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="dubarr")
def main() -> None:
    """Dub videos: extra audio tracks in other languages, over the untouched music and effects."""


@main.command(epilog=EXIT_CODES)
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH..."
)
@click.option(
    "--to", "targets", required=True, callback=_targets, help="Target languages, e.g. es,ca."
)
@click.option("--from", "spoken", default="", help="Spoken language; default: what the file names.")
@click.option("--profile", help="Engine profile; default: that of the settings, else lite.")
@click.option("--force", is_flag=True, help="Rerun every stage.")
@_where
def dub(
    paths: tuple[Path, ...], targets: tuple[str, ...], spoken: str, force: bool, **settings: Any
) -> None:
    """Dub videos into other languages; finished work is reused."""
    from dubarr_pipeline.cli.dub import dub as run

    sys.exit(run(paths, targets, _settings(**settings), force, spoken))


@main.command()
@click.option(
    "--to",
    "targets",
    default="es,ca",
    show_default=True,
    callback=_targets,
    help="Target languages.",
)
@_where
def demo(targets: tuple[str, ...], **settings: Any) -> None:
    """Make the demo video and dub it."""
    from dubarr_pipeline.cli.dub import demo as run

    sys.exit(run(targets, _settings(**settings)))


@main.command()
@_json
@_where
def status(as_json: bool, **settings: Any) -> None:
    """Print every video's status, stages and results."""
    from dubarr_pipeline.cli.videos import status as run

    run(_settings(**settings), as_json)


@main.command()
@click.argument("videos", nargs=-1, metavar="[VIDEO...]")
@click.option("--to", "targets", default="", callback=_targets, help="Plan for these languages.")
@_json
@_where
def plan(videos: tuple[str, ...], targets: tuple[str, ...], as_json: bool, **settings: Any) -> None:
    """Show which stages would rerun, and why.

    Without VIDEO: of all videos.
    """
    from dubarr_pipeline.cli.videos import plan as run

    run(videos, targets, _settings(**settings), as_json)


@main.command()
@click.argument("videos", nargs=-1, metavar="[VIDEO...]")
@_where
def retry(videos: tuple[str, ...], **settings: Any) -> None:
    """Resume failed and unfinished videos: the named ones, or all."""
    from dubarr_pipeline.cli.dub import retry as run

    sys.exit(run(videos, _settings(**settings)))


@main.command()
@click.argument("video")
@click.option("--from", "stage", help="Only this stage and those after it.")
@_where
def purge(video: str, stage: str | None, **settings: Any) -> None:
    """Remove a video's results, never its source."""
    from dubarr_pipeline.cli.videos import purge as run

    run(video, stage, _settings(**settings))


@main.command()
@click.argument("library")
@click.option("--slice", "pattern", default="", help="Only paths below it like this: 'Show/S01*'.")
@click.option(
    "--to", "targets", default="", callback=_targets, help="Languages, in place of the library's."
)
@click.option("--profile", default="", help="Engine profile, in place of the library's.")
@click.option("--from", "stage", default="", help="Rerun this stage and those after it.")
@click.option("--dry-run", is_flag=True, help="Only show what would run, and why.")
@click.option("--here", is_flag=True, help="Work in this process instead of queueing runs.")
@_where
def backfill(
    dry_run: bool, here: bool, work_dir: Path | None, config: Path | None, **request: Any
) -> None:
    """Bring a library up to date; finished work is reused."""
    from dubarr_pipeline.api.backfill import BackfillRequest
    from dubarr_pipeline.cli.dub import backfill as run

    sys.exit(run(BackfillRequest(**request), _settings(work_dir, config), dry_run, here))


@main.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be removed, and why.")
@_json
@_where
def prune(dry_run: bool, as_json: bool, **settings: Any) -> None:
    """Remove old runs, scratch files and the work of deleted videos.

    The section [housekeeping] of the settings says what is old.
    """
    from dubarr_pipeline.cli.videos import prune as run

    run(_settings(**settings), dry_run, as_json)


@main.command()
@click.option("--profile", help="Engine profile to check.")
@_where
def doctor(**settings: Any) -> None:
    """Show what the profile needs, and how to get what is missing."""
    from dubarr_pipeline.cli.models import doctor as run

    sys.exit(run(_settings(**settings)))


@main.command()
@_where
def engines(**settings: Any) -> None:
    """List the profiles and engines with their licences."""
    from dubarr_pipeline.cli.models import engines as run

    run(_settings(**settings))


@main.group()
def models() -> None:
    """List, fetch, verify and remove the engines' models."""


@models.command("list")
@_json
@_where
def models_list(as_json: bool, **settings: Any) -> None:
    """List every model: presence, size, licence and engines."""
    from dubarr_pipeline.cli.models import list_models

    _settings(**settings)
    list_models(as_json)


@models.command("pull", epilog=EXIT_CODES)
@click.argument("names", nargs=-1, metavar="[MODEL...]")
@click.option("--profile", help="Profile to fetch for, if no model is named.")
@click.option("--update", is_flag=True, help="Take the host's newest version, not the pinned one.")
@_where
def models_pull(names: tuple[str, ...], update: bool, **settings: Any) -> None:
    """Fetch the named models, or all that the profile is missing."""
    from dubarr_pipeline.cli.models import pull

    pull(names, _settings(**settings), update)


@models.command("verify", epilog=EXIT_CODES)
@click.argument("names", nargs=-1, metavar="[MODEL...]")
@_where
def models_verify(names: tuple[str, ...], **settings: Any) -> None:
    """Compare every checksum of the named models, or of all."""
    from dubarr_pipeline.cli.models import verify

    _settings(**settings)
    sys.exit(verify(names))


@models.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="MODEL...")
@_where
def models_remove(names: tuple[str, ...], **settings: Any) -> None:
    """Remove models from the disk; a pull fetches the same bytes."""
    from dubarr_pipeline.cli.models import remove

    _settings(**settings)
    remove(names)


@main.group()
def library() -> None:
    """Show the libraries, and why a video is dubbed or not."""


@library.command("list")
@_json
@_where
def library_list(as_json: bool, **settings: Any) -> None:
    """List the libraries, and how far their videos are."""
    from dubarr_pipeline.cli.library import list_libraries

    list_libraries(_settings(**settings), as_json)


@library.command("scan")
@click.argument("names", nargs=-1, metavar="[LIBRARY...]")
@_json
@_where
def library_scan(names: tuple[str, ...], as_json: bool, **settings: Any) -> None:
    """List every video with its languages, or why it is left out."""
    from dubarr_pipeline.cli.library import scan

    scan(names, _settings(**settings), as_json)


@library.command("explain")
@click.argument("video", type=click.Path(path_type=Path))
@_json
@_where
def library_explain(video: Path, as_json: bool, **settings: Any) -> None:
    """Explain why a video is or is not dubbed."""
    from dubarr_pipeline.cli.library import explain

    explain(video, _settings(**settings), as_json)


@main.command()
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...")
@_where
def publish(videos: tuple[str, ...], **settings: Any) -> None:
    """Put finished videos where their libraries want them."""
    from dubarr_pipeline.cli.library import publish as run

    run(videos, _settings(**settings))


@main.command()
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...")
@_where
def restore(videos: tuple[str, ...], **settings: Any) -> None:
    """Undo publishing: put the originals back in their places."""
    from dubarr_pipeline.cli.library import restore as run

    run(videos, _settings(**settings))


@main.group()
def serve() -> None:
    """Run a service: library, speech API or webhook receiver."""


@serve.command("library", epilog=EXIT_CODES)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of the UI."
)
@_where
def serve_library(host: str, port: int, **settings: Any) -> None:
    """Run Dagster's processes, so that libraries dub themselves.

    A process that exits is restarted; Ctrl-C or SIGTERM ends all. Logs: .dagster/serving.
    """
    from dubarr_pipeline.api.libraries import serve_library as run

    run(_settings(**settings), host, port)


@serve.command()
@click.option("--model", default="coqui/XTTS-v2", show_default=True, help="Model, or its folder.")
@click.option("--name", default="", help="The model's name for clients; default: the model.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8100, show_default=True, help="Port; 0: a free one.")
@click.option("--accept-licence", "accepted", multiple=True, help="A licence that you accept.")
@_where
def tts(work_dir: Path | None, config: Path | None, **serving: Any) -> None:
    """Serve an OpenAI-compatible speech API that clones voices.

    POST /v1/audio/speech. With $DUBARR_TTS_TOKEN set, clients must send it as their key.
    """
    from dubarr_pipeline.api.profiles import serve_speech

    serve_speech(_settings(work_dir, config), click.echo, **serving)


@serve.command()
@_where
def webhooks(**settings: Any) -> None:
    """Receive file events from Radarr, Sonarr and scripts.

    The sensor `webhook_inbox` dubs the files.
    """
    from dubarr_pipeline.api.libraries import serve_webhooks

    serve_webhooks(_settings(**settings), click.echo)


if __name__ == "__main__":
    main()
