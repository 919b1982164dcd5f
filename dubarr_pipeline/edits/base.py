"""Lasting ids of lines, and the scripts that facts were stated on: ``edits/base.json``.

An id is minted once, from a line's words and never from its index. It is kept from the first fact
on, with the script as it was; in another script its line is found again by its words (`words`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from dubarr_pipeline.edits.files import read_checked, replace_json
from dubarr_pipeline.edits.model import Anchor, Clock, OrphanReason
from dubarr_pipeline.edits.words import FoundLines, candidate, find_lines
from dubarr_pipeline.script.model import Transcript
from dubarr_pipeline.spans import to_seconds
from dubarr_pipeline.workdir.layout import WorkDir

MOST_SCRIPTS = 8
"""Scripts that are kept, the newest and those on which facts still hang."""
_LEAST_SPEAKER = 0.6
"""Share of a speaker's found lines that must be one speaker's in the new script."""


@dataclass(frozen=True, slots=True)
class BaseLine:
    """A line of a script on which facts were stated; times in seconds."""

    id: str
    start_s: Clock
    end_s: Clock
    text: str
    speaker: str


@dataclass(frozen=True, slots=True)
class BaseScript:
    """A script on which facts were stated, from a time (ISO 8601) on."""

    at: str
    lines: tuple[BaseLine, ...]


_SCRIPTS = TypeAdapter(tuple[BaseScript, ...])


@dataclass(frozen=True, slots=True)
class ScriptMap:
    """Way from an older script to the present one.

    Attributes:
        at: when facts were first stated on the older one.
        found: its lines, by position.
        speakers: speaker -> the same one now; None where nobody surely is.
    """

    at: str
    found: FoundLines
    speakers: Mapping[str, str | None]

    def speaker(self, name: str) -> str | None:
        """Return who a speaker of the older script is now; None where nobody surely is."""
        return self.speakers.get(name, name)


@dataclass(frozen=True, slots=True)
class LastingIds:
    """Lines of the present script by their lasting ids.

    Attributes:
        ids: index of a line -> its id.
        scripts: older scripts as they are in `base.json`, the newest last.
        maps: way from each of them to the present one.
        lines: the present script.
        homes: id -> the newest script that has it (its number), and its line's position there.
    """

    ids: Mapping[int, str]
    scripts: tuple[BaseScript, ...]
    maps: tuple[ScriptMap, ...]
    lines: tuple[Anchor, ...]
    homes: Mapping[str, tuple[int, int]]

    def map_from(self, at: str) -> ScriptMap | None:
        """Return the way from the script of a time; None if it is the present one's own."""
        before = [each for each in self.maps if each.at <= at]
        if not at or not self.maps:
            return None
        return before[-1] if before else self.maps[0]

    def lost(self, name: str) -> tuple[OrphanReason, Anchor | None, str | None]:
        """Return why there is no line of that id, what it was, and the id of its candidate."""
        if name in self.homes:
            number, at = self.homes[name]
            old, way = _anchor(self.scripts[number].lines[at]), self.maps[number]
            return way.found.lost.get(at, "ambiguous"), old, self.candidate(old, way)
        return "gone", None, None

    def candidate(self, old: Anchor, way: ScriptMap | None) -> str | None:
        """Return the id of the line that a lost one most probably is."""
        shift = way.found.shift_at(old.start_s) if way else 0.0
        at = candidate(old, old.start_s + (shift or 0.0), self.lines)
        return None if at is None else list(self.ids.values())[at]


def anchors_of(transcript: Transcript) -> tuple[Anchor, ...]:
    """Return the lines of a script with their words on either side."""
    segments = transcript.segments
    return tuple(
        Anchor(
            round(to_seconds(line.span.start, transcript.rate), 3),
            round(to_seconds(line.span.end, transcript.rate), 3),
            line.text,
            line.speaker,
            segments[at - 1].text if at else "",
            segments[at + 1].text if at + 1 < len(segments) else "",
        )
        for at, line in enumerate(segments)
    )


def lasting_ids(work: WorkDir, transcript: Transcript) -> LastingIds:
    """Return the lasting ids of a script's lines: kept ones, found again, or new ones.

    Raises:
        ArtifactError: if `base.json` is not readable.
    """
    scripts = read_base(work)
    now = anchors_of(transcript)
    given, maps = dict[int, str](), list[ScriptMap]()
    for script in reversed(scripts):
        found = find_lines(tuple(_anchor(line) for line in script.lines), now)
        maps.append(ScriptMap(script.at, found, _same_speakers(script.lines, now, found)))
        known = set(given.values())
        for at, there in found.pairs.items():
            if there not in given and script.lines[at].id not in known:
                given[there] = script.lines[at].id
    homes = {
        line.id: (number, at)
        for number, script in enumerate(scripts)
        for at, line in enumerate(script.lines)
    }
    taken = {*homes}
    ids: dict[int, str] = {}
    for at, (segment, line) in enumerate(zip(transcript.segments, now, strict=True)):
        ids[segment.index] = given.get(at) or _minted(line, taken)
        taken.add(ids[segment.index])
    return LastingIds(ids, scripts, tuple(reversed(maps)), now, homes)


def read_base(work: WorkDir) -> tuple[BaseScript, ...]:
    """Return the scripts on which facts were stated, the newest last; none where there is none.

    Raises:
        ArtifactError: if the file is not readable.
    """
    path = work.edits / "base.json"
    return read_checked(path, lambda found: _SCRIPTS.validate_python(found["scripts"])) or ()


def keep_base(work: WorkDir, lasting: LastingIds, at: str, needed: Collection[str]) -> None:
    """Keep the present script as that on which facts are stated now; the caller holds the lock.

    `needed` are the times of the older scripts on which facts still hang.
    """
    names = lasting.ids.values()
    lines = tuple(
        BaseLine(name, line.start_s, line.end_s, line.text, line.speaker)
        for name, line in zip(names, lasting.lines, strict=True)
    )
    scripts = lasting.scripts
    if scripts and scripts[-1].lines == lines:
        return
    older = [script for script in scripts if script.at in needed][1 - MOST_SCRIPTS :]
    kept: list[dict[str, Any]] = [asdict(each) for each in (*older, BaseScript(at, lines))]
    replace_json(work.edits / "base.json", {"schema": 1, "scripts": kept})


def _anchor(line: BaseLine) -> Anchor:
    return Anchor(line.start_s, line.end_s, line.text, line.speaker)


def _minted(line: Anchor, taken: Container[str]) -> str:
    """Return a new id: ten digits of its words, speaker and start, and never one that was given."""
    salt = 0
    while True:
        facts = f"{line.start_s:.3f}\0{line.speaker}\0{line.text}\0{salt}"
        name = "L" + hashlib.blake2b(facts.encode("utf-8", "replace"), digest_size=5).hexdigest()
        if name not in taken:
            return name
        salt += 1


def _same_speakers(
    old: Sequence[BaseLine], new: Sequence[Anchor], found: FoundLines
) -> dict[str, str | None]:
    """Return who the speakers of an old script are in the new one, by their found lines."""
    both = Counter((old[at].speaker, new[there].speaker) for at, there in found.pairs.items())
    before, after = Counter[str](), Counter[str]()
    for (one, other), count in both.items():
        before[one] += count
        after[other] += count
    same: dict[str, str | None] = dict.fromkeys((line.speaker for line in old), None)
    for (one, other), count in both.items():
        if count >= _LEAST_SPEAKER * max(before[one], after[other]):
            same[one] = other
    return same
