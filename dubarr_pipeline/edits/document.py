"""The file of a language's edits, ``edits/{language}.json``: facts that are only ever added."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.edits.model import (
    FIELDS,
    EditsDocument,
    EditsRefused,
    Fact,
    FactError,
    ProposedFact,
    StaleRevision,
)
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import flush_to_disk, named_disk_errors
from dubarr_pipeline.workdir.layout import WorkDir

SCHEMA = 2
_FACTS = TypeAdapter(tuple[Fact, ...])


def edits_path(work: WorkDir, language: str) -> Path:
    """Return the file of a language's edits."""
    return work.edits / f"{language}.json"


def read_edits_document(work: WorkDir, language: str) -> EditsDocument:
    """Return the edits of a language; none where there is no file.

    Raises:
        ArtifactError: if the file is not readable.
    """
    path = edits_path(work, language)
    if not path.is_file():
        return EditsDocument(language)
    try:
        found = json.loads(path.read_text("utf-8"))
        return EditsDocument(language, found["revision"], _FACTS.validate_python(found["facts"]))
    except (OSError, RecursionError, ValueError, KeyError) as error:
        raise ArtifactError(f"{path} is not readable ({error}): correct or remove it") from error


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

    Those that are there already (by their ids) are not added again.

    Raises:
        StaleRevision: if others have stated facts since `revision`.
        EditsRefused: if a fact cannot be.
        ArtifactError: if the file is not readable.
    """
    with edits_lock(work):
        document = read_edits_document(work, language)
        known = {fact.id for fact in document.facts}
        new = [each for each in proposed if each.id not in known]
        if not new:
            return document
        if revision != document.revision:
            since = document.since(revision)
            raise StaleRevision(language, document.revision, source_revision or 0, since)
        errors = [error for each in new for error in _faults(each)]
        if errors:
            raise EditsRefused(tuple(errors))
        at, number = datetime.now(UTC).isoformat(timespec="seconds"), document.revision + 1
        added = tuple(Fact(**asdict(each), revision=number, at=at, by=by) for each in new)  # type: ignore[arg-type]
        document = EditsDocument(language, number, (*document.facts, *added))
        _write(edits_path(work, language), document)
        return document


def _faults(each: ProposedFact) -> list[FactError]:
    rule = FIELDS.get(each.field)
    if rule is None or each.target not in rule.targets:
        return [FactError(each.id, f"{each.target} has no field {each.field!r}")]
    try:
        if each.value is not None:
            rule.value.validate_python(each.value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return [FactError(each.id, f"{each.field}: {first['msg']}")]
    return []


@contextlib.contextmanager
def edits_lock(work: WorkDir) -> Iterator[None]:
    """Hold the lock on a film's edits; it ends with the process, however that ends."""
    with named_disk_errors(work.edits):
        work.edits.mkdir(parents=True, exist_ok=True)
        handle = (work.edits / ".lock").open("w")
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _write(path: Path, document: EditsDocument) -> None:
    """Write a document whole: a kill leaves the old one or the new one.

    Not by `whole_file`: a run that starts removes what that leaves unfinished, and this file may
    be written while a run starts.
    """
    whole: dict[str, Any] = {"schema": SCHEMA, "revision": document.revision}
    whole["facts"] = [
        {name: value for name, value in asdict(fact).items() if value is not None}
        for fact in document.facts
    ]
    temporary = path.with_name(f".{path.name}.new")
    with named_disk_errors(path):
        temporary.write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", "utf-8")
        flush_to_disk(temporary)
        temporary.replace(path)
        flush_to_disk(path.parent)
