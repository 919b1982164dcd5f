"""`dubarr`: the whole pipeline from a terminal. No logic here: it parses, calls and prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubarr_pipeline import __version__
from dubarr_pipeline.terminal import EXIT_CODES, exit_code, printable

if TYPE_CHECKING:
    from dubarr_pipeline.settings import Settings


class _Group(click.Group):
    """Turns our errors into one message and their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        from dubarr_pipeline.errors import DubbingError

        try:
            return super().invoke(ctx)
        except DubbingError as error:
            click.echo(f"dubarr: {printable(str(error))}", err=True)
            ctx.exit(exit_code(type(error).__name__))
        except KeyboardInterrupt:
            click.echo("\ndubarr: stopped; run the same command to go on", err=True)
            ctx.exit(130)


_work_dir = click.option(
    "--work-dir", type=click.Path(path_type=Path), help="Folder of the work folders."
)
_config = click.option(
    "--config", type=click.Path(path_type=Path), help="Settings file (default: ./dubarr.toml)."
)


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
@click.option("--to", "languages", required=True, help="Target languages, e.g. es,ca.")
@click.option("--profile", help="Engine profile (default: the settings', else lite).")
@click.option("--force", is_flag=True, help="Make every stage anew.")
@_work_dir
@_config
def dub(
    paths: tuple[Path, ...], languages: str, profile: str | None, force: bool, **where: Any
) -> None:
    """Dub each video into the target languages; what is finished is kept."""
    from dubarr_pipeline.commands import dub_videos
    from dubarr_pipeline.library.languages import parse_languages

    targets = parse_languages(languages)
    sys.exit(dub_videos(paths, targets, _settings(profile=profile, **where), force))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@_work_dir
@_config
def status(as_json: bool, **where: Any) -> None:
    """Print the task table: every video, its status, its steps and their results."""
    from dubarr_pipeline.commands import print_status

    print_status(_settings(**where), as_json)


@main.command()
@click.argument("videos", nargs=-1, metavar="[VIDEO...]")
@click.option("--to", "languages", default="", help="As if these languages were asked for.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@_work_dir
@_config
def plan(videos: tuple[str, ...], languages: str, as_json: bool, **where: Any) -> None:
    """Say which stages would be made anew, and why: of the given videos, or of all."""
    from dubarr_pipeline.library.languages import parse_languages
    from dubarr_pipeline.plan_commands import print_plan

    targets = parse_languages(languages) if languages else ()
    print_plan(videos, targets, _settings(**where), as_json)


@main.command()
@click.argument("videos", nargs=-1, metavar="[VIDEO...]")
@_work_dir
@_config
def retry(videos: tuple[str, ...], **where: Any) -> None:
    """Run what ended in an error or was never finished: the given videos, or all such."""
    from dubarr_pipeline.commands import retry_videos

    sys.exit(retry_videos(videos, _settings(**where)))


@main.command()
@click.argument("video")
@click.option("--from", "stage", help="Only this stage and those after it.")
@_work_dir
@_config
def purge(video: str, stage: str | None, **where: Any) -> None:
    """Remove a video's artifacts (never the source), or those from one stage on."""
    from dubarr_pipeline.commands import purge_video

    purge_video(video, stage, _settings(**where))


@main.command()
@click.argument("library")
@click.option("--slice", "pattern", default="", help="Only paths below it like this: 'Show/S01*'.")
@click.option("--to", "languages", default="", help="Languages, in place of the library's.")
@click.option("--profile", default="", help="Engine profile, in place of the library's.")
@click.option("--from", "stage", default="", help="Make this stage and those after it anew.")
@click.option("--dry-run", is_flag=True, help="Only say what would be made, and why.")
@click.option("--here", is_flag=True, help="Work in this process instead of queueing runs.")
@_work_dir
@_config
def backfill(languages: str, work_dir: Path | None, config: Path | None, **wishes: Any) -> None:
    """Have a library dubbed as is wished now; what is finished is kept, and costs nothing."""
    from dubarr_pipeline.backfill_commands import Backfill
    from dubarr_pipeline.backfill_commands import backfill as start
    from dubarr_pipeline.library.languages import parse_languages

    targets = parse_languages(languages) if languages else ()
    sys.exit(start(Backfill(targets=targets, **wishes), _settings(work_dir, config)))


@main.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be removed, and why.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@_work_dir
@_config
def prune(dry_run: bool, as_json: bool, **where: Any) -> None:
    """Remove old runs, scratch files and the work of deleted videos, as [housekeeping] says."""
    from dubarr_pipeline.upkeep_commands import prune as remove_what_may_go

    remove_what_may_go(_settings(**where), dry_run, as_json)


@main.command()
@click.option("--profile", help="Engine profile to look at.")
@_work_dir
@_config
def doctor(profile: str | None, **where: Any) -> None:
    """Say what the profile needs, and what of it is missing, with the cure."""
    from dubarr_pipeline.commands import print_needs

    sys.exit(print_needs(_settings(profile=profile, **where)))


@main.command()
@_work_dir
@_config
def engines(**where: Any) -> None:
    """List the profiles and engines with their licences."""
    from dubarr_pipeline.commands import print_engines

    print_engines(_settings(**where))


@main.group()
def models() -> None:
    """List, fetch, verify and remove the engines' models."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@_work_dir
@_config
def models_list(as_json: bool, **where: Any) -> None:
    """List every model: whether it is here, its size, its licence, and who uses it."""
    from dubarr_pipeline.model_commands import print_models

    _settings(**where)
    print_models(as_json)


@models.command("pull", epilog=EXIT_CODES)
@click.argument("names", nargs=-1, metavar="[MODEL...]")
@click.option("--profile", help="Whose models, if none are named.")
@click.option("--update", is_flag=True, help="Take what the host holds now, not what was pinned.")
@_work_dir
@_config
def models_pull(names: tuple[str, ...], profile: str | None, update: bool, **where: Any) -> None:
    """Fetch models and check them: those named, or all that the profile lacks."""
    from dubarr_pipeline.model_commands import pull_models

    pull_models(names, _settings(profile=profile, **where), update)


@models.command("verify", epilog=EXIT_CODES)
@click.argument("names", nargs=-1, metavar="[MODEL...]")
@_work_dir
@_config
def models_verify(names: tuple[str, ...], **where: Any) -> None:
    """Read models again and compare every checksum: those named, or all that are here."""
    from dubarr_pipeline.model_commands import verify_models

    _settings(**where)
    sys.exit(verify_models(names))


@models.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="MODEL...")
@_work_dir
@_config
def models_remove(names: tuple[str, ...], **where: Any) -> None:
    """Remove models from the disk; a later pull brings the same bytes again."""
    from dubarr_pipeline.model_commands import remove_models

    _settings(**where)
    remove_models(names)


@main.group()
def library() -> None:
    """Show the libraries of dubarr.toml, and why a video is dubbed or not."""


_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable.")


@library.command("list")
@_json
@_config
@_work_dir
def library_list(as_json: bool, **where: Any) -> None:
    """List the libraries, and how far their videos are."""
    from dubarr_pipeline.library_commands import print_libraries

    print_libraries(_settings(**where), as_json)


@library.command("scan")
@click.argument("names", nargs=-1, metavar="[LIBRARY...]")
@_json
@_config
@_work_dir
def library_scan(names: tuple[str, ...], as_json: bool, **where: Any) -> None:
    """List every video: what it is dubbed into, or why it is not. Starts nothing."""
    from dubarr_pipeline.library_commands import print_scan

    print_scan(names, _settings(**where), as_json)


@library.command("explain")
@click.argument("video", type=click.Path(path_type=Path))
@_json
@_config
@_work_dir
def library_explain(video: Path, as_json: bool, **where: Any) -> None:
    """Say why a video is or is not dubbed."""
    from dubarr_pipeline.library_commands import explain

    explain(video, _settings(**where), as_json)


@main.command()
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...")
@_work_dir
@_config
def publish(videos: tuple[str, ...], **where: Any) -> None:
    """Put finished videos where their libraries want them."""
    from dubarr_pipeline.library_commands import publish_videos

    publish_videos(videos, _settings(**where))


@main.command()
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...")
@_work_dir
@_config
def restore(videos: tuple[str, ...], **where: Any) -> None:
    """Take back what was published: the originals have their places again."""
    from dubarr_pipeline.library_commands import restore_videos

    restore_videos(videos, _settings(**where))


@main.group()
def serve() -> None:
    """Serve: a library that dubs itself, voices to clients, an ear to Radarr and Sonarr."""


@serve.command("library", epilog=EXIT_CODES)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Of the UI."
)
@_work_dir
@_config
def serve_library(host: str, port: int, **where: Any) -> None:
    """Keep Dagster's webserver, daemon and code server alive: libraries dub themselves.

    What dies is started again; Ctrl-C or SIGTERM ends all of it. Logs: .dagster/serving.
    """
    from dubarr_pipeline.library_server import Door
    from dubarr_pipeline.library_server import serve_library as keep_serving

    keep_serving(_settings(**where), Door(host, port))


@serve.command()
@click.option("--model", default="coqui/XTTS-v2", show_default=True, help="Model, or its folder.")
@click.option("--name", default="", help="As clients call it (default: the model).")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8100, show_default=True, help="0: a free one.")
@click.option("--accept-licence", "accepted", multiple=True, help="A licence that you accept.")
@_work_dir
@_config
def tts(accepted: tuple[str, ...], **options: Any) -> None:
    """Speak for OpenAI's clients (POST /v1/audio/speech), each line in the voice of a sample.

    With $DUBARR_TTS_TOKEN set, clients must show it as their key.
    """
    from dubarr_pipeline.services.serve_tts import SpeechServing, serve_tts

    where = {name: options.pop(name) for name in ("work_dir", "config")}
    accepted = (*accepted, *_settings(**where).options("models").accept_licences)
    serve_tts(SpeechServing(accepted=accepted, **options), click.echo)


@serve.command()
@_work_dir
@_config
def webhooks(**where: Any) -> None:
    """Hear from Radarr, Sonarr and scripts of new files; the sensor `webhook_inbox` dubs them."""
    from dubarr_pipeline.library_commands import serve_webhooks

    serve_webhooks(_settings(**where))


@main.command()
@click.option("--to", "languages", default="es,ca", show_default=True, help="Target languages.")
@_work_dir
@_config
def demo(languages: str, **where: Any) -> None:
    """Make the demo video and dub it."""
    from dubarr_pipeline.commands import dub_videos
    from dubarr_pipeline.demo.video import demo_video
    from dubarr_pipeline.library.languages import parse_languages

    targets = parse_languages(languages)
    settings = _settings(**where)
    video = demo_video(settings.work_dir / "demo")
    sys.exit(dub_videos((video,), targets, settings))


def _settings(
    work_dir: Path | None = None, config: Path | None = None, profile: str | None = None
) -> Settings:
    import os
    from dataclasses import replace

    from dubarr_pipeline.settings import load_settings

    settings = load_settings(config, work_dir)
    # The stages read the settings anew, here and in whatever is started from here.
    os.environ["DUBARR_WORK_DIR"] = str(settings.work_dir)
    if config:
        os.environ["DUBARR_CONFIG"] = str(config.absolute())
    if profile:
        settings = replace(settings, profile=profile)
        settings.check()
    return settings


if __name__ == "__main__":
    main()
