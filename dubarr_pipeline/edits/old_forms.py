"""Edits as they were written before there were facts; they are still read, and in effect.

``edits/{language}.srt`` is a corrected copy of the dubbed subtitles, matched to the lines by time;
``edits/{language}.json`` of schema 1 names lines by index: ``{"lines": {"3": {"text": "..."}}}``;
that of the spoken language may also move a line to its true speaker (``"speaker"``).
"""

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, StringConstraints

from dubarr_pipeline.edits.files import too_large
from dubarr_pipeline.edits.model import LONGEST_TEXT, Fact
from dubarr_pipeline.errors import NoScript
from dubarr_pipeline.media.subtitles.encoding import decode_text
from dubarr_pipeline.media.subtitles.parse import parse_cues
from dubarr_pipeline.media.subtitles.read import on_clock
from dubarr_pipeline.script.cues.matching import match_subtitles
from dubarr_pipeline.script.model import Transcript
from dubarr_pipeline.workdir.artifacts import read_sound
from dubarr_pipeline.workdir.corrections import MOST_BYTES
from dubarr_pipeline.workdir.layout import WorkDir

BY_INDEX = "the file of lines by index"
"""Author of facts from a file of schema 1."""
_NAMES = uuid.UUID("6d1f0a5e-6a0e-5f0e-9b57-3b8f3f5f7f10")


class LineByIndex(BaseModel):
    """A person's correction of a line: its text or speaker."""

    text: Annotated[str, StringConstraints(max_length=LONGEST_TEXT)] = ""
    speaker: str = ""


class LinesByIndex(BaseModel):
    """A file of schema 1: corrections by the index of a line."""

    lines: dict[int, LineByIndex]


def facts_by_index(
    found: LinesByIndex, transcript: Transcript, ids: Mapping[int, str], language: str
) -> Iterator[Fact]:
    """Yield a file of schema 1 as facts; indices that the script lacks are left out."""
    spoken = language == transcript.language
    for index, line in found.lines.items():
        said = {"text": line.text, "speaker": line.speaker if spoken else ""}
        for name, value in said.items():
            # What no voice says, and no fact may hold.
            kept = "".join(sign for sign in value if sign in "\t\n" or sign.isprintable())
            if kept.strip() and index in ids:
                yield _fact(language, BY_INDEX, ids[index], name, kept)


def facts_of_subtitles(
    work: WorkDir, transcript: Transcript, ids: Mapping[int, str], of: tuple[str, Path]
) -> Iterator[Fact]:
    """Yield the texts of ``edits/{language}.srt`` as facts.

    They are on the player's clock; `of` is the language, and the ``speech.json`` that has the
    sound's place on it.

    Raises:
        NoScript: if it is not readable, or holds no cue.
        ArtifactError: if it is larger than any subtitle.
    """
    language, sound = of
    path = work.edits / f"{language}.srt"
    if not path.is_file():
        return
    offset_s = read_sound(sound).audio.offset_s if sound.is_file() else 0.0
    if path.stat().st_size > MOST_BYTES:
        raise too_large(path)
    parsed = parse_cues(decode_text(path.read_bytes(), language), "srt")
    if not parsed:
        raise NoScript(f"{path} holds no cue that could be read: repair it, or take it away")
    cues = on_clock(parsed, transcript.rate, offset_s)
    for index, text in match_subtitles(transcript.lines, cues).items():
        if text:
            yield _fact(language, path.name, ids[index], "text", text)


def _fact(language: str, by: str, name: str, field: str, value: str) -> Fact:
    """Return a fact that is the same whenever the file is read; it counts from the beginning on."""
    token = str(uuid.uuid5(_NAMES, f"{language}\0{by}\0{name}\0{field}\0{value}"))
    return Fact(token, 0, "", by, "line", name, field, value)
