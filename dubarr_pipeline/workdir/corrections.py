"""A person's corrections of what the stages found; they outlive every rerun.

Their lasting place is the folder ``edits``:

- ``speakers.json``: facts of speakers by id, as in the stage's own ``speakers.json``:
  ``{"speakers": {"SPEAKER_00": {"gender": "female", "voices": {"es": "ef_dora"}}}}``;
- ``context.json``: parts of ``context.json``, each as a whole: ``{"tone": "dry"}``;
- ``{language}.json``: lines by index, of a target language or of the spoken one:
  ``{"lines": {"3": {"text": "...", "speaker": "SPEAKER_01"}}}`` (`segments.inputs` reads them).

A person may as well edit the artifacts themselves: a copy of each is kept as its stage left it, and
what differs is taken over into ``edits`` before the stage may overwrite it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import read_json, whole_file, write_json
from dubarr_pipeline.script.model import Context, SpeakerProfile
from dubarr_pipeline.workdir import checkpoints
from dubarr_pipeline.workdir.artifacts import (
    read_context,
    read_speakers,
    read_transcript,
)
from dubarr_pipeline.workdir.layout import WorkDir

MOST_BYTES = 20_000_000
"""Size of a file of corrections."""
EDITABLE: Mapping[str, tuple[str, ...]] = {
    "transcript": ("transcription.json",),
    "context": ("speakers.json", "context.json"),
}
"""Stage -> the artifacts in which a person's changes are looked for."""
_READERS: Mapping[str, Callable[[Path], object]] = {
    "transcription.json": read_transcript,
    "speakers.json": read_speakers,
    "context.json": read_context,
}
SAID_BY_A_PERSON = "said by a person"
"""Basis of a gender that no machine may change."""
NOT_LINES = ("speakers", "context")
"""Stems of files in ``edits`` that are of no language."""


class _SpeakerEdit(BaseModel):
    """Facts of a speaker that a person has said; only those that are given count."""

    model_config = ConfigDict(extra="forbid")
    name: str | None = None
    gender: Literal["male", "female"] | None = None
    age_group: Literal["child", "teenager", "adult", "elderly"] | None = None
    role: str | None = None
    style: str | None = None
    pitch_hz: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    voices: dict[str, str | None] = {}


_SPEAKER_EDITS = TypeAdapter(dict[str, _SpeakerEdit])
_CONTEXT = TypeAdapter(Context)
_NOT_SAID = ("speaker", "gender_basis", "level_lufs")
"""Facts of a profile that are measured, or follow from others: a copy of one may have them."""


def edited_speakers(work: WorkDir) -> dict[str, SpeakerProfile]:
    """Return the speakers with a person's corrections. Raises as `with_speaker_edits`."""
    return with_speaker_edits(work, read_speakers(work.speakers))


def with_speaker_edits(
    work: WorkDir, profiles: Mapping[str, SpeakerProfile]
) -> dict[str, SpeakerProfile]:
    """Put a person's corrections into profiles.

    Raises:
        ArtifactError: if the corrections are not readable, or name an unknown speaker; it lists
            the choices.
    """
    path, found = work.edits / "speakers.json", dict(profiles)
    listed = read_edits(path).get("speakers", {})
    if isinstance(listed, dict):
        listed = {
            who: {n: v for n, v in facts.items() if n not in _NOT_SAID}
            if isinstance(facts, dict)
            else facts
            for who, facts in listed.items()
        }
    try:
        edits = _SPEAKER_EDITS.validate_python(listed)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        names = ", ".join(_SpeakerEdit.model_fields)
        raise ArtifactError(
            f"{path} is not readable ({'.'.join(map(str, first['loc']))}: {first['msg']}): a "
            f"speaker has {names}"
        ) from error
    for who, edit in edits.items():
        if who not in found:
            named = (f"{each} ({one.name})" if one.name else each for each, one in found.items())
            choices = ", ".join(named) or "none"
            raise ArtifactError(f"{path} names an unknown speaker {who!r}: choose one of {choices}")
        said: dict[str, Any] = edit.model_dump(exclude_unset=True)
        if "voices" in said:
            voices = {**found[who].voices, **said["voices"]}
            said["voices"] = {language: name for language, name in voices.items() if name}
        if "gender" in said:
            said["gender_basis"] = SAID_BY_A_PERSON
        found[who] = replace(found[who], **said)
    return found


def edited_context(work: WorkDir) -> Context:
    """Return the context with a person's corrections. Raises as `with_context_edits`."""
    return with_context_edits(work, read_context(work.context))


def with_context_edits(work: WorkDir, context: Context) -> Context:
    """Put a person's corrections into the context. Raises `ArtifactError` if not readable."""
    path = work.edits / "context.json"
    edits = {name: part for name, part in read_edits(path).items() if name != "schema"}
    choices = [each.name for each in fields(Context)]
    for name in edits:
        if name not in choices:
            raise ArtifactError(f"{path}: unknown {name!r}: choose of {', '.join(choices)}")
    try:
        return _CONTEXT.validate_python({**_CONTEXT.dump_python(context, mode="json"), **edits})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ArtifactError(
            f"{path} is not readable ({where}: {first['msg']}): write it as in {work.context}"
        ) from error


def files_of(work: WorkDir) -> list[Path]:
    """Return the files with corrections of speakers and of the context."""
    paths = (work.edits / f"{stem}.json" for stem in NOT_LINES)
    return [path for path in paths if path.is_file()]


def read_edits(path: Path) -> dict[str, Any]:
    """Return the table in a file of corrections; empty where there is no file."""
    if not path.is_file():
        return {}
    if path.stat().st_size > MOST_BYTES:
        raise ArtifactError(
            f"{path} has more than {MOST_BYTES // 1_000_000} MB: keep corrections alone in it"
        )
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, RecursionError, ValueError) as error:
        raise ArtifactError(f"{path} is not readable ({error}): correct or remove it") from error
    if not isinstance(found, dict):
        raise ArtifactError(f"{path} is not readable (no table): correct or remove it")
    return found


def keep_made(work: WorkDir, stage: str) -> None:
    """Keep a copy of what a stage has left, by which a person's changes are told later."""
    for name in EDITABLE.get(stage, ()):
        path, copy = work.root / name, _made(work, name)
        if not copy.is_file() or copy.read_bytes() != path.read_bytes():
            with whole_file(copy) as temporary:
                shutil.copyfile(path, temporary)


def take_over(work: WorkDir, stage: str) -> list[str]:
    """Bring a person's changes in a stage's artifacts to safety, and say so in words.

    What ``edits`` cannot hold, and what is not readable, is kept beside the artifact as
    ``{name}.bak``. Raises `ArtifactError` if the file in ``edits`` is not readable.
    """
    said: list[str] = []
    for path in checkpoints.changed_files(work, stage):
        if path.name in EDITABLE.get(stage, ()) and path.stat().st_size:
            said.append(_take_over(work, path))
    return said


def edited_by_hand(work: WorkDir, stage: str) -> list[str]:
    """Return the names of a stage's artifacts whose changes `take_over` will bring to safety."""
    found: list[str] = []
    for path in checkpoints.changed_files(work, stage):
        if path.name in EDITABLE.get(stage, ()):
            with contextlib.suppress(ArtifactError):
                _READERS[path.name](path)
                found.append(path.name)
    return found


def is_put_back(work: WorkDir, stage: str) -> bool:
    """Return whether taking over a stage's changes leaves its result as it was made."""
    changed = [path.name for path in checkpoints.changed_files(work, stage)]
    return changed == ["transcription.json"] and _made(work, "transcription.json").is_file()


def _take_over(work: WorkDir, path: Path) -> str:
    backup = path.with_name(f"{path.name}.bak")
    try:
        _READERS[path.name](path)
        edited = read_json(path)
    except ArtifactError as error:
        path.replace(backup)
        return f"{path.name} was changed and is not readable: kept as {backup.name} ({error})"
    made = read_json(_made(work, path.name)) if _made(work, path.name).is_file() else None
    if made is None:
        # It was made by a version that kept no copy: no machine chooses voices, all else it may.
        made = {**edited, "speakers": _without_voices(edited.get("speakers", {}))}
        whole = False
    else:
        whole = True
    takers = {
        "transcription.json": _take_lines,
        "speakers.json": _take_speakers,
        "context.json": _take_parts,
    }
    where, taken, rest = takers[path.name](work, made, edited)
    words = f"{path.name} was edited by hand"
    if taken:
        words += f": {', '.join(taken)} kept in {where.relative_to(work.root)}, for every run"
    if rest or not whole:
        shutil.copyfile(path, backup)
        words += f"; what that file cannot hold is in {backup.name}, and counts no more"
    if path.name == "transcription.json" and whole:
        # As it was heard: the corrections are put in where it is translated.
        with whole_file(path) as temporary:
            shutil.copyfile(_made(work, path.name), temporary)
    return words


_Taken = tuple[Path, list[str], bool]
"""The file in ``edits``, what was written there, in words, and whether something was not."""


def _take_speakers(work: WorkDir, made: Mapping[str, Any], edited: Mapping[str, Any]) -> _Taken:
    path = work.edits / "speakers.json"
    whole = read_edits(path)
    table, taken, rest = whole.setdefault("speakers", {}), list[str](), False
    for who, facts in edited["speakers"].items():
        before = made["speakers"].get(who)
        if before is None:
            rest = True
            continue
        said = {n: v for n, v in facts.items() if v != before.get(n)}
        rest |= any(name not in _SpeakerEdit.model_fields for name in said)
        said = {n: v for n, v in said.items() if n in _SpeakerEdit.model_fields}
        if "voices" in said:
            languages = {*before.get("voices", {}), *said["voices"]}
            said["voices"] = {
                language: said["voices"].get(language)
                for language in sorted(languages)
                if said["voices"].get(language) != before.get("voices", {}).get(language)
            }
        if said:
            known = table.setdefault(who, {})
            voices = {**known.get("voices", {}), **said.get("voices", {})}
            known |= {**said, **({"voices": voices} if voices else {})}
            taken.append(f"{', '.join(said)} of {who}")
    rest |= any(who not in edited["speakers"] for who in made["speakers"])
    if taken:
        write_json(path, {**whole, "speakers": table}, 1)
    return path, taken, rest


def _take_parts(work: WorkDir, made: Mapping[str, Any], edited: Mapping[str, Any]) -> _Taken:
    path, names = work.edits / "context.json", {each.name for each in fields(Context)}
    changed = {n: v for n, v in edited.items() if v != made.get(n)}
    taken = sorted(changed.keys() & names)
    if taken:
        write_json(path, {**read_edits(path), **{name: changed[name] for name in taken}}, 1)
    return path, taken, bool(changed.keys() - names)


def _take_lines(work: WorkDir, made: Mapping[str, Any], edited: Mapping[str, Any]) -> _Taken:
    path = work.edits / f"{made['language']}.json"
    before = {line["index"]: line for line in made["segments"]}
    whole = read_edits(path)
    table, taken = whole.setdefault("lines", {}), list[str]()
    rest = {n: v for n, v in edited.items() if n != "segments"} != {
        n: v for n, v in made.items() if n != "segments"
    }
    rest |= before.keys() != {line["index"] for line in edited["segments"]}
    for line in edited["segments"]:
        found = {n for n, v in line.items() if v != before.get(line["index"], {}).get(n)}
        said = {n: line[n] for n in ("text", "speaker") if n in found}
        rest |= bool(found - said.keys())
        if said and line["index"] in before:
            table.setdefault(str(line["index"]), {}).update(said)
            taken.append(f"{' and '.join(said)} of line {line['index']}")
    if taken:
        write_json(path, {**whole, "lines": table}, 1)
    return path, taken, rest


def _without_voices(speakers: Mapping[str, Any]) -> dict[str, Any]:
    return {who: {**facts, "voices": {}} for who, facts in speakers.items()}


def _made(work: WorkDir, name: str) -> Path:
    return work.checkpoints / f"{name}.made"
