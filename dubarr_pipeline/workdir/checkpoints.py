"""Checkpoints: the one place that decides whether a stage's earlier result is still valid.

The materialization store is the checkpoint table. A `Record` is what a materialization says of its
stage; a manifest next to the artifacts holds checksums of every file it left. A result is valid if

1. it was made for the same fingerprint (inputs, engine, model, options, code version), and
2. it was made from the very results that its input stages have now, and
3. every file that it left is still whole.

Anything else is a named reason to rerun the stage. Only the third check touches files: it costs one
`stat` each, and reads a file again if that has changed.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dubarr_pipeline.errors import ArtifactError, SourceError
from dubarr_pipeline.files import as_json, read_json, write_json
from dubarr_pipeline.workdir import legacy_keys
from dubarr_pipeline.workdir.canonical import canonical, json_of
from dubarr_pipeline.workdir.identity import FileIdentity, identify, is_same, stat_matches
from dubarr_pipeline.workdir.layout import WorkDir

_PLAIN_NAME = re.compile(r"[^./\0][^/\0]{0,249}")
"""Of a file in the work folder itself."""
UNCHANGED = "nothing has changed"
"""Reason to keep a result."""


@dataclass(frozen=True, slots=True)
class Record:
    """Checkpoint of a stage's last result, as the store records it.

    Attributes:
        production: id of this very result; a reused result keeps the id it was made under.
        manifest: digest of the manifest with the files' checksums.
        inputs: input stage -> the production that this result was made from.
    """

    fingerprint: str
    production: str
    manifest: str
    inputs: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that a stage's result must depend on now: a digest, and by name for reports."""

    fingerprint: str
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Decision:
    """Decision to keep a result or not, with its reason for the log and ``dubarr plan``."""

    keep: bool
    reason: str


def fingerprint(stage: str, code_version: str, facts: Mapping[str, Any]) -> str:
    """Return 32 hex digits over everything that a stage's result depends on.

    Facts are digests, identities and options as their dataclasses, in any order. Raises as
    `canonical`.
    """
    return _fingerprint(stage, code_version, canonical(facts))


def _fingerprint(stage: str, code_version: str, plain: Any) -> str:
    """Return the fingerprint of facts in their canonical form."""
    document = json_of([stage, canonical(code_version), plain])
    return hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def wanted(stage: str, code_version: str, facts: Mapping[str, Any]) -> Wanted:
    """Return what a stage's result must depend on; takes what `fingerprint` takes."""
    plain = canonical(facts)
    digest = _fingerprint(stage, code_version, plain)
    return Wanted(digest, {**plain, "code version": canonical(code_version)})


def decide(
    work: WorkDir, stage: str, wanted: Wanted, inputs: Mapping[str, str], record: Record | None
) -> Decision:
    """Decide whether the last result of a stage is still valid.

    `inputs` are the productions now; without a record the stage was never materialized.
    """
    if record is None:
        return Decision(False, "not made yet")
    same = record.fingerprint == wanted.fingerprint
    if not same and not _is_same_of_old(work, stage, wanted, record):
        return Decision(False, _what_changed(work, stage, wanted.facts))
    changed = sorted(name for name in inputs if record.inputs.get(name) != inputs[name])
    if changed:
        return Decision(False, f"made from an earlier result of {', '.join(changed)}")
    fault = damage(work, stage, record.manifest)
    return Decision(False, fault) if fault else Decision(True, UNCHANGED)


def write_record(
    work: WorkDir, stage: str, made_for: Wanted, inputs: Mapping[str, str], files: Iterable[Path]
) -> Record:
    """Write the manifest of a stage's files, and return the record for the store.

    Files that only an earlier result of the stage left are removed: the track of a language that is
    not requested any more, subtitles under the video's former name.

    Raises:
        ArtifactError: if a file that the stage should have left is not there.
    """
    checksums: dict[str, dict[str, Any]] = {}
    left = sorted(set(files))
    for path in left:
        if not path.is_file():
            raise ArtifactError(f"stage {stage} did not leave {path}")
        checksums[str(path.relative_to(work.root))] = asdict(identify(path))
    manifest = _manifest(work, stage)
    stale = [path for path in recorded_files(work, stage) if path not in left]
    document = {"stage": stage, "fingerprint": made_for.fingerprint, "files": checksums}
    write_json(manifest, {**document, "facts": made_for.facts, "canonical": True})
    for path in stale:
        path.unlink(missing_ok=True)
    return Record(made_for.fingerprint, uuid.uuid4().hex, _digest(manifest), dict(inputs))


def replace_file(work: WorkDir, stage: str, record: Record, path: Path) -> Record:
    """Return the record of a stage of which a file was written anew, for the same facts."""
    manifest = _manifest(work, stage)
    document = read_json(manifest)
    document["files"][str(path.relative_to(work.root))] = asdict(identify(path))
    document.pop("schema")
    write_json(manifest, document)
    return replace(record, production=uuid.uuid4().hex, manifest=_digest(manifest))


def damage(work: WorkDir, stage: str, manifest_digest: str) -> str | None:
    """Return what is wrong with the files that a stage left, or None if all are whole."""
    manifest = _manifest(work, stage)
    content = manifest.read_bytes() if manifest.is_file() else None
    if content is None or _digest_of(content) != manifest_digest:
        return "its list of files is missing or was changed"
    for path, identity in _files_in(work, manifest, as_json(manifest, content)).items():
        if not is_whole(path, identity):
            name = path.relative_to(work.root)
            return f"{name} is {'damaged' if path.is_file() else 'missing'}"
    return None


def is_whole(path: Path, identity: Mapping[str, Any]) -> bool:
    """Return whether a file of ours is there, with the content that its checksum records."""
    try:
        return is_same(path, FileIdentity(**identity))
    except (SourceError, TypeError):
        return False


def recorded_files(work: WorkDir, stage: str) -> list[Path]:
    """Return the files that a stage left, by its manifest; empty if it left none."""
    try:
        return list(_recorded(work, stage))
    except ArtifactError:
        return []


def changed_files(work: WorkDir, stage: str) -> list[Path]:
    """Return the files of a stage that are there, but not as it left them."""
    try:
        recorded = _recorded(work, stage)
    except ArtifactError:
        return []
    return [path for path, one in recorded.items() if path.is_file() and not is_whole(path, one)]


def recorded_digests(work: WorkDir, stage: str) -> dict[Path, str]:
    """Return the files that a stage left and the BLAKE2b-256 of each; a changed one is read."""
    recorded = _recorded(work, stage) if _manifest(work, stage).is_file() else {}
    known = {path: FileIdentity(**identity) for path, identity in recorded.items()}
    return {
        path: found.digest if stat_matches(path, found) else identify(path).digest
        for path, found in known.items()
        if path.is_file()
    }


def _recorded(work: WorkDir, stage: str) -> dict[Path, Mapping[str, Any]]:
    """Return the files of a manifest, all inside the work folder, and their identities."""
    manifest = _manifest(work, stage)
    return _files_in(work, manifest, read_json(manifest))


def _files_in(
    work: WorkDir, manifest: Path, document: Mapping[str, Any]
) -> dict[Path, Mapping[str, Any]]:
    files = document.get("files")
    if not isinstance(files, dict) or not all(isinstance(each, dict) for each in files.values()):
        raise ArtifactError(f"{manifest} is damaged: delete it")
    for name in files:
        if _PLAIN_NAME.fullmatch(name):
            continue
        path = Path(name)
        inside = bool(path.parts) and not path.is_absolute() and ".." not in path.parts
        if inside and "\0" not in name and len(name) <= 250:
            continue
        raise ArtifactError(f"{manifest} names files outside {work.root}: delete it")
    return {work.root / name: identity for name, identity in files.items()}


def forget(work: WorkDir, stage: str) -> list[Path]:
    """Remove what a stage left, and its manifest; return the files that were removed."""
    removed = [path for path in recorded_files(work, stage) if path.is_file()]
    for path in (*removed, _manifest(work, stage)):
        path.unlink(missing_ok=True)
    return removed


def _is_same_of_old(work: WorkDir, stage: str, wanted: Wanted, record: Record) -> bool:
    """Return whether a result of a version without canonical facts was made for the same facts."""
    manifest = _manifest(work, stage)
    try:
        document = read_json(manifest)
    except ArtifactError:
        return False
    return (
        not document.get("canonical")
        and document.get("fingerprint") == record.fingerprint
        and _digest(manifest) == record.manifest
        and _facts_in(document) == wanted.facts
    )


def _facts_in(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the facts of a manifest in their canonical form."""
    facts = document.get("facts")
    if not isinstance(facts, dict):
        return {}
    return facts if document.get("canonical") else legacy_keys.canonical_facts(facts)


def _what_changed(work: WorkDir, stage: str, facts: Mapping[str, Any]) -> str:
    """Name the facts that changed since the result was made, three at most."""
    try:
        before = dict(_leaves(_facts_in(read_json(_manifest(work, stage)))))
    except ArtifactError:
        before = {}
    now = dict(_leaves(facts))
    names = sorted(n for n in before | now if before.get(n, ...) != now.get(n, ...))
    if not names or not before:
        return "an input, an option, an engine or the code has changed"
    named = [
        f"{n}: {_short(before.get(n, ...), n)} → {_short(now.get(n, ...), n)}" for n in names[:3]
    ]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"changed: {'; '.join(named)}{more}"


def _leaves(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield facts by their dotted names."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield above + name, value


def _short(value: Any, name: str) -> str:
    # A dotted fact is an option of a table, and one that stands at its default is left out.
    missing = "default" if "." in name else "nothing"
    text = missing if value is ... else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _manifest(work: WorkDir, stage: str) -> Path:
    return work.checkpoints / f"{stage}.json"


def _digest(path: Path) -> str:
    return _digest_of(path.read_bytes())


def _digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
