"""A film as the page shows it: its files read together, whatever of them is there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from dubarr_pipeline.edits.document import read_edits_document
from dubarr_pipeline.edits.film import film_edits, stale_slots
from dubarr_pipeline.edits.history import Slot
from dubarr_pipeline.edits.model import EditsDocument, FilmEdits
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.library.housekeeping import REVIEWS
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.script.model import SpeakerProfile, Transcript
from dubarr_pipeline.segments.cast import Cast, read_cast
from dubarr_pipeline.segments.results import LineResult, SegmentsResult, read_segments
from dubarr_pipeline.workdir.artifacts import SourceSound, read_sound, read_transcript
from dubarr_pipeline.workdir.corrections import edited_speakers
from dubarr_pipeline.workdir.layout import WorkDir

_Part = TypeVar("_Part")
_KEPT = 4


@dataclass(frozen=True, slots=True)
class FilmView:
    """Everything that is known of a film at one moment; a part that is not made yet is None.

    Attributes:
        script: as the machine has it.
        made: lines by language, as they were last made.
        speakers: by id, with a person's corrections.
        cast: language -> speaker -> voice.
        edits: what people want, put into the script; None without a script.
        documents: the facts of each target language, and of the film's own.
        slots: what the finished tracks lack of each of these.
        cache: folder of what is kept for the browser; not in the work folder, from which every run
            that begins removes unfinished files.
    """

    video: Video
    work: WorkDir
    cache: Path
    sound: SourceSound | None
    script: Transcript | None
    made: SegmentsResult | None
    speakers: Mapping[str, SpeakerProfile]
    cast: Cast
    edits: FilmEdits | None
    documents: Mapping[str, EditsDocument]
    slots: Mapping[str, frozenset[Slot]]

    @staticmethod
    def stamp(video: Video, work: WorkDir) -> tuple[object, ...]:
        """Return what changes with the files that a view is read from."""
        paths = [work.speech, work.transcription, work.segments_report, work.speakers, work.cast]
        paths.append(work.checkpoints / "edits.json")
        with suppress(OSError):
            paths += sorted(work.edits.iterdir())
        return (video, *((path.name, *file_state(path)) for path in paths))

    def unheard(self, language: str) -> frozenset[Slot]:
        """Return what the finished track of a language lacks, of its edits and the source's."""
        if self.made is None:
            return frozenset()
        named = (language, self.source_language or "")
        return frozenset[Slot]().union(*(self.slots.get(each, ()) for each in named))

    @property
    def result(self) -> str:
        """Mark of the finished result: another after every run that made anything anew."""
        state = (*file_state(self.work.segments_report), *file_state(self.work.gate))
        return hashlib.sha256(repr(state).encode()).hexdigest()[:16]

    @property
    def languages(self) -> tuple[str, ...]:
        """Target languages: those that are asked for, then those that were made before."""
        made = self.made.languages if self.made else ()
        return tuple(dict.fromkeys((*self.video.target_langs, *made)))

    @property
    def source_language(self) -> str | None:
        """BCP-47 of what is spoken; None until there is a script."""
        return self.script.language if self.script else None

    def lines(self, language: str) -> Mapping[int, LineResult]:
        """Return the lines of a language as they were last made, by index."""
        made = self.made.languages.get(language, ()) if self.made else ()
        return {line.index: line for line in made}


def read_view(video: Video, work_dir: Path) -> FilmView:
    """Read a film's files; those that are missing, or being made, are left out.

    Raises:
        ArtifactError: if its edits are not readable.
    """
    work = video.work(work_dir)
    script = _if_there(lambda: _script(work, *file_state(work.transcription)))
    made = _if_there(lambda: _made(work, *file_state(work.segments_report)))
    targets = tuple(dict.fromkeys((*video.target_langs, *(made.languages if made else ()))))
    named = (*targets, script.language) if script else targets
    return FilmView(
        video,
        work,
        work_dir / REVIEWS / video.key,
        _if_there(lambda: read_sound(work.speech)),
        script,
        made,
        _if_there(lambda: edited_speakers(work)) or {},
        read_cast(work),
        film_edits(work, script, targets) if script else None,
        {language: read_edits_document(work, language, script) for language in named},
        {language: stale_slots(work, language) for language in named},
    )


# An edit changes neither of the two, and they take half a second for a long film.
@lru_cache(maxsize=_KEPT)
def _script(work: WorkDir, *_state: int) -> Transcript:
    return read_transcript(work.transcription)


@lru_cache(maxsize=_KEPT)
def _made(work: WorkDir, *_state: int) -> SegmentsResult:
    return read_segments(work)


def _if_there(read: Callable[[], _Part]) -> _Part | None:
    try:
        return read()
    except ArtifactError:
        return None


def file_state(path: Path) -> tuple[int, ...]:
    """Return what changes with a file's content; empty if it is not there."""
    with suppress(OSError):
        status = path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino
    return ()
