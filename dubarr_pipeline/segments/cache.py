"""Answers of all runs for one video: drafts, rewordings, takes and finished lines, by type.

Each method reads the journal first and calls the service only where the journal has no answer. A
take's sound is whole on the disk before its entry is written, and its entry before anything uses
it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from dubarr_pipeline.engines.interfaces import Draft, Samples, Speech
from dubarr_pipeline.files import named_disk_errors, whole_file
from dubarr_pipeline.media.audio.wav import WaveFile, write_wave
from dubarr_pipeline.segments.journal import Entry, Journal
from dubarr_pipeline.segments.results import LineResult, Take
from dubarr_pipeline.segments.takes import clipped_samples
from dubarr_pipeline.segments.tasks import LineTask
from dubarr_pipeline.workdir.layout import WorkDir

TAKES = "takes"
"""Folder of the takes as they were spoken, below ``segments``."""


@dataclass(frozen=True, slots=True)
class _SoundEntry:
    """A take's sound as the journal holds it; `clipped` counts samples in runs at full scale."""

    file: str
    sound: str
    samples: int
    rate: int
    clipped: int = 0
    faults: tuple[str, ...] = ()


_Value = TypeVar("_Value")
_SOUND = TypeAdapter(_SoundEntry)
_VERSIONS = TypeAdapter(tuple[str, ...])
_TAKES = TypeAdapter(tuple[Take, ...])
_SECONDS = TypeAdapter(Annotated[float, Field(gt=0, allow_inf_nan=False)])


class AnswerCache:
    """Answers of all runs for one video. For many threads."""

    def __init__(self, work: WorkDir, journal: Journal) -> None:
        self.folder = work.segments / TAKES
        self._journal = journal

    def draft(self, task: LineTask) -> Draft | None:
        """Return the translation of the line, or None if there is none yet."""
        entry = self._journal.find("draft", task.language, task.index, task.draft_key)
        versions = _checked(_VERSIONS, entry, "versions")
        return Draft(task.index, versions) if versions else None

    def keep_drafts(self, drafts: Sequence[tuple[LineTask, Draft]]) -> None:
        """Write down the translations that one call returned, all or none."""
        if not drafts:
            return
        lines = [
            {"index": task.index, "key": task.draft_key, "versions": list(draft.versions)}
            for task, draft in drafts
        ]
        language = drafts[0][0].language
        self._journal.write({"kind": "draft", "language": language, "lines": lines})

    def text(
        self, kind: Literal["rewrite", "heard"], task: LineTask, key: str, ask: Callable[[], str]
    ) -> str:
        """Return the wording, or the words heard, that answered this request, else ask for them."""
        entry = self._journal.find(kind, task.language, task.index, key)
        if entry is not None and isinstance(entry.get("text"), str):
            return str(entry["text"])
        text = ask()
        self._journal.write({**_place(kind, task, key), "text": text})
        return text

    def spoken(
        self,
        task: LineTask,
        key: str,
        unspoken: Take,
        speak: Callable[[], tuple[Speech, tuple[str, ...]]],
    ) -> tuple[Take, Fraction]:
        """Return a take with its sound, and the share of its samples that are clipped.

        `key` is the digest of the request to the voice. `speak` renders the take and names its
        faults; it is called if there is no such sound yet.
        """
        entry = self._journal.find("take", task.language, task.index, key)
        sound = _checked(_SOUND, entry, "rendering")
        if sound is None or not self._is_whole(sound.file, sound.sound):
            speech, faults = speak()
            path = self.folder / f"{task.language}_{task.index}_{key}.wav"
            # Not flushed to the disk: the entry carries the sound's digest, so a sound that a power
            # cut took is noticed and spoken again, and thousands of waits for the disk are saved.
            temporary = path.with_name(f".{path.name}.part")
            with named_disk_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_wave(temporary, speech.samples, speech.rate)
                temporary.replace(path)
            size, clipped = speech.samples.size, clipped_samples(speech.samples)
            sound = _SoundEntry(path.name, _digest(path), size, speech.rate, clipped, faults)
            self._journal.write({**_place("take", task, key), "rendering": asdict(sound)})
        take = replace(
            unspoken,
            duration_s=round(sound.samples / sound.rate, 6),
            faults=sound.faults,
            file=sound.file,
            sound=sound.sound,
        )
        return take, Fraction(sound.clipped, max(1, sound.samples))

    def prior(self, given: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Return the length model as it was when this video was begun; later runs go on from it."""
        # A killed run was planned with this model; another one would ask other questions.
        entry = self._journal.find("prior", "*", -1, "")
        if entry is None:
            entry = {"kind": "prior", "language": "*", "index": -1, "key": "", "model": given}
            self._journal.write(entry)
        return entry["model"]

    def measured_s(self, language: str, key: str) -> float | None:
        """Return the seconds that a voice took for a measuring sentence; None if unmeasured."""
        return _checked(_SECONDS, self._journal.find("measured", language, -1, key), "seconds")

    def keep_measured(self, language: str, key: str, seconds: float) -> None:
        """Write down the seconds of a measuring sentence; `key` is the digest of its request."""
        place = {"kind": "measured", "language": language, "index": -1, "key": key}
        self._journal.write({**place, "seconds": seconds})

    def has_begun(self, task: LineTask) -> bool:
        """Return whether an earlier run has finished the line; its sound may be gone. Cheap."""
        return self._journal.find("line", task.language, task.index, task.line_key) is not None

    def finished(self, task: LineTask) -> LineResult | None:
        """Return the line as an earlier run finished it, if all that it depends on is the same."""
        place = ("line", task.language, task.index)
        entry = self._journal.find(*place, task.line_key)
        if entry is None and task.old_line_key:
            entry = self._journal.find(*place, task.old_line_key)
        takes = _checked(_TAKES, entry, "takes")
        if entry is None or not takes:
            return None
        # Only the chosen sound is needed: the others may be gone.
        chosen = takes[int(entry["chosen"])]
        if not self._is_whole(chosen.file, chosen.sound):
            return None
        natural = entry.get("natural")
        return replace(
            task.unspoken.with_takes(takes, int(entry["chosen"])),
            natural=(natural[0], natural[1]) if natural else None,
            reused=True,
        )

    def keep_line(self, task: LineTask, result: LineResult) -> None:
        """Write down that a line is finished. Failed and provisional ones are tried again."""
        if result.chosen is not None and not result.provisional:
            takes = _TAKES.dump_python(result.takes, mode="json")
            place = _place("line", task, task.line_key)
            facts = {"takes": takes, "chosen": result.chosen, "natural": result.natural}
            self._journal.write({**place, **facts})

    def final(self, task: LineTask, key: str, path: Path, render: Callable[[Path], None]) -> None:
        """Render a final sound, unless it is there and whole."""
        entry = self._journal.find("final", task.language, task.index, key)
        if entry is not None and path.is_file() and _digest(path) == entry.get("sound"):
            return
        with whole_file(path) as temporary:
            render(temporary)
        self._journal.write({**_place("final", task, key), "sound": _digest(path)})

    def sound(self, take: Take) -> tuple[Samples, int]:
        """Return a take as it was spoken: mono ``(samples,)`` and its rate."""
        with WaveFile(self.folder / take.file) as wave:
            return wave.read(0, wave.samples)[0], wave.rate

    def sweep(self, results: Sequence[LineResult]) -> None:
        """Remove the sounds that no line of the finished run refers to."""
        used = {take.file for result in results for take in result.takes}
        for path in [*self.folder.glob("*.wav"), *self.folder.glob(".*.part")]:
            if path.name not in used:
                path.unlink(missing_ok=True)

    def _is_whole(self, file: str, sound: str) -> bool:
        path = self.folder / Path(file).name
        return path.is_file() and _digest(path) == sound


def _place(kind: str, task: LineTask, key: str) -> dict[str, object]:
    return {"kind": kind, "language": task.language, "index": task.index, "key": key}


def _checked(adapter: TypeAdapter[_Value], entry: Entry | None, name: str) -> _Value | None:
    """Return the typed value of an entry, or None where there is none or it is damaged."""
    try:
        return adapter.validate_python(entry[name]) if entry is not None else None
    except (KeyError, ValidationError):
        return None


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
