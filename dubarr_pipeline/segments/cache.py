"""Answers of all runs for one video: drafts, rewordings, takes and finished lines, by type.

Each method reads the journal first and calls the service only where the journal has no answer. A
take's sound is whole on the disk before its entry is written, and its entry before anything uses
it.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from dubarr_pipeline.engines.interfaces import Draft, Samples, Speech
from dubarr_pipeline.files import named_disk_errors, put_in_place, whole_file
from dubarr_pipeline.media.audio.wav import WaveFile, write_wave
from dubarr_pipeline.segments.journal import Entry, Journal, digest
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

    def take(self, unspoken: Take) -> Take:
        """Return a take with this sound."""
        return replace(
            unspoken,
            duration_s=round(self.samples / self.rate, 6),
            faults=self.faults,
            file=self.file,
            sound=self.sound,
        )


_Value = TypeVar("_Value")
_SOUND = TypeAdapter(_SoundEntry)
_VERSIONS = TypeAdapter(tuple[str, ...])
_TAKE = TypeAdapter(Take)
_TAKES = TypeAdapter(tuple[Take, ...])
_SECONDS = TypeAdapter(Annotated[float, Field(gt=0, allow_inf_nan=False)])


class AnswerCache:
    """Answers of all runs for one video. For many threads."""

    def __init__(self, work: WorkDir, journal: Journal, tasks: Iterable[LineTask] = ()) -> None:
        """Open the answers of a journal; `tasks` are the lines as they are numbered now."""
        self.folder = work.segments / TAKES
        self._journal = journal
        self._drafts = {(task.language, task.index): task.draft_key for task in tasks}

    def _find(self, kind: str, task: LineTask, key: str) -> Entry | None:
        """Return the last answer for a line, also where it had another number then."""
        known = self._journal.found(kind, task.language, key)
        if task.index in known:
            return known[task.index]
        # A line that says the same today is another line, with answers of its own.
        moved = (n for n in sorted(known) if self._drafts.get((task.language, n)) != task.draft_key)
        return next((known[number] for number in moved), None)

    def draft(self, task: LineTask) -> Draft | None:
        """Return the translation of the line, or None if there is none yet."""
        entry = self._find("draft", task, task.draft_key)
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
        entry = self._find(kind, task, key)
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
        entry = self._find("take", task, key)
        sound = _checked(_SOUND, entry, "rendering")
        if sound is None or not self.is_whole(sound):
            speech, faults = speak()
            path = self.folder / f"{task.language}_{task.index}_{key}.wav"
            # Not flushed to the disk: the entry carries the sound's digest, so a sound that a power
            # cut took is noticed and spoken again, and thousands of waits for the disk are saved.
            temporary = path.with_name(f".{path.name}.part")
            with named_disk_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_wave(temporary, speech.samples, speech.rate)
                put_in_place(temporary, path)
            size, clipped = speech.samples.size, clipped_samples(speech.samples)
            sound = _SoundEntry(path.name, _digest(path), size, speech.rate, clipped, faults)
            rendering = {
                "rendering": asdict(sound),
                "take": _TAKE.dump_python(unspoken, mode="json"),
            }
            self._journal.write({**_place("take", task, key), **rendering})
        return sound.take(unspoken), Fraction(sound.clipped, max(1, sound.samples))

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
        return self._find("line", task, task.line_key) is not None

    def finished(self, task: LineTask) -> LineResult | None:
        """Return the line as an earlier run finished it, if all that it depends on is the same."""
        entry = self._find("line", task, task.line_key)
        if entry is None and task.old_line_key:
            entry = self._find("line", task, task.old_line_key)
        takes = _checked(_TAKES, entry, "takes")
        if entry is not None and takes and (spoken := task.respelled(takes[entry["chosen"]].text)):
            entry = self._find("line", task, digest(task.line_key, spoken))
            takes = _checked(_TAKES, entry, "takes")
        if entry is None or not takes:
            return None
        # Only the chosen sound is needed: the others may be gone.
        if not self.is_whole(takes[int(entry["chosen"])]):
            return None
        natural = entry.get("natural")
        return replace(
            task.unspoken.with_takes(takes, int(entry["chosen"])),
            natural=(natural[0], natural[1]) if natural else None,
            reused=True,
        )

    def natural(self, task: LineTask) -> tuple[str, float] | None:
        """Return the text that was first spoken of a finished line, and its natural seconds."""
        entry = self._find("line", task, task.line_key)
        seen = entry.get("natural") if entry is not None else None
        return (seen[0], seen[1]) if seen else None

    def take(self, language: str, sound: str) -> Take | None:
        """Return the take with this digest that was spoken for any line; None if it is gone."""
        for entry in self._journal.entries("line", language):
            for take in _checked(_TAKES, entry, "takes") or ():
                if take.sound == sound:
                    return take if self.is_whole(take) else None
        for entry in self._journal.entries("take", language):
            rendering = _checked(_SOUND, entry, "rendering")
            if rendering and rendering.sound == sound and (made := _checked(_TAKE, entry, "take")):
                take = replace(rendering.take(made), verdict="keep")
                return take if self.is_whole(take) else None
        return None

    def keep_line(self, task: LineTask, result: LineResult) -> None:
        """Write down that a line is finished. Failed and provisional ones are tried again."""
        if result.chosen is not None and not result.provisional:
            takes = _TAKES.dump_python(result.takes, mode="json")
            spoken = task.respelled(result.text)
            place = _place("line", task, digest(task.line_key, spoken) if spoken else task.line_key)
            facts = {"takes": takes, "chosen": result.chosen, "natural": result.natural}
            self._journal.write({**place, **facts})

    def final(self, task: LineTask, key: str, path: Path, render: Callable[[Path], None]) -> None:
        """Render a final sound, unless it is there and whole."""
        entry = self._find("final", task, key)
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

    def is_whole(self, take: Take | _SoundEntry) -> bool:
        """Return whether a take's sound is there as it was spoken."""
        path = self.folder / Path(take.file).name
        return path.is_file() and _digest(path) == take.sound


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
