"""The commands `dubarr library`, `publish` and `restore`."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubarr_pipeline import api
from dubarr_pipeline.cli.terminal import PATH, as_json, say, say_json, video_bar, with_settings

if TYPE_CHECKING:
    from dubarr_pipeline.api.libraries import Finding
    from dubarr_pipeline.api.profiles import Settings


@click.group()
def library() -> None:
    """Show the libraries, and why a video is dubbed or not."""


@library.command("list")
@as_json
@with_settings
def list_libraries(settings: Settings, as_json: bool) -> None:
    """List the libraries, and how far their videos are."""
    with video_bar("listing") as show:
        counts = api.video_counts.count_videos(settings, show)
    documents: list[dict[str, Any]] = [
        {
            "library": name,
            "path": str(library.path),
            "target_langs": list(library.target_langs),
            "profile": library.profile or settings.profile,
            "priority": library.priority,
            "videos": counts[name],
        }
        for name, library in settings.libraries.items()
    ]
    if as_json:
        say_json(documents)
        return
    if not documents:
        say("no libraries: run `dubarr setup`, or write [libraries.NAME] into dubarr.toml")
    for each in documents:
        say(f"{each['library']}: {each['path']} → {', '.join(each['target_langs'])}")
        say(f"  profile {each['profile']}, priority {each['priority']}")
        for status, count in sorted(each["videos"].items()):
            say(f"  {status:10} {count}")
        films = sum(count for status, count in each["videos"].items() if status != "LEFT OUT")
        if films:
            done = each["videos"].get("DONE", 0)
            say(f"  {done} of {films} done ({100 * done // films} %)")


@library.command()
@click.argument("names", nargs=-1, metavar="[LIBRARY...]")
@as_json
@with_settings
def scan(names: Sequence[str], settings: Settings, as_json: bool) -> None:
    """List every video with its languages, or why it is left out."""
    with video_bar("looking into") as show:
        findings = api.libraries.scan_libraries(names, settings, show)
    _print_findings(findings, as_json)
    if not as_json:
        say(f"{len(findings)} videos; switch on the sensor `media_folder` to have them dubbed")


@library.command("explain")
@click.argument("video", type=PATH)
@as_json
@with_settings
def explain_video(video: Path, settings: Settings, as_json: bool) -> None:
    """Explain why a video is or is not dubbed."""
    _print_findings(api.libraries.explain(video, settings), as_json)


def _print_findings(findings: Sequence[Finding], as_json: bool) -> None:
    if as_json:
        documents = [
            {
                "video": str(each.path),
                "library": each.library,
                "status": each.status,
                "target_langs": list(each.targets),
                "reason": each.reason,
            }
            for each in findings
        ]
        say_json(documents)
        return
    for each in findings:
        languages = f"  → {', '.join(each.targets)}" if each.targets else ""
        reason = f": {each.reason}" if each.reason else ""
        say(f"{each.status:10}  {each.path}{languages}{reason}")


@click.command("publish")
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...")
@with_settings
def publish_videos(videos: Sequence[str], settings: Settings) -> None:
    """Put finished videos where their libraries want them."""
    for name in videos:
        published = api.libraries.publish(name, settings)
        for place in (*(f.path for f in published.files), *(o.url for o in published.objects)):
            say(str(place))
        if published.original:
            kept = published.keep_until_s
            until = f"until {datetime.date.fromtimestamp(kept)}" if kept else "forever"
            say(f"  original: {published.original}, kept {until}")


@click.command()
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...")
@with_settings
def restore(videos: Sequence[str], settings: Settings) -> None:
    """Undo publishing: put the originals back in their places."""
    for name in videos:
        key, source = api.libraries.take_back(name, settings)
        say(f"{key}: {source} is the original again")


COMMANDS = (library, publish_videos, restore)
