"""Corrections and voices of speakers, in another script found again by their lines.

Another diarization numbers people otherwise. What was known of ``SPEAKER_01`` goes to whoever says
those lines in the new script; ``edits/.people`` names the script that it was about until then.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dubarr_pipeline.edits.base import ScriptMap, keep_base, lasting_ids, read_base
from dubarr_pipeline.edits.files import edits_lock, read_checked, replace_json
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.script.model import Transcript
from dubarr_pipeline.script.speakers.casting import NARRATOR
from dubarr_pipeline.workdir.artifacts import read_transcript
from dubarr_pipeline.workdir.layout import WorkDir

_log = logging.getLogger(__name__)


def mark_people(work: WorkDir, heard: WorkDir | None = None) -> None:
    """Note whose speakers those of ``edits/speakers.json`` are, before another script comes.

    With `heard`, the folder of another release that they come from, those of ``cast.json`` too.
    """
    made = heard or work
    known = [work.edits / "speakers.json", *([work.cast] if heard else ())]
    if not any(path.is_file() for path in known):
        return
    if not made.transcription.is_file():
        # It was never heard itself, and may have them from a release before.
        if heard and (older := read_checked(_mark(heard), _whole)):
            replace_json(_mark(work), older)
        return
    try:
        with edits_lock(work):
            lasting = lasting_ids(work, read_transcript(made.transcription))
            before = {script.at for script in lasting.scripts}
            now = datetime.now(UTC).isoformat(timespec="microseconds")
            keep_base(work, lasting, max([now, *before]), before)
            replace_json(_mark(work), {"of": read_base(work)[-1].at})
    except ArtifactError as error:
        _log.warning("speakers keep their numbers: %s", error)


def settle_people(work: WorkDir, script: Transcript) -> tuple[str, ...]:
    """Give what was known of the speakers of an older script to those who say their lines now.

    Returns:
        Ids of corrected speakers whom nobody surely is now; ``edits/speakers.json`` keeps what was
        said of them as ``lost``. A lost speaker's voice is dealt anew.
    """
    lost: dict[str, Any] = {}
    try:
        if not (mark := read_checked(_mark(work), _whole)):
            return ()
        with edits_lock(work):
            way = lasting_ids(work, script).map_from(str(mark["of"]))
            path = work.edits / "speakers.json"
            if found := read_checked(path, _whole):
                there, lost = _moved(found.get("speakers", {}), way)
                gone = {**found.get("lost", {}), **lost}
                _replace(path, found, {"speakers": there, **({"lost": gone} if gone else {})})
            if found := read_checked(work.cast, _whole):
                voices = found.get("languages", {})
                there = {language: _moved(voices[language], way)[0] for language in voices}
                _replace(work.cast, found, {"languages": there})
            _mark(work).unlink()
    except (ArtifactError, AttributeError, KeyError) as error:
        _log.warning("speakers keep their numbers: %s", error)
    if lost:
        _log.warning("corrected speakers who are not found again: %s", ", ".join(lost))
    return tuple(lost)


def _replace(path: Path, found: Mapping[str, Any], parts: Mapping[str, Any]) -> None:
    # What stays as it was keeps its bytes, which stages depend on.
    if {**found, **parts} != found:
        replace_json(path, {**found, **parts})


def _moved(
    facts: Mapping[str, Any], way: ScriptMap | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return facts by the speakers of the new script, and those of lost ones by their old ids."""
    if way is None:
        return dict(facts), {}
    names = {who: NARRATOR if who == NARRATOR else way.speakers.get(who) for who in facts}
    found = {now: facts[who] for who, now in names.items() if now}
    return found, {who: facts[who] for who, now in names.items() if not now}


def _mark(work: WorkDir) -> Path:
    return work.edits / ".people"


def _whole(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise TypeError("it is no object")
    return found
