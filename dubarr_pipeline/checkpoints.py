"""Keep or redo: the one place that decides whether a stage's earlier result still stands.

The materialization store is the checkpoint table. A `Record` is what a materialization says of its
stage; beside the artifacts lies a manifest that seals every file it left. A result stands if

1. it was made for the same fingerprint (inputs, engine, model, options, code version), and
2. it was made from the very results that its input stages have now, and
3. every file that it left is still whole.

Anything else is a named reason to redo the stage. The first two touch no file;
the third costs one `stat` per file, and reads a file again only if its stat has changed.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dubarr_pipeline.errors import ArtifactError, SourceError
from dubarr_pipeline.media.identity import FileIdentity, identify, is_same
from dubarr_pipeline.workdir import WorkDir, read_json, write_json


@dataclass(frozen=True, slots=True)
class Record:
    """What the store says of a stage's last result.

    Attributes:
        fingerprint: digest of all that the result depends on.
        production: names this very result; a reused result keeps the name it was made under.
        manifest: digest of the manifest that seals the files.
        inputs: input stage -> the production that this result was made from.
    """

    fingerprint: str
    production: str
    manifest: str
    inputs: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stage's result must depend on now.

    Attributes:
        fingerprint: 32 hex digits over all of it.
        facts: the same in words, so that a change can be named.
    """

    fingerprint: str
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the result is kept, and why not, in words for the log and for ``dubarr plan``."""

    keep: bool
    reason: str


def fingerprint(stage: str, code_version: str, facts: Mapping[str, Any]) -> str:
    """Return 32 hex digits over all that a stage's result depends on.

    Args:
        stage: the stage's name.
        code_version: raised whenever the stage's code would make another result.
        facts: JSON-able values: digests of inputs, engine identities, options; in any order.
    """
    document = json.dumps([stage, code_version, facts], sort_keys=True, default=str)
    return hashlib.sha256(document.encode()).hexdigest()[:32]


def wanted(stage: str, code_version: str, facts: Mapping[str, Any]) -> Wanted:
    """Return what a stage's result must depend on; takes what `fingerprint` takes."""
    return Wanted(fingerprint(stage, code_version, facts), {**facts, "code version": code_version})


def decide(
    work: WorkDir, stage: str, wanted: Wanted, inputs: Mapping[str, str], record: Record | None
) -> Decision:
    """Say whether the last result of a stage stands.

    Args:
        work: the video's folder.
        stage: the stage's name.
        wanted: what the result must depend on now.
        inputs: input stage -> its production now.
        record: what the store says, or None if the stage was never materialized.
    """
    if record is None:
        return Decision(False, "not made yet")
    if record.fingerprint != wanted.fingerprint:
        return Decision(False, _what_changed(work, stage, wanted.facts))
    changed = sorted(name for name in inputs if record.inputs.get(name) != inputs[name])
    if changed:
        return Decision(False, f"made from an earlier result of {', '.join(changed)}")
    fault = damage(work, stage, record.manifest)
    return Decision(False, fault) if fault else Decision(True, "nothing has changed")


def seal(
    work: WorkDir, stage: str, made_for: Wanted, inputs: Mapping[str, str], files: Iterable[Path]
) -> Record:
    """Write down what a stage left, and return the record for the store.

    What an earlier result of the stage left, and this one did not, is removed: the track of a
    language that is not asked for any more, subtitles under the video's former name.

    Raises:
        ArtifactError: if a file that the stage should have left is not there.
    """
    seals: dict[str, dict[str, Any]] = {}
    left = sorted(set(files))
    for path in left:
        if not path.is_file():
            raise ArtifactError(f"stage {stage} did not leave {path}")
        seals[str(path.relative_to(work.root))] = asdict(identify(path))
    manifest = _manifest(work, stage)
    stale = [path for path in sealed_files(work, stage) if path not in left]
    document = {"stage": stage, "fingerprint": made_for.fingerprint, "files": seals}
    write_json(manifest, {**document, "facts": _plain(made_for.facts)})
    for path in stale:
        path.unlink(missing_ok=True)
    return Record(made_for.fingerprint, uuid.uuid4().hex, _digest(manifest), dict(inputs))


def damage(work: WorkDir, stage: str, manifest_digest: str) -> str | None:
    """Return what is wrong with the files that a stage left, or None if all are whole."""
    manifest = _manifest(work, stage)
    if not manifest.is_file() or _digest(manifest) != manifest_digest:
        return "its list of files is missing or was changed"
    for path, identity in _sealed(work, stage).items():
        name = path.relative_to(work.root)
        if not path.is_file():
            return f"{name} is missing"
        if not is_whole(path, identity):
            return f"{name} is damaged"
    return None


def is_whole(path: Path, identity: Mapping[str, Any]) -> bool:
    """Whether a file of ours is there, with the content that it was sealed with."""
    try:
        return is_same(path, FileIdentity(**identity))
    except (SourceError, TypeError):
        return False


def sealed_files(work: WorkDir, stage: str) -> list[Path]:
    """Return the files that a stage left, by its manifest; empty if it left none."""
    try:
        return list(_sealed(work, stage))
    except ArtifactError:
        return []


def _sealed(work: WorkDir, stage: str) -> dict[Path, Mapping[str, Any]]:
    """The files of a manifest, and their identities; none of them lies outside the work folder.

    Raises:
        ArtifactError: if the manifest is missing or damaged.
    """
    files = read_json(_manifest(work, stage)).get("files")
    if not isinstance(files, dict) or not all(isinstance(each, dict) for each in files.values()):
        raise ArtifactError(f"{_manifest(work, stage)} is damaged: delete it")
    if any(not _is_inside(name) for name in files):
        raise ArtifactError(f"{_manifest(work, stage)} names files outside {work.root}: delete it")
    return {work.root / name: identity for name, identity in files.items()}


def _is_inside(name: str) -> bool:
    """Whether a name is that of a file below the work folder."""
    path = Path(name)
    inside = bool(path.parts) and not path.is_absolute() and ".." not in path.parts
    return inside and "\0" not in name and len(name) <= 250


def forget(work: WorkDir, stage: str) -> list[Path]:
    """Remove what a stage left, and its manifest; return the files that were removed."""
    removed = [path for path in sealed_files(work, stage) if path.is_file()]
    for path in (*removed, _manifest(work, stage)):
        path.unlink(missing_ok=True)
    return removed


def _what_changed(work: WorkDir, stage: str, facts: Mapping[str, Any]) -> str:
    """Name the facts that are other ones than when the result was made, three at most."""
    try:
        before = dict(_leaves(read_json(_manifest(work, stage)).get("facts", {})))
    except ArtifactError:
        before = {}
    now = dict(_leaves(_plain(facts)))
    names = sorted(n for n in before | now if before.get(n, ...) != now.get(n, ...))
    if not names or not before:
        return "an input, an option, an engine or the code has changed"
    told = [f"{n}: {_short(before.get(n, ...))} → {_short(now.get(n, ...))}" for n in names[:3]]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"changed: {'; '.join(told)}{more}"


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as they read back from JSON."""
    return json.loads(json.dumps(facts, default=str))


def _leaves(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Facts by their dotted names."""
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield above + name, value


def _short(value: Any) -> str:
    text = "nothing" if value is ... else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _manifest(work: WorkDir, stage: str) -> Path:
    return work.checkpoints / f"{stage}.json"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]
