"""The file of a language's edits, ``edits/{language}.json``: facts that are only ever added."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from dubarr_pipeline.edits.base import LastingIds, keep_base, lasting_ids
from dubarr_pipeline.edits.checks import FactChecker
from dubarr_pipeline.edits.files import edits_lock, read_checked, replace_json
from dubarr_pipeline.edits.history import undone
from dubarr_pipeline.edits.model import (
    FIELDS,
    EditsDocument,
    EditsRefused,
    Fact,
    FactError,
    ProposedFact,
    StaleRevision,
)
from dubarr_pipeline.edits.old_forms import (
    BY_INDEX,
    LineByIndex,
    LinesByIndex,
    facts_by_index,
    facts_of_subtitles,
)
from dubarr_pipeline.errors import ArtifactError, NoScript
from dubarr_pipeline.script.model import Transcript
from dubarr_pipeline.workdir.artifacts import read_speakers, read_transcript
from dubarr_pipeline.workdir.corrections import NOT_LINES
from dubarr_pipeline.workdir.layout import WorkDir

_log = logging.getLogger(__name__)

SCHEMA = 2
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_RESERVED = (*NOT_LINES, "base")


class _Stored(LinesByIndex):
    """A file of schema 2; it may hold lines by index as well."""

    lines: dict[int, LineByIndex] = Field(default_factory=dict[int, LineByIndex])
    revision: int = Field(ge=0)
    facts: tuple[Fact, ...]


_PROPOSED = TypeAdapter(tuple[ProposedFact, ...])


def edits_path(work: WorkDir, language: str) -> Path:
    """Return the file of a language's edits.

    Raises:
        EditsRefused: if the language is no tag of a language.
    """
    if not _LANGUAGE.fullmatch(language) or language in _RESERVED:
        raise EditsRefused((FactError("", f"{language[:40]!r} is not the tag of a language"),))
    return work.edits / f"{language}.json"


def languages_edited(work: WorkDir) -> tuple[str, ...]:
    """Return the languages that have a file of edits, in whatever form."""
    stems = {path.stem for path in work.edits.glob("*") if path.suffix in (".json", ".srt")}
    return tuple(sorted(each for each in stems - {*_RESERVED} if _LANGUAGE.fullmatch(each)))


def read_edits_document(
    work: WorkDir, language: str, heard: WorkDir | Transcript | None = None
) -> EditsDocument:
    """Return the edits of a language; none where there is no file.

    Edits in older forms count as facts on the lines of ``transcription.json``, or of what was
    `heard`, a script or the folder of one; there are none of them before there is a script.

    Raises:
        ArtifactError: if a file is not readable.
        NoScript: if corrected subtitles are not.
    """
    found = read_checked(edits_path(work, language), _stored) or _Stored(revision=0, facts=())
    older, newer, revision = list[Fact](), list[Fact](), found.revision
    made = heard if isinstance(heard, WorkDir) else work
    if found.lines or (work.edits / f"{language}.srt").is_file():
        transcript = heard if isinstance(heard, Transcript) else None
        if transcript is None and made.transcription.is_file():
            transcript = present_script(made)
        if transcript is not None:
            ids = lasting_ids(work, transcript).ids
            older += facts_of_subtitles(work, transcript, ids, (language, made.speech))
            newer += facts_by_index(found, transcript, ids, language)
    if newer and found.facts:
        # A hand, or a changed artifact, put them into the file: they are the last word.
        revision += 1
        newer = [replace(fact, revision=revision) for fact in newer]
    return EditsDocument(language, revision, (*older, *found.facts, *newer))


def present_script(work: WorkDir) -> Transcript:
    """Return the script as the machine has it now. Raises `ArtifactError`."""
    path = work.transcription
    if not path.is_file():
        raise ArtifactError(f"{path} is missing: it has no lines to edit before it is transcribed")
    status = path.stat()
    return _script_at(path, status.st_mtime_ns, status.st_size, status.st_ino)


@lru_cache(maxsize=4)
def _script_at(path: Path, *_state: int) -> Transcript:
    return read_transcript(path)


def is_by_facts(path: Path) -> bool:
    """Return whether a file of edits holds facts. Raises `ArtifactError` if not readable."""
    return bool(read_checked(path, lambda found: "facts" in found))


def _stored(found: Any) -> _Stored:
    if "facts" not in found:
        return _Stored(lines=LinesByIndex.model_validate(found).lines, revision=0, facts=())
    if found.get("schema") != SCHEMA:
        raise ValueError(f"schema {found.get('schema')!r}, and this version reads {SCHEMA}")
    stored = _Stored.model_validate(found)
    for number, fact in enumerate(stored.facts):
        if fact.field not in FIELDS or fact.target not in FIELDS[fact.field].targets:
            raise ValueError(f"facts.{number}: a {fact.target} has no field {fact.field!r}")
        if fact.value is not None:
            FIELDS[fact.field].value.validate_python(fact.value)
    return stored


def read_proposed(found: Any) -> tuple[ProposedFact, ...]:
    """Return facts as a client sends them: a list of objects. Raises `EditsRefused`."""
    try:
        return _PROPOSED.validate_python(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise EditsRefused((FactError("", f"facts.{where}: {first['msg']}"),)) from error


def add_facts(
    work: WorkDir,
    language: str,
    proposed: Sequence[ProposedFact],
    *,
    revision: int,
    by: str,
    source_revision: int | None = None,
) -> EditsDocument:
    """Add facts to a language's edits, all or none, and return the edits with them.

    Those that are there already (by their ids) are not added again, whatever the revision. With
    `source_revision`, the edits of the source language must not have changed either.

    Raises:
        StaleRevision: if others have stated facts since; it carries them.
        EditsRefused: if a fact cannot be; it names each that cannot, and why.
        ArtifactError: if there is no script yet, or a file is not readable.
        DiskFull, NotWritable: if the disk refuses; the file stays as it was.
    """
    wish = Proposal(tuple(proposed), revision, source_revision)
    return add_facts_together(work, {language: wish}, by)[language]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Facts of one language, and the revisions in sight of which they are stated."""

    facts: tuple[ProposedFact, ...]
    revision: int
    source_revision: int | None = None


def add_facts_together(
    work: WorkDir, proposals: Mapping[str, Proposal], by: str
) -> dict[str, EditsDocument]:
    """Add facts to the edits of several languages, all or none, as `add_facts` does.

    Only a kill between two files leaves a part; the rest may be stated again.
    """
    paths = {language: edits_path(work, language) for language in proposals}
    with edits_lock(work):
        transcript = present_script(work)
        lasting = lasting_ids(work, transcript)
        at, documents = _now(lasting), dict[str, EditsDocument]()
        changed = list[EditsDocument]()
        for language, wish in proposals.items():
            before = read_edits_document(work, language, transcript)
            after = _with_facts(work, before, wish, lasting, transcript, (at, by))
            documents[language] = after
            changed += [] if after is before else [after]
        if changed:
            # The script goes first: without it nobody could tell what the facts are about.
            keep_base(work, lasting, at, _still_needed(work, lasting, changed))
        for document in changed:
            _write(paths[document.language], document, at)
        return documents


def _with_facts(
    work: WorkDir,
    document: EditsDocument,
    wish: Proposal,
    lasting: LastingIds,
    transcript: Transcript,
    said: tuple[str, str],
) -> EditsDocument:
    """Return a document with facts, `said` when and by whom; the same one if it has them."""
    language, spoken = document.language, transcript.language
    source = document if language == spoken else read_edits_document(work, spoken, transcript)
    speakers = read_speakers(work.speakers) if work.speakers.is_file() else ()
    checker = FactChecker(transcript, lasting, source, document, speakers)
    new = checker.new_ones(wish.facts)
    if not new and not checker.errors:
        return document
    if wish.revision != document.revision or wish.source_revision not in (None, source.revision):
        since = document.since(wish.revision)
        if language != spoken and wish.source_revision is not None:
            since += source.since(wish.source_revision)
        raise StaleRevision(language, document.revision, source.revision, since)
    return checker.accept(new, *said)


def settle_lines(work: WorkDir, heard: WorkDir | None = None) -> None:
    """Give corrections by line number lasting ids, before another script has its lines there.

    `heard` is the folder with the script that they were made on, if it is another: corrected
    subtitles, which are matched by time, become facts as well then. What is not readable stays.
    """
    made = heard or work
    if not work.edits.is_dir() or not made.transcription.is_file():
        return
    with edits_lock(work):
        for language in languages_edited(work):
            try:
                _settle(work, language, made)
            except (ArtifactError, NoScript) as error:
                _log.warning("corrections stay as they are: %s", error)


def _settle(work: WorkDir, language: str, made: WorkDir) -> None:
    path = edits_path(work, language)
    subtitles, found = path.with_suffix(".srt"), read_checked(path, _stored)
    by_time = made != work and subtitles.is_file()
    if not by_time and not (found and found.lines):
        return
    document = read_edits_document(work, language, made)
    lasting = lasting_ids(work, present_script(made))
    at = _now(lasting)
    keep_base(work, lasting, at, _still_needed(work, lasting, (document,)))
    _write(path, document, at, (BY_INDEX, subtitles.name) if by_time else (BY_INDEX,))
    if by_time:
        subtitles.unlink()


def _now(lasting: LastingIds) -> str:
    """Return the time, never before that of the newest script, whatever the clock does."""
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    return max([now, *(script.at for script in lasting.scripts)])


def _still_needed(work: WorkDir, lasting: LastingIds, new: Sequence[EditsDocument]) -> set[str]:
    """Return the times of the scripts on which facts hang that the present one does not hold."""
    known = {each.language for each in new}
    others = (each for each in languages_edited(work) if each not in known)
    held, needed = set(lasting.ids.values()), set[str]()
    try:
        documents = (*new, *(read_edits_document(work, each) for each in others))
    except (ArtifactError, NoScript):
        # Nobody knows what it says, once it is repaired.
        return {script.at for script in lasting.scripts}
    for document in documents:
        gone = undone(document.facts)
        for fact in document.facts:
            on_line = fact.target == "line" and fact.field not in ("speaker", "split")
            if fact.id not in gone and not (on_line and fact.target_id in held):
                way = lasting.map_from(fact.at)
                needed |= {way.at} if way else set()
    return needed


def _write(
    path: Path, document: EditsDocument, at: str, taken: Collection[str] = (BY_INDEX,)
) -> None:
    """Write the facts, of older forms those of the authors `taken`; others stay in their files."""
    facts = [
        replace(fact, at=fact.at or at) for fact in document.facts if fact.at or fact.by in taken
    ]
    listed = [
        {name: value for name, value in asdict(fact).items() if value is not None} for fact in facts
    ]
    replace_json(path, {"schema": SCHEMA, "revision": document.revision, "facts": listed})
