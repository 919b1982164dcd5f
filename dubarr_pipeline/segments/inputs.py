"""Inputs of the stage beyond its artifacts: briefs, existing subtitles, and corrections by people.

``edits/{lang}.srt`` is a corrected copy of the dubbed subtitles, matched to the lines by time;
``edits/{lang}.json`` names lines by index: ``{"lines": {"3": {"text": "..."}}}``; that of the
spoken language may also move a line to its true speaker (``"speaker": "SPEAKER_01"``). Corrections
of speakers and of the context are read by `workdir.corrections`.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, StringConstraints, ValidationError

from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.engines.interfaces import ScriptAnalysis, ScriptAnalyzer
from dubarr_pipeline.errors import ArtifactError, NoScript
from dubarr_pipeline.files import write_json
from dubarr_pipeline.library.source import Source, subtitle_digest
from dubarr_pipeline.media.subtitles.read import check_language, read_cues
from dubarr_pipeline.media.subtitles.sources import SubtitleSource
from dubarr_pipeline.script.cues.layout import spoken_cues
from dubarr_pipeline.script.cues.matching import match_subtitles
from dubarr_pipeline.script.fit.fitting import Timeline
from dubarr_pipeline.script.fit.placing import ScriptPlacement, place_translation
from dubarr_pipeline.script.model import Context, SpeakerProfile, Transcript
from dubarr_pipeline.workdir.artifacts import (
    read_cues_document,
    read_sound,
)
from dubarr_pipeline.workdir.corrections import (
    MOST_BYTES,
    NOT_LINES,
    edited_context,
    edited_speakers,
    files_of,
)
from dubarr_pipeline.workdir.layout import WorkDir

_log = logging.getLogger(__name__)

_LONGEST_TEXT = 4000
"""Letters of a correction: what subtitles may have."""
Lines = Mapping[str, Mapping[int, str]]
"""Language -> index of a line -> its wording."""


def briefed_context(
    settings: Settings, work: WorkDir, source: str, targets: Sequence[str]
) -> Context:
    """Return the context with a brief for each target language.

    Writes ``briefs/{lang}.json`` for people to read.

    Raises:
        ServiceError: if the reader's server does not answer.
    """
    context = edited_context(work)
    reader = profile_engines.engine(settings, ScriptAnalyzer, work.logs)
    if not reader.briefs:
        return context
    reading = ScriptAnalysis(context, tuple(edited_speakers(work).values()))
    with reader:
        for target in targets:
            brief = reader.brief(reading, source, target, work.answers(target))
            write_json(work.brief(target), {**asdict(brief), "engine": reader.identity()})
            context = context.with_brief(brief)
    return context


@dataclass(frozen=True, slots=True)
class Translations:
    """Wordings from existing subtitles, by language and line, and how each file was placed."""

    lines: Lines
    placements: Mapping[str, ScriptPlacement]


def existing_translations(
    source: Source, targets: tuple[str, ...], script: Transcript, work: WorkDir
) -> Translations:
    """Match the subtitles that exist in the target languages to the lines of the script.

    A piece of a file is used only where it agrees with the script, or where there is none with the
    detected speech. Names, sounds, songs, signs and credits in it are not spoken.
    """
    sound, written = read_sound(work.speech), read_cues_document(work.cues)
    film = Timeline(sound.speech, script.samples, script.rate)
    # A script that was refused says nothing about where a translation belongs.
    spoken = () if written.placement.verdict == "refused" else written.cues
    lines: dict[str, Mapping[int, str]] = {}
    placements: dict[str, ScriptPlacement] = {}
    for target, subtitle in source.translations(targets).items():
        if subtitle.is_same(source.script):
            lines[target] = {line.index: line.text for line in script.lines}
            continue
        cues = read_cues(subtitle, source.info, script.rate, sound.audio.offset_s)
        try:
            check_language(subtitle, cues)
        except NoScript as error:
            _log.warning("%s", error)
            continue
        placed, placements[target] = place_translation(cues, spoken, film)
        said = spoken_cues(placed, sound.speech, script.rate)
        matched = match_subtitles(script.lines, said)
        lines[target] = {index: text for index, text in matched.items() if text}
    return Translations(lines, placements)


class _Edit(BaseModel):
    text: Annotated[str, StringConstraints(max_length=_LONGEST_TEXT)] = ""
    speaker: str = ""


class _Edits(BaseModel):
    """A person's corrections: the index of a line, and its text or speaker."""

    lines: dict[int, _Edit]


def existing_digests(source: Source, targets: tuple[str, ...]) -> Mapping[str, str]:
    """Return a digest of each target language's existing subtitles, if there are any."""
    return {t: subtitle_digest(each) for t, each in source.translations(targets).items()}


def read_edits(work: WorkDir, film: Source, script: Transcript, offset_s: float) -> Lines:
    """Read people's corrections. Raises `ArtifactError` if a file is not readable."""
    edits: dict[str, dict[int, str]] = {}
    for target in sorted({path.stem for path in work.edits.glob("*")} - {*NOT_LINES}):
        srt, document = _files(work, target)
        lines: dict[int, str] = {}
        if srt.is_file():
            source = SubtitleSource("full", "sidecar", srt, "srt", language=target)
            cues = read_cues(source, film.info, script.rate, offset_s)
            matched = match_subtitles(script.lines, cues)
            lines |= {index: text for index, text in matched.items() if text}
        listed = _listed(document).lines
        lines |= {index: line.text for index, line in listed.items() if line.text}
        if lines:
            edits[target] = lines
    return edits


def with_moved_lines(
    work: WorkDir, script: Transcript, speakers: Mapping[str, SpeakerProfile]
) -> Transcript:
    """Return the script with the lines that a person gave to another speaker.

    Raises:
        ArtifactError: if the speaker is unknown; it lists the choices.
    """
    path = _files(work, script.language)[1]
    moved = {n: line.speaker for n, line in _listed(path).lines.items() if line.speaker}
    for index, speaker in moved.items():
        if speaker not in speakers:
            choices = ", ".join(speakers) or "none"
            raise ArtifactError(
                f"{path}: line {index} has no speaker {speaker!r}: choose one of {choices}"
            )
    if not moved:
        return script
    segments = (replace(s, speaker=moved.get(s.index, s.speaker)) for s in script.segments)
    return replace(script, segments=tuple(segments))


def _listed(document: Path) -> _Edits:
    if not document.is_file():
        return _Edits(lines={})
    try:
        return _Edits.model_validate_json(document.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ArtifactError(
            f"{document} is not readable ({where}: {first['msg']}): "
            'write {"lines": {"3": {"text": "..."}}}'
        ) from error


def edits_digest(work: WorkDir, targets: tuple[str, ...]) -> str | None:
    """Return a digest of all corrections, or None if there are none."""
    paths = [*(path for t in targets for path in _files(work, t)), *files_of(work)]
    parts = [path.read_bytes() for path in paths if path.is_file()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest() if parts else None


def _files(work: WorkDir, target: str) -> tuple[Path, Path]:
    files = work.edits / f"{target}.srt", work.edits / f"{target}.json"
    for path in files:
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise ArtifactError(
                f"{path} has more than {MOST_BYTES // 1_000_000} MB: keep corrections alone in it"
            )
    return files
