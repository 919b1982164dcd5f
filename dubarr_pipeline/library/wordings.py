"""Wordings that people wrote: subtitles that exist in a target language, and corrections by hand.

``edits/{lang}.srt`` is a corrected copy of the dubbed subtitles, matched to the lines by time;
``edits/{lang}.json`` names lines by index: ``{"lines": {"3": {"text": "..."}}}``. Both are
read, and never written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.library.intake import Plan, subtitle_digest
from dubarr_pipeline.media.subtitle_sources import SubtitleSource
from dubarr_pipeline.media.subtitles import existing_translation, read_cues
from dubarr_pipeline.timeline.script import Transcript
from dubarr_pipeline.timeline.subtitle_matching import match_subtitles
from dubarr_pipeline.workdir import WorkDir

Lines = Mapping[str, Mapping[int, str]]
"""Target language → index of a line → its wording."""


def existing_lines(
    plan: Plan, targets: tuple[str, ...], script: Transcript, offset_s: float
) -> Lines:
    """Match the subtitles that exist in the target languages to the lines of the script."""
    found: dict[str, Mapping[int, str]] = {}
    for target in targets:
        source = existing_translation(plan.info, target)
        if source:
            cues = read_cues(source, plan.info, script.rate, offset_s)
            matched = match_subtitles(script.lines, cues, script.rate)
            found[target] = {index: text for index, text in matched.items() if text}
    return found


def existing_digests(plan: Plan, targets: tuple[str, ...]) -> Mapping[str, str]:
    """Digest of each target language's existing subtitles, where there are any."""
    sources = {target: existing_translation(plan.info, target) for target in targets}
    return {target: subtitle_digest(source) for target, source in sources.items() if source}


def read_edits(work: WorkDir, plan: Plan, script: Transcript, offset_s: float) -> Lines:
    """Read a person's corrections. Raises `ArtifactError` where a file cannot be understood."""
    found: dict[str, dict[int, str]] = {}
    for target in sorted({path.stem for path in work.edits.glob("*")}):
        srt, document = _files(work, target)
        lines: dict[int, str] = {}
        if srt.is_file():
            source = SubtitleSource("full", "sidecar", srt, "srt", language=target)
            cues = read_cues(source, plan.info, script.rate, offset_s)
            matched = match_subtitles(script.lines, cues, script.rate)
            lines |= {index: text for index, text in matched.items() if text}
        if document.is_file():
            lines |= _from_json(document)
        if lines:
            found[target] = lines
    return found


def edits_digest(work: WorkDir, targets: tuple[str, ...]) -> str | None:
    """Digest of all corrections; None where there are none."""
    parts = [path.read_bytes() for t in targets for path in _files(work, t) if path.is_file()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest() if parts else None


def _files(work: WorkDir, target: str) -> tuple[Path, Path]:
    return work.edits / f"{target}.srt", work.edits / f"{target}.json"


def _from_json(path: Path) -> dict[int, str]:
    try:
        lines = json.loads(path.read_text(encoding="utf-8"))["lines"]
        return {int(index): str(line["text"]) for index, line in lines.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(
            f'{path} is not understood ({error!r}): write {{"lines": {{"3": {{"text": "..."}}}}}}'
        ) from error
