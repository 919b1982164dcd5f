"""The edits of a film, put into its script and its languages."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dubarr_pipeline.edits.base import lasting_ids
from dubarr_pipeline.edits.document import (
    edits_path,
    is_by_facts,
    read_edits_document,
)
from dubarr_pipeline.edits.files import read_checked, replace_json
from dubarr_pipeline.edits.history import Slot, in_effect
from dubarr_pipeline.edits.model import (
    FIELDS,
    EditsDocument,
    Fact,
    FilmEdits,
    LineEdits,
    LockValue,
    Orphan,
)
from dubarr_pipeline.edits.structure import EditedScript, edited_script, speaker_now
from dubarr_pipeline.errors import ArtifactError, NoScript
from dubarr_pipeline.script.model import SpeakerProfile, Transcript
from dubarr_pipeline.spans import to_seconds
from dubarr_pipeline.workdir.corrections import files_of
from dubarr_pipeline.workdir.layout import WorkDir

_INHERITED = ("voice", "gain_db", "keep_original")
"""Edits of a line that its pieces keep, until they have their own."""


def film_edits(work: WorkDir, transcript: Transcript, targets: Sequence[str]) -> FilmEdits:
    """Return what people want of a film: its script as they have it, and their edits of lines.

    `transcript` is the script as the machine left it; `lines` has an entry for each target and for
    the source language, whose texts are in the script already.

    Raises:
        ArtifactError: if a file of edits is not readable.
        NoScript: if corrected subtitles are not.
    """
    lasting = lasting_ids(work, transcript)
    source = read_edits_document(work, transcript.language, transcript)
    edited = edited_script(transcript, lasting, source)
    languages = {transcript.language: source}
    languages |= {each: read_edits_document(work, each, transcript) for each in targets}
    put = {language: _Dub(edited, document) for language, document in languages.items()}
    orphans = {language: tuple(dub.orphans.values()) for language, dub in put.items()}
    return FilmEdits(
        edited.script(),
        edited.ids(),
        {language: dub.lines() for language, dub in put.items()},
        {language: dub.terms["rendering"] for language, dub in put.items()},
        {language: dub.terms["pronunciation"] for language, dub in put.items()},
        {language: dub.voices for language, dub in put.items()},
        edited.names,
        {speaker: edited.whose(speaker) for speaker in edited.merged},
        {name: edited.hidden[name] for name in edited.hidden if name in edited.removed},
        {language: found for language, found in orphans.items() if found},
    )


class _Dub:
    """Facts of one language, sorted by what they are about."""

    def __init__(self, edited: EditedScript, document: EditsDocument) -> None:
        self._edited = edited
        self._values: dict[str, dict[str, Any]] = defaultdict(dict)
        self.terms: dict[str, dict[str, str]] = {"rendering": {}, "pronunciation": {}}
        self.voices: dict[str, str] = {}
        spoken = document.language == edited.transcript.language
        finder = edited if spoken else replace(edited, orphans={})
        for fact in in_effect(document.facts).values():
            if fact.target == "term" and fact.field in self.terms:
                self.terms[fact.field][fact.target_id] = fact.value
            elif fact.target == "speaker" and fact.field == "voice":
                speaker = speaker_now(edited.lasting, fact)
                if speaker is None:
                    finder.lose(fact)
                else:
                    self.voices[speaker] = fact.value
            elif fact.target == "line" and fact.field in LineEdits.__slots__:
                if edited.knows(fact.target_id):
                    self._say(fact)
                elif not spoken:
                    finder.lose(fact)
        self.orphans: Mapping[tuple[str, str], Orphan] = finder.orphans

    def _say(self, fact: Fact) -> None:
        values = self._values[fact.target_id]
        match FIELDS[fact.field].value.validate_python(fact.value):
            case LockValue() as pinned:
                values["locked"] = True
                values |= pinned.model_dump(exclude_none=True)
            case float(start_s) if fact.field == "start_s" and fact.anchor:
                line = self._edited.lines.get(fact.target_id)
                rate = self._edited.transcript.rate
                now_s = to_seconds(line.span.start, rate) if line else fact.anchor.start_s
                moved_s = now_s - fact.anchor.start_s
                # Rounding of the anchor is no move.
                values["start_s"] = start_s + (moved_s if abs(moved_s) > 0.001 else 0.0)
            case value:
                values[fact.field] = value

    def lines(self) -> dict[int, LineEdits]:
        """Return index -> edits, of the lines that have any."""
        found: dict[int, LineEdits] = {}
        for name, line in self._edited.lines.items():
            values: dict[str, Any] = {}
            parent = self._edited.parents.get(name)
            while parent:
                older = self._values.get(parent, {})
                values = {n: older[n] for n in _INHERITED if n in older} | values
                parent = self._edited.parents.get(parent)
            values |= self._values.get(name, {})
            edits = LineEdits(**values)
            if edits != LineEdits():
                found[line.index] = edits
        return found


def with_speaker_facts(
    film: FilmEdits, profiles: Mapping[str, SpeakerProfile]
) -> dict[str, SpeakerProfile]:
    """Return profiles with the names and voices that people have given to speakers."""
    found = dict(profiles)
    for who, profile in profiles.items():
        chosen = {each: voices[who] for each, voices in film.voices.items() if who in voices}
        voices = {**profile.voices, **chosen}
        found[who] = replace(profile, name=film.names.get(who, profile.name), voices=voices)
    return found


def edits_digest(work: WorkDir, languages: Sequence[str]) -> str | None:
    """Return a digest of all edits that are heard, or None if there are none.

    Files of older forms count as they are; of facts only what is in effect: neither comments nor
    what was undone change it.
    """
    parts: list[bytes] = []
    for language in languages:
        path = edits_path(work, language)
        subtitles = path.with_suffix(".srt")
        if subtitles.is_file():
            parts.append(subtitles.read_bytes())
        parts += _file_parts(work, language) if path.is_file() else ()
    parts += [path.read_bytes() for path in files_of(work)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest() if parts else None


def _file_parts(work: WorkDir, language: str) -> list[bytes]:
    """Return what counts of a language's file; all of one that the stage will not be able to read.

    Subtitles count as a file, also where their texts become facts.
    """
    path = edits_path(work, language)
    try:
        if not is_by_facts(path):
            return [path.read_bytes()]
        facts = read_edits_document(work, language).facts
    except (ArtifactError, NoScript):
        return [path.read_bytes()]
    heard = _heard([fact for fact in facts if fact.by != path.with_suffix(".srt").name])
    return [json.dumps([language, sorted(heard.items())]).encode()] if heard else []


def _heard(facts: Sequence[Fact]) -> dict[Slot, Any]:
    """Return the values in effect that change what is heard."""
    found: dict[Slot, Any] = {}
    for where, fact in in_effect(facts).items():
        pinned = fact.field == "locked" and isinstance(fact.value, dict)
        if FIELDS[fact.field].heard or pinned:
            found[where] = fact.value
    return found


def write_output_revisions(work: WorkDir, revisions: Mapping[str, int]) -> None:
    """Note the revision of each language, the source's too, that a finished run has used."""
    work.checkpoints.mkdir(parents=True, exist_ok=True)
    replace_json(work.checkpoints / "edits.json", {"schema": 1, "revisions": dict(revisions)})


def output_revision(work: WorkDir, language: str) -> int:
    """Return the revision of a language's edits that its finished track has; 0: none."""
    path = work.checkpoints / "edits.json"
    revisions = read_checked(path, lambda found: dict[str, int](found["revisions"])) or {}
    return revisions.get(language, 0)


def stale_slots(work: WorkDir, language: str) -> frozenset[Slot]:
    """Return what the finished track of a language does not have as people want it.

    Of a language's own edits only: those of the source are asked for by its language. A lock pins
    what is heard already.
    """
    document, used = read_edits_document(work, language), output_revision(work, language)
    now = _heard(document.facts)
    then = _heard([fact for fact in document.facts if fact.revision <= used])
    changed = {each for each in now.keys() | then.keys() if now.get(each) != then.get(each)}
    return frozenset(each for each in changed if each[2] != "locked")
