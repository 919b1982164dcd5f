"""What has been answered already: drafts, rewordings, takes and finished lines, by type.

Each of these asks the journal first and calls the service only where it has no answer. A take's
sound is whole on the disk before its entry is written, and its entry before anything uses it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.engines.interfaces import Draft, Samples, Speech
from dubarr_pipeline.media.waveform import WaveFile, write_wave
from dubarr_pipeline.production.journal import Entry, Journal
from dubarr_pipeline.production.results import LineResult, Take
from dubarr_pipeline.production.takes import clipped_samples
from dubarr_pipeline.production.tasks import LineTask
from dubarr_pipeline.workdir import WorkDir, named_disk_errors, whole_file

TAKES = "takes"
"""Folder of the takes as they were spoken, below ``segments``."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """A take's sound on the disk, before anybody has judged it.

    Attributes:
        file: name in the takes' folder; `sound`: digest of the file.
        samples, rate: its length and its own rate.
        clipped: samples that lie in runs at full scale.
        faults: what is wrong with the sound, by name.
        heard: the words that a listener wrote down; None where nobody listened.
    """

    file: str
    sound: str
    samples: int
    rate: int
    clipped: int = 0
    faults: tuple[str, ...] = ()
    heard: str | None = None

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.samples / self.rate


_Value = TypeVar("_Value")
_RENDERING = TypeAdapter(Rendering)
_VERSIONS = TypeAdapter(tuple[str, ...])
_TAKES = TypeAdapter(tuple[Take, ...])


class Memory:
    """The answers of all runs for one video. For many threads."""

    def __init__(self, work: WorkDir, journal: Journal) -> None:
        self.folder = work.segments / TAKES
        self._journal = journal

    def draft(self, task: LineTask) -> Draft | None:
        """The translation that the line has already, or None."""
        entry = self._journal.find("draft", task.language, task.index, task.draft_key)
        versions = _checked(_VERSIONS, entry, "versions")
        return Draft(task.index, versions) if versions else None

    def keep_drafts(self, drafts: Sequence[tuple[LineTask, Draft]]) -> None:
        """Write down the translations that one call brought, all or none."""
        if not drafts:
            return
        lines = [
            {"index": task.index, "key": task.draft_key, "versions": list(draft.versions)}
            for task, draft in drafts
        ]
        language = drafts[0][0].language
        self._journal.write({"kind": "draft", "language": language, "lines": lines})

    def rewording(self, task: LineTask, key: str, ask: Callable[[], str]) -> str:
        """The other wording that was had for this question, or now is."""
        return self._text("rewrite", task, key, ask)

    def hearing(self, task: LineTask, key: str, ask: Callable[[], str]) -> str:
        """The words that were heard in this sound, or now are."""
        return self._text("heard", task, key, ask)

    def _text(self, kind: str, task: LineTask, key: str, ask: Callable[[], str]) -> str:
        entry = self._journal.find(kind, task.language, task.index, key)
        if entry is not None and isinstance(entry.get("text"), str):
            return str(entry["text"])
        text = ask()
        self._journal.write({**_place(kind, task, key), "text": text})
        return text

    def rendering(
        self, task: LineTask, key: str, speak: Callable[[], tuple[Speech, tuple[str, ...]]]
    ) -> tuple[Rendering, bool]:
        """The sound that was had for this request, or now is, and whether it is new."""
        entry = self._journal.find("take", task.language, task.index, key)
        known = _checked(_RENDERING, entry, "rendering")
        if known is not None and self._is_whole(known.file, known.sound):
            return known, False
        speech, faults = speak()
        path = self.folder / f"{task.language}_{task.index}_{key}.wav"
        self._store(path, speech)
        clipped = clipped_samples(speech.samples)
        made = Rendering(
            path.name, _digest(path), speech.samples.size, speech.rate, clipped, faults
        )
        self._journal.write({**_place("take", task, key), "rendering": asdict(made)})
        return made, True

    def prior(self, given: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """What the length model knew when this production began; a later run goes on from there."""
        entry = self._journal.find("prior", "*", -1, "")
        if entry is None:
            entry = {"kind": "prior", "language": "*", "index": -1, "key": "", "model": given}
            self._journal.write(entry)
        return entry["model"]

    def finished(self, task: LineTask) -> LineResult | None:
        """The line as an earlier run finished it, if all that it depends on is the same."""
        entry = self._journal.find("line", task.language, task.index, task.line_key)
        takes = _checked(_TAKES, entry, "takes")
        if entry is None or not takes:
            return None
        natural = entry.get("natural")
        result = LineResult(
            task.language,
            task.index,
            takes,
            int(entry["chosen"]),
            natural=(natural[0], natural[1]) if natural else None,
            reused=True,
        )
        chosen = result.take
        return result if chosen and self._is_whole(chosen.file, chosen.sound) else None

    def keep_line(self, task: LineTask, result: LineResult) -> None:
        """Write down that a line is finished. Failed and provisional ones are tried again."""
        if result.chosen is not None and not result.provisional:
            takes = _TAKES.dump_python(result.takes, mode="json")
            place = _place("line", task, task.line_key)
            found = {"takes": takes, "chosen": result.chosen, "natural": result.natural}
            self._journal.write({**place, **found})

    def final(self, task: LineTask, key: str, path: Path, render: Callable[[Path], None]) -> None:
        """See that a final sound is there: rendered now, unless it was and is still whole."""
        entry = self._journal.find("final", task.language, task.index, key)
        if entry is not None and path.is_file() and _digest(path) == entry.get("sound"):
            return
        with whole_file(path) as temporary:
            render(temporary)
        self._journal.write({**_place("final", task, key), "sound": _digest(path)})

    def sound(self, take: Take) -> tuple[Samples, int]:
        """A take as it was spoken: mono ``(samples,)`` and its rate."""
        return self.sound_of(take.file)

    def sound_of(self, file: str) -> tuple[Samples, int]:
        """The sound of a take by its file's name: mono ``(samples,)`` and its rate."""
        with WaveFile(self.folder / file) as wave:
            return wave.read(0, wave.samples)[0], wave.rate

    def sweep(self, results: Sequence[LineResult]) -> None:
        """Remove the sounds that no line of the finished production refers to."""
        used = {take.file for result in results for take in result.takes}
        for path in [*self.folder.glob("*.wav"), *self.folder.glob(".*.part")]:
            if path.name not in used:
                path.unlink(missing_ok=True)

    def _store(self, path: Path, speech: Speech) -> None:
        """Put a take's sound in its place, whole or not at all.

        It is not flushed to the disk: its entry carries its digest, so a sound that a power cut has
        taken is noticed and spoken again, and thousands of waits for the disk are saved.
        """
        temporary = path.with_name(f".{path.name}.part")
        with named_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_wave(temporary, speech.samples, speech.rate)
            temporary.replace(path)

    def _is_whole(self, file: str, sound: str) -> bool:
        path = self.folder / Path(file).name
        return path.is_file() and _digest(path) == sound


def _place(kind: str, task: LineTask, key: str) -> dict[str, object]:
    return {"kind": kind, "language": task.language, "index": task.index, "key": key}


def _checked(adapter: TypeAdapter[_Value], entry: Entry | None, name: str) -> _Value | None:
    """The typed value of an entry, or None where there is none or it is damaged."""
    try:
        return adapter.validate_python(entry[name]) if entry is not None else None
    except (KeyError, ValidationError):
        return None


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
