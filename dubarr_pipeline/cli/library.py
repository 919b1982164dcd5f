"""Output of `dubarr library`, `publish` and `restore`."""

import datetime
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dubarr_pipeline.api import libraries
from dubarr_pipeline.api.libraries import Finding
from dubarr_pipeline.api.profiles import Settings
from dubarr_pipeline.cli.terminal import say


def list_libraries(settings: Settings, as_json: bool) -> None:
    """Print every library with its settings, and how far its videos are."""
    documents: list[dict[str, Any]] = []
    for name, library in settings.libraries.items():
        findings = libraries.scan_libraries([name], settings)
        documents.append(
            {
                "library": name,
                "path": str(library.path),
                "target_langs": list(library.target_langs),
                "profile": library.profile or settings.profile,
                "priority": library.priority,
                "videos": dict(Counter(each.status for each in findings)),
            }
        )
    if as_json:
        say(json.dumps(documents, indent=1))
        return
    if not documents:
        say("no libraries: write [libraries.NAME] into dubarr.toml (see dubarr.example.toml)")
    for each in documents:
        say(f"{each['library']}: {each['path']} → {', '.join(each['target_langs'])}")
        say(f"  profile {each['profile']}, priority {each['priority']}")
        for status, count in sorted(each["videos"].items()):
            say(f"  {status:10} {count}")


def scan(names: Sequence[str], settings: Settings, as_json: bool) -> None:
    """Print every video of the libraries. Starts nothing."""
    findings = libraries.scan_libraries(names, settings)
    _print_findings(findings, as_json)
    if not as_json:
        say(f"{len(findings)} videos; switch on the sensor `media_folder` to have them dubbed")


def explain(path: Path, settings: Settings, as_json: bool) -> None:
    """Print the reason why a video is or is not dubbed."""
    _print_findings(libraries.explain(path, settings), as_json)


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
        say(json.dumps(documents, indent=1))
        return
    for each in findings:
        languages = f"  → {', '.join(each.targets)}" if each.targets else ""
        reason = f": {each.reason}" if each.reason else ""
        say(f"{each.status:10}  {each.path}{languages}{reason}")


def publish(names: Sequence[str], settings: Settings) -> None:
    """Put the named videos where their libraries want them."""
    for name in names:
        published = libraries.publish(name, settings)
        for place in (*(f.path for f in published.files), *(o.url for o in published.objects)):
            say(str(place))
        if published.original:
            kept = published.keep_until_s
            until = f"until {datetime.date.fromtimestamp(kept)}" if kept else "forever"
            say(f"  original: {published.original}, kept {until}")


def restore(names: Sequence[str], settings: Settings) -> None:
    """Take back what was published of the named videos."""
    for name in names:
        key, source = libraries.take_back(name, settings)
        say(f"{key}: {source} is the original again")
