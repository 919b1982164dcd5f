"""A person's corrections of a film, brought over to its sample: speakers, lines and context.

The sample numbers its speakers and lines anew: they are known by where they speak, and by their
words.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from dubarr_pipeline.files import write_json
from dubarr_pipeline.script.model import Segment
from dubarr_pipeline.workdir.artifacts import read_sound, read_transcript
from dubarr_pipeline.workdir.corrections import NOT_LINES, read_edits
from dubarr_pipeline.workdir.layout import WorkDir

_Placed = tuple[float, float, Segment]
"""A line with its start and end in seconds of the film's clock."""


def carry_over(film: WorkDir, sample: WorkDir, start_s: float) -> list[str]:
    """Write the corrections that concern the sample into its folder; return them in words.

    `start_s` is where the sample begins in the film. The sample's transcript is there already.

    Raises:
        ArtifactError: if the corrections, or what they are about, cannot be read.
    """
    if not (film.edits.is_dir() and film.transcription.is_file() and film.speech.is_file()):
        return []
    pairs = _pairs(list(_placed(film, 0.0)), list(_placed(sample, start_s)))
    shared: dict[str, Counter[str]] = {}
    for theirs, ours, together_s in pairs:
        shared.setdefault(ours.speaker, Counter())[theirs.speaker] += round(1000 * together_s)
    speakers = {ours: counted.most_common(1)[0][0] for ours, counted in shared.items()}
    lines = {t.index: o.index for t, o, _ in pairs if t.text == o.text}
    said: list[str] = []
    shutil.rmtree(sample.edits, ignore_errors=True)
    sample.edits.mkdir(parents=True, exist_ok=True)
    for path in sorted(film.edits.glob("*.json")):
        document = read_edits(path)
        if path.stem == "speakers":
            table = document.get("speakers", {})
            found = {ours: table[theirs] for ours, theirs in speakers.items() if theirs in table}
            write_json(sample.edits / path.name, {"speakers": found}, 1)
            said += [f"{speakers[ours]} of the film as {ours}" for ours in found]
        elif path.stem in NOT_LINES:
            shutil.copyfile(path, sample.edits / path.name)
            said.append(path.name)
        else:
            edits = _line_edits(document.get("lines", {}), lines, speakers)
            write_json(sample.edits / path.name, {"lines": edits}, 1)
            said += [f"line {index} ({path.stem})" for index in edits]
    return said


def _placed(work: WorkDir, start_s: float) -> Iterator[_Placed]:
    transcript = read_transcript(work.transcription)
    offset_s = start_s + read_sound(work.speech).audio.offset_s
    for segment in transcript.segments:
        start, end = (at / transcript.rate for at in (segment.span.start, segment.span.end))
        yield start + offset_s, end + offset_s, segment


def _pairs(film: list[_Placed], sample: list[_Placed]) -> list[tuple[Segment, Segment, float]]:
    """Return the film's and the sample's lines that are spoken together, and for how long (s)."""
    return [
        (theirs, ours, together_s)
        for theirs_from, theirs_to, theirs in film
        for ours_from, ours_to, ours in sample
        if (together_s := min(theirs_to, ours_to) - max(theirs_from, ours_from)) > 0
    ]


def _line_edits(
    table: Mapping[str, Any], lines: Mapping[int, int], speakers: Mapping[str, str]
) -> dict[str, Any]:
    ours_of = {theirs: ours for ours, theirs in speakers.items()}
    found: dict[str, Any] = {}
    for index, edit in table.items():
        ours = lines.get(int(index)) if index.isdigit() else None
        if ours is None or not isinstance(edit, dict):
            continue
        own = {name: value for name, value in edit.items() if name != "speaker"}
        if edit.get("speaker") in ours_of:
            own["speaker"] = ours_of[edit["speaker"]]
        if own:
            found[str(ours)] = own
    return found
